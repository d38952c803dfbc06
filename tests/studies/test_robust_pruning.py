"""arXiv 2404.05579: identities and limits of class quotas."""

import math

import jax
import numpy as np
import pytest
from scipy.stats import norm

import simulator
from simulator.engine.theory import theory_of_cells
from simulator.runtime.compilation import float64_on_cpu
from simulator.studies.data.robust_pruning._model import Classes, saturate, stationary_threshold
from tests.cases import Mutant, load
from tests.references import robust_pruning as reference

CLASSES = {"means": (-0.7, 1.2), "stds": (1.3, 0.8), "priors": (0.35, 0.65)}
PRUNERS = ("random", "balanced", "optimal", "drop", "drop_equal_base", "ssp")


@pytest.mark.parametrize("means", [(-0.4, 0.9), (0.4, -0.3)])
@pytest.mark.parametrize("stds", [(1.3, 0.8), (0.8, 1.3), (1.1, 1.1)])
def test_densities_cross_at_both_roots_in_whatever_order_means_are_fitted(means, stds):
    priors = np.array([0.45, 0.55])
    with float64_on_cpu():
        classes = Classes(*(np.asarray(x) for x in (means, stds, priors)))
        minimum, maximum = (float(t) for t in stationary_threshold(classes, priors))

    def slope(t):
        return np.array([-1, 1]) @ (priors * norm.pdf(t, means, stds))

    assert math.isnan(minimum) == (stds[0] == stds[1] and means[0] > means[1])
    assert math.isnan(maximum) == (stds[0] == stds[1])
    for t, sign in ((minimum, 1), (maximum, -1)):
        if not math.isnan(t):
            assert slope(t) == pytest.approx(0, abs=1e-15)
            assert np.sign(slope(t + 1e-4) - slope(t - 1e-4)) == sign


@pytest.mark.parametrize("pruner", PRUNERS)
def test_shares_add_up_and_stay_below_one(pruner):
    for density in (0.1, 0.5, 0.95, 1.0):
        found = simulator.predict("robust-pruning", **CLASSES, density=density, pruner=pruner)
        share = found["class_density"]
        assert np.dot(CLASSES["priors"], share) == pytest.approx(density, rel=1e-12)
        assert np.all(share <= 1 + 1e-15)
        assert found["worst_class_risk"] >= found["minimax_risk"] * (1 - 1e-12)


def test_optimal_quotas_are_the_best_and_reach_the_minimax_risk():
    for density in (0.2, 0.5, 0.8, 0.95):
        worst = {
            pruner: float(
                simulator.predict("robust-pruning", **CLASSES, density=density, pruner=pruner)[
                    "worst_class_risk"
                ]
            )
            for pruner in PRUNERS[:-1]
        }
        assert worst["optimal"] == pytest.approx(min(worst.values()), rel=1e-12)
    few = simulator.predict("robust-pruning", **CLASSES, density=0.2, pruner="optimal")
    assert few["worst_class_risk"] == pytest.approx(float(few["minimax_risk"]), rel=1e-12)


def test_optimal_quotas_cut_where_both_risks_are_equal():
    """``t_avg(q)`` with ``q ~ sigma`` is ``t_wc``; the noisier class keeps more."""
    found = simulator.predict("robust-pruning", **CLASSES, density=0.2, pruner="optimal")
    (low, high), (first, second) = CLASSES["means"], CLASSES["stds"]
    expected = (low * second + high * first) / (first + second)
    assert found["threshold"] == pytest.approx(expected, rel=1e-12)
    kept = np.asarray(CLASSES["priors"]) * found["class_density"]
    assert kept[0] / kept[1] == pytest.approx(first / second, rel=1e-12)


@pytest.mark.parametrize(("estimator", "rate"), [("erm", -1 / 3), ("plug_in", -1 / 2)])
def test_rates_of_fitted_thresholds(estimator, rate):
    found = simulator.predict(
        "robust-pruning.finite-sample",
        **CLASSES,
        estimator=estimator,
        num_samples=np.array([1000, 64000]),
    )
    for output, power in (("threshold_sd", rate), ("excess_risk", 2 * rate)):
        low, high = found[output]
        assert np.log(high / low) / np.log(64) == pytest.approx(power, rel=1e-9)


