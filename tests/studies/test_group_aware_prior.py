"""arXiv 2403.09869: identities and limits of a group-aware prior."""

import numpy as np
import pytest
from scipy.stats import norm

import simulator

GROUPS = {
    "num_samples": 150,
    "num_group_samples": 40,
    "dim": 37,
    "core_strength": 1.2,
    "spurious_strength": 0.8,
    "minority_fraction": 0.13,
    "ridge": 0.03,
}
POPULATION = {name: GROUPS[name] for name in ("core_strength", "spurious_strength", "ridge")} | {
    "minority_fraction": 0.13
}


@pytest.mark.parametrize("change", [{"spurious_strength": 0.0}, {"minority_fraction": 0.5}])
def test_without_an_attribute_groups_agree(change):
    for study, params in (
        ("group-aware-prior", GROUPS),
        ("group-aware-prior.population", POPULATION),
    ):
        found = simulator.predict(study, **params | change)
        assert found["minority_error"] == pytest.approx(float(found["majority_error"]), rel=1e-12)
        assert found["spurious_weight"] == pytest.approx(0, abs=1e-14)


def test_no_linear_rule_beats_the_minimax_one():
    found = simulator.predict(
        "group-aware-prior", **GROUPS, group_prior_weight=np.array([0.0, 0.3, 3.0, 300.0])
    )
    assert np.all(found["worst_group_error"] >= found["minimax_error"])


def test_many_samples_are_the_population():
    many = GROUPS | {"num_samples": 10**8, "num_group_samples": 10**8}
    found = simulator.predict("group-aware-prior", **many)
    limit = simulator.predict("group-aware-prior.population", **POPULATION)
    for name in ("majority_error", "minority_error", "core_weight", "spurious_weight"):
        assert found[name] == pytest.approx(float(limit[name]), rel=1e-6)


def test_a_heavy_prior_fits_the_group_set_alone():
    """``k -> inf``: the training set drops out, and the penalty is ``ridge/k``."""
    k = 1e9
    heavy = GROUPS | {"group_prior_weight": k, "ridge": 0.03 * k}
    alone = GROUPS | {"num_samples": GROUPS["num_group_samples"], "minority_fraction": 0.5}
    found = simulator.predict("group-aware-prior", **heavy)
    limit = simulator.predict("group-aware-prior", **alone, group_prior_weight=0.0)
    for name in ("minority_error", "core_weight", "noise_norm"):
        assert found[name] == pytest.approx(float(limit[name]), rel=1e-6)


def test_when_the_minority_is_below_chance():
    """Iff ``delta_e s² (1 + ridge_e) > c² (1 + ridge_e + s² (1 - delta_e²))``."""
    rng = np.random.default_rng(3)
    params = {
        "core_strength": rng.uniform(0.3, 2, 60),
        "spurious_strength": rng.uniform(0.3, 4, 60),
        "minority_fraction": rng.uniform(0.01, 0.5, 60),
        "group_prior_weight": rng.uniform(0, 0.5, 60),
        "ridge": rng.uniform(0, 1, 60),
    }
    c, s, share, k, ridge = params.values()
    delta, ridge = (1 - 2 * share) / (1 + k), ridge / (1 + k)
    expected = delta * s**2 * (1 + ridge) > c**2 * (1 + ridge + s**2 * (1 - delta**2))
    found = simulator.predict("group-aware-prior.population", **params)["minority_error"]
    np.testing.assert_array_equal(found > 0.5, expected)
    assert 5 < expected.sum() < 55


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_without_a_prior_the_radius_has_no_effect_and_beyond_it_all_groups_agree(loss):
    found = simulator.predict(
        "group-aware-prior.population",
        **POPULATION,
        loss=loss,
        group_prior_weight=np.array([0.0, 0.0, 2.0]),
        perturbation_radius=np.array([0.0, 0.7, 9.0]),
    )
    assert found["spurious_weight"][1] == pytest.approx(found["spurious_weight"][0], rel=1e-9)
    assert np.all(np.isinf(found["critical_radius"][:2]))
    balanced = 2 * 1.2 if loss == "logistic" else 1.2 / (1 + 1.2**2)
    assert found["core_weight"][2] == pytest.approx(balanced, rel=1e-12)
    assert found["worst_group_error"][2] == pytest.approx(norm.cdf(-1.2), rel=1e-12)