def test_optimal_quotas_also_learn_the_best_direction():
    """Of as many samples, those of ``n_0/n_1 = sigma_0/sigma_1`` have the largest gap (Neyman)."""
    gaps = {
        pruner: float(
            simulator.predict("robust-pruning.high-dim", **CLASSES, density=0.2, pruner=pruner)[
                "effective_mean_gap"
            ]
        )
        for pruner in ("random", "balanced", "optimal", "drop")
    }
    assert max(gaps, key=gaps.get) == "optimal"


@pytest.mark.parametrize("pruner", PRUNERS)
def test_reflection_exchanges_the_classes(pruner):
    found = simulator.predict("robust-pruning", **CLASSES, density=0.6, pruner=pruner)
    reflected = simulator.predict(
        "robust-pruning",
        means=(-1.2, 0.7),
        stds=(0.8, 1.3),
        priors=(0.65, 0.35),
        density=0.6,
        pruner=pruner,
    )
    np.testing.assert_allclose(reflected["class_risk"], found["class_risk"][::-1], rtol=1e-9)


@pytest.mark.parametrize("pruner", PRUNERS)
def test_shift_and_scale(pruner):
    found = simulator.predict("robust-pruning", **CLASSES, density=0.6, pruner=pruner)
    moved = simulator.predict(
        "robust-pruning",
        means=(3 * -0.7 + 2, 3 * 1.2 + 2),
        stds=(3.9, 2.4),
        priors=(0.35, 0.65),
        density=0.6,
        pruner=pruner,
    )
    assert moved["threshold"] == pytest.approx(3 * float(found["threshold"]) + 2, rel=1e-10)
    np.testing.assert_allclose(moved["class_risk"], found["class_risk"], rtol=1e-10)


@pytest.mark.parametrize("pruner", PRUNERS[:-1])
def test_equal_classes_are_cut_in_the_middle(pruner):
    found = simulator.predict(
        "robust-pruning", means=(-1, 2), stds=(0.7, 0.7), priors=(0.5, 0.5), pruner=pruner
    )
    assert found["threshold"] == pytest.approx(0.5, rel=1e-12)


def test_hard_examples_keep_the_threshold_until_it_jumps():
    found = simulator.predict(
        "robust-pruning", pruner="ssp", density=np.array([0.47, 0.4748, 0.4749, 0.9, 1.0])
    )
    full = simulator.predict("robust-pruning", pruner="full")
    np.testing.assert_allclose(found["threshold"][2:], full["threshold"], rtol=1e-13)
    assert np.all(found["threshold"][:2] < -1.4)
    assert found["prune_radius"][-1] == 0


@pytest.mark.parametrize("seed", range(3))
def test_saturation_against_bisection(seed):
    rng = np.random.default_rng(seed)
    for _ in range(20):
        classes = rng.integers(2, 9)
        sizes = rng.uniform(0.1, 2, classes)
        weights = rng.exponential(1, classes) * (rng.uniform(size=classes) < 0.8)
        density = rng.uniform(0.05, 1)
        with float64_on_cpu():
            found = np.asarray(saturate(density, np.asarray(sizes), np.asarray(weights)))
        expected = reference.saturated(density, sizes, weights)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_bad_classes_are_refused():
    for change, what in (
        ({"means": (1.0, -1.0)}, "means"),
        ({"priors": (0.5, 0.6)}, "priors"),
        ({"stds": (1.0, 1.0, 1.0)}, "stds"),
    ):
        with pytest.raises(ValueError, match=what):
            simulator.predict("robust-pruning", **CLASSES | change)
    with pytest.raises(ValueError, match="plug_in"):
        simulator.predict("robust-pruning.finite-sample", estimator="plug_in", pruner="ssp")
    assert math.isinf(
        float(
            simulator.predict(
                "robust-pruning",
                means=(0, 1),
                stds=(0.5, 1.5),
                priors=(0.05, 0.95),
                pruner="random",
            )["threshold"]
        )
    )