def test_what_counts_for_the_last_layer_is_eta():
    """``d / (4 N pi (1 - pi))``, while the head lies inside the segment."""
    share = np.array([0.3, 0.4])
    eta = 0.4
    count = np.round(1_000_000 / (4 * eta * share * (1 - share)) / 1000) * 1000
    params = {"core_strength": 0.8, "spurious_strength": 2.0, "minority_fraction": share}
    found = simulator.predict(
        "group-aware-prior.last-layer", **params, num_samples=count.astype(int), dim=1_000_000
    )["worst_group_error"]
    np.testing.assert_allclose(found, norm.cdf(-0.8 / np.sqrt(1 + eta / 0.64)), rtol=1e-3)


def test_the_prior_helps_the_population_without_end():
    found = simulator.predict(
        "group-aware-prior.population",
        **POPULATION,
        group_prior_weight=np.array([0.0, 0.1, 1.0, 10.0, 1e7]),
    )
    errors = found["worst_group_error"]
    assert np.all(np.diff(errors) < 0)
    assert errors[-1] == pytest.approx(norm.cdf(-1.2), rel=1e-5)


def test_critical_radius_falls_with_the_weight_and_vanishes_without_bias():
    found = simulator.predict(
        "group-aware-prior.population", **POPULATION, group_prior_weight=np.array([0.5, 1.0, 2.0])
    )["critical_radius"]
    np.testing.assert_allclose(found * [0.5, 1.0, 2.0], found[1], rtol=1e-12)
    fair = POPULATION | {"minority_fraction": 0.5, "ridge": 0.0}
    assert simulator.predict("group-aware-prior.population", **fair)["critical_radius"] == 0


def test_continuous_across_the_critical_radius():
    radius = float(
        simulator.predict("group-aware-prior.population", **POPULATION)["critical_radius"]
    )
    found = simulator.predict(
        "group-aware-prior.population",
        **POPULATION,
        perturbation_radius=radius * np.array([1 - 1e-6, 1.0, 1 + 1e-6]),
    )
    np.testing.assert_allclose(found["core_weight"], found["core_weight"][1], rtol=1e-5)
    np.testing.assert_allclose(found["spurious_weight"], 0, atol=1e-5)


@pytest.mark.slow
def test_differentiating_the_perturbation_changes_little():
    params = POPULATION | {"perturbation_radius": 0.05, "num_samples": 4000}
    stopped, full = (
        simulator.simulate(
            "group-aware-prior.population", replicates=64, perturbation_gradient=which, **params
        )
        for which in ("stopped", "full")
    )
    difference = full.mean["core_weight"] - stopped.mean["core_weight"]
    assert 0 < abs(difference) < 0.02


def test_the_logistic_loss_is_simulated_by_drawing_its_rows():
    """Whatever method is asked for: only the squared loss has a fast sampler."""
    name, method = "group-aware-prior.population", "fast"
    params = POPULATION | {"loss": "logistic", "perturbation_radius": 0.1}
    study = simulator.get(name)
    assert study.sampler(method, study.params(**params)).side == "direct"
    sizes = {"num_samples": 4000, "num_group_samples": 4000}
    found = simulator.simulate(name, replicates=24, **params, **sizes)
    theory = simulator.predict(name, **params)
    for output in ("core_weight", "spurious_weight", "minority_error"):
        error = float(found.mean[output] - theory[output])
        assert abs(error) < 5 * float(found.standard_error[output]), output


def test_groups_are_four_and_theory_is_for_the_stopped_gradient():
    with pytest.raises(ValueError, match="multiple of 4"):
        simulator.predict("group-aware-prior", num_group_samples=10)
    with pytest.raises(ValueError, match="perturbation_gradient"):
        simulator.predict("group-aware-prior.population", perturbation_gradient="full")
    with pytest.raises(ValueError, match="ridge"):
        simulator.predict("group-aware-prior", dim=2000, ridge=0.0)