@pytest.mark.parametrize("rare", [1e-3, 1e-13, 1e-40])
def test_the_narrow_class_is_never_predicted_everywhere(rare):
    """However few samples the wide class has, it wins far out: the threshold is large, not inf."""
    classes = {"means": (0.0, 0.5), "stds": (1.0, 3.0), "priors": (1 - rare, rare)}
    found = simulator.predict("robust-pruning", **classes, pruner="random")
    expected = reference.best_threshold(*classes.values())
    assert float(found["threshold"]) == pytest.approx(expected, rel=1e-12)
    assert math.isfinite(expected)


def test_derivatives_in_the_means():
    """A shift of both means changes nothing, a smaller gap costs."""
    theory = simulator.theory("robust-pruning")
    with jax.enable_x64(True):
        slope = jax.grad(lambda means: theory(means=means)["average_risk"])(np.array([-1.0, 1.0]))
        assert slope[0] > 0
        assert float(slope.sum()) == pytest.approx(0, abs=1e-12)


def test_a_plug_in_needs_two_samples_of_each_class():
    """Of 11 samples no one is of a class with prior 0.01; counting errors does without it."""
    rare = {"num_samples": 11, "priors": (0.01, 0.99)}
    name = "robust-pruning.finite-sample"
    for priors in ((0.01, 0.99), (0.95, 0.05)):
        with pytest.raises(ValueError, match="at least 2 samples of each class"):
            simulator.simulate(
                name, replicates=1, estimator="plug_in", num_samples=11, priors=priors
            )
    found = simulator.simulate(name, replicates=2, estimator="erm", **rare)
    assert found.mean["threshold"] == -np.inf


# --------------------------------------------------------------------------------------------
# Wrong theories: `robust-pruning` has no simulation, so its reference values must tell them
# --------------------------------------------------------------------------------------------
def swapped(pruner, other):
    return lambda p: {"pruner": other if p.pruner == pruner else p.pruner}


def uncapped(p, outputs):
    if p.pruner != "optimal":
        return {}
    weights = np.asarray(p.stds) / np.asarray(p.priors)
    return {"class_density": p.density * weights / np.sum(p.stds)}


MUTANTS = (
    Mutant("hard examples never move the threshold", at=swapped("ssp", "full")),
    Mutant("the paper's other base for drop", at=swapped("drop", "drop_equal_base")),
    Mutant("optimal is balanced", at=swapped("optimal", "balanced")),
    Mutant("shares are not capped", after=uncapped),
    Mutant("classes exchanged", after=lambda p, o: {"class_risk": o["class_risk"][::-1]}),
    Mutant("the worst class is the mean one",
           after=lambda p, o: {"worst_class_risk": np.mean(o["class_risk"])}),
    Mutant("average with the kept priors", after=lambda p, o: {
        "average_risk": np.asarray(p.priors) * o["class_density"] @ o["class_risk"] / p.density}),
    Mutant("minimax risk squared",
           after=lambda p, o: {"minimax_risk": o["minimax_risk"] ** 2}),
)  # fmt: skip


@pytest.fixture(scope="module")
def reference_values():
    study = simulator.get("robust-pruning")
    cases = load(study.name).cases
    points = [study.canonical(case.params) for case in cases]
    return study, points, [(case, case.values(study)) for case in cases]


@pytest.mark.parametrize("mutant", [None, *MUTANTS], ids=lambda m: m.name if m else "right")
def test_reference_values_tell_wrong_theories(mutant, reference_values):
    """And let the right one pass."""
    study, points, cases = reference_values
    found = theory_of_cells(study, points) if mutant is None else mutant.theories(study, points)
    right = [
        np.allclose(outputs[name], value, rtol=case.rtol, atol=case.atol)
        for outputs, (case, values) in zip(found, cases, strict=True)
        for name, value in values.items()
    ]
    assert all(right) == (mutant is None)
