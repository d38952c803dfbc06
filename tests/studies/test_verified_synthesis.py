"""arXiv 2406.07515: identities, limits, and special cases of selection."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import simulator
from simulator.maths.special_directions import coloured_accuracy
from simulator.runtime.compilation import float64_on_cpu
from simulator.studies.collapse.verified_synthesis._halfspace import geometry
from simulator.studies.collapse.verified_synthesis._model import angle_of
from tests.cases import load
from tests.cases.verified_synthesis import lost
from tests.references import verified_synthesis as reference

STUDY = "verified-synthesis"
POINT = {
    "dim": 37,
    "num_samples_synthetic": 150,
    "signal_norm": 1.3,
    "ridge": 0.2,
    "generator_accuracy": 0.55,
    "keep_correct": 0.8,
    "keep_incorrect": 0.3,
}


def accuracy(study=STUDY, **params):
    return simulator.predict(study, **params)["test_accuracy"]


# --------------------------------------------------------------------------------------------
# Independent errors
# --------------------------------------------------------------------------------------------
def test_a_stricter_verifier_of_more_samples_is_the_same():
    """``(s phi, s psi, N)`` equals ``(phi, psi, s N)``, and the keep rate scales by ``s``."""
    half = POINT | {"keep_correct": 0.4, "keep_incorrect": 0.15, "num_samples_synthetic": 300}
    assert accuracy(**half) == pytest.approx(accuracy(**POINT), rel=1e-13)
    rates = [simulator.predict(STUDY, **p)["keep_rate"] for p in (half, POINT)]
    assert rates[0] == pytest.approx(rates[1] / 2, rel=1e-14)


def test_turning_all_labels_turns_the_accuracy():
    turned = POINT | {"generator_accuracy": 0.45, "keep_correct": 0.3, "keep_incorrect": 0.8}
    assert accuracy(**turned) == pytest.approx(1 - accuracy(**POINT), rel=1e-13)


def test_right_labels_in_the_majority_decide_the_side():
    """``accuracy - 1/2`` has the sign of ``m``, and no fit beats the best classifier."""
    rng = np.random.default_rng(4)
    rates = {
        name: rng.uniform(0.02, 1, 40)
        for name in ("generator_accuracy", "keep_correct", "keep_incorrect")
    }
    found = simulator.predict(STUDY, **POINT | rates | {"ridge": 10 ** rng.uniform(-3, 2, 40)})
    margin = 2 * found["kept_label_accuracy"] - 1
    assert np.all(np.sign(found["test_accuracy"] - 0.5) == np.sign(margin))
    assert np.all(found["test_accuracy"][margin > 0] <= found["bayes_accuracy"][margin > 0])


def test_the_curves_cross_one_half_at_the_breakdown():
    for count in (60, 150, 10**6):
        found = accuracy(
            **POINT
            | {
                "num_samples_synthetic": count,
                "generator_accuracy": np.array([0.3 / 1.1 - 1e-3, 0.3 / 1.1, 0.3 / 1.1 + 1e-3]),
            }
        )
        assert found[0] < 0.5 < found[2]
        assert found[1] == pytest.approx(0.5, abs=1e-12)


def test_infinitely_many_samples_jump_from_the_worst_to_the_best():
    limits = simulator.predict(
        STUDY,
        **POINT | {"generator_accuracy": np.array([0.1, 0.25, 0.9]), "keep_incorrect": 0.8 / 3},
    )
    best = limits["bayes_accuracy"][0]
    expected = [1 - best, 0.5, best]
    np.testing.assert_allclose(limits["test_accuracy_infinite_data"], expected, rtol=1e-12)
    many = accuracy(**POINT | {"generator_accuracy": 0.9, "num_samples_synthetic": 10**12})
    assert many == pytest.approx(best, rel=1e-9)


def test_a_large_ridge_counts_effective_samples():
    found = simulator.predict(STUDY, **POINT | {"ridge": 1e9})
    effective = POINT["num_samples_synthetic"] * found["effective_sample_fraction"]
    mu = POINT["signal_norm"]
    expected = reference.ndtr(mu / np.sqrt(1 + POINT["dim"] / (effective * mu**2)))
    assert found["test_accuracy"] == pytest.approx(expected, rel=1e-8)


def test_better_generators_and_verifiers_are_worth_more_samples():
    """While right labels prevail; in the large-ridge limit the accuracy follows."""

    def fraction(p, phi, psi):
        params = POINT | {"generator_accuracy": p, "keep_correct": phi, "keep_incorrect": psi}
        return simulator.theory(STUDY)(**params)["effective_sample_fraction"]

    slopes = jax.grad(fraction, (0, 1, 2))(0.55, 0.8, 0.3)
    assert slopes[0] > 0
    assert slopes[1] > 0
    assert slopes[2] < 0


def test_control_of_the_noise_mutant():
    """The re-implementation with its noise as it is gives the theory."""

    class Params:
        dim, num_samples_synthetic, signal_norm, ridge = 37, 150, 1.3, 0.2

    theory = simulator.predict(STUDY, **POINT)
    found = lost(Params, theory, lambda m, d: 1)["test_accuracy"]
    assert found == pytest.approx(float(theory["test_accuracy"]), rel=1e-12)


def test_optimal_verifier_threshold():
    """Along a receiver's curve ``phi = sqrt(psi)`` the best acceptance is inside."""
    found = [
        accuracy(**POINT | {"keep_correct": math.sqrt(x), "keep_incorrect": x})
        for x in np.geomspace(1e-4, 1, 9)
    ]
    assert 0 < int(np.argmax(found)) < len(found) - 1


def test_the_strongest_penalty_is_best_for_isotropic_noise():
    best = simulator.optimise(
        STUDY,
        "test_accuracy",
        over={"ridge": (1e-3, 1e4)},
        maximise=True,
        **{name: value for name, value in POINT.items() if name != "ridge"},
    )
    assert best["at_boundary"].item()


# --------------------------------------------------------------------------------------------
# Halfspaces
# --------------------------------------------------------------------------------------------
HALFSPACE = "verified-synthesis.halfspace"
ANGLES = {"generator_angle": 1.1, "verifier_angle": 0.6, "azimuth": 0.8, "dim": 37}


def test_keeping_all_with_one_chance_is_no_selection():
    some = accuracy(HALFSPACE, **ANGLES, keep_agree=0.5, keep_disagree=0.5)
    all_ = accuracy(HALFSPACE, **ANGLES, keep_agree=1, keep_disagree=1, num_samples_synthetic=500)
    assert some == pytest.approx(all_, rel=1e-12)


def test_the_generator_as_its_own_verifier_is_no_selection():
    same = ANGLES | {"verifier_angle": 1.1, "azimuth": 0.0}
    alone = accuracy(HALFSPACE, **same, keep_agree=1, keep_disagree=1)
    assert accuracy(HALFSPACE, **same) == pytest.approx(alone, rel=1e-12)


def test_gaussian_inputs_in_closed_form():
    """Rates of agreement, and the bisector with infinitely many data."""
    found = simulator.predict(HALFSPACE, **ANGLES)
    tg, tp, az = 1.1, 0.6, 0.8
    cosine = math.cos(tg) * math.cos(tp) + math.sin(tg) * math.sin(tp) * math.cos(az)
    t = math.acos(cosine)
    assert found["keep_rate"] == pytest.approx(1 - t / math.pi, rel=1e-13)
    right = (2 * math.pi - tg - tp - t) / (2 * math.pi - 2 * tg)
    assert found["keep_correct"] == pytest.approx(right, rel=1e-13)
    assert found["keep_incorrect"] == pytest.approx((tg + tp - t) / (2 * tg), rel=1e-13)
    rho = (math.cos(tg) + math.cos(tp)) / (2 * math.cos(t / 2))
    limit = 1 - math.acos(rho) / math.pi
    assert found["test_accuracy_infinite_data"] == pytest.approx(limit, rel=1e-12)


def test_a_perfect_generator_is_right():
    found = simulator.predict(HALFSPACE, **ANGLES | {"generator_angle": 0.0})
    assert found["generator_accuracy"] == pytest.approx(1, rel=1e-15)
    assert found["keep_incorrect"] == 0


@pytest.mark.parametrize("signal_norm", [0.4, 6.0, 10.0])
def test_a_verifier_at_right_angles_to_the_truth(signal_norm):
    """``tp = pi/2``: in floats the mean is neither on the verifier's plane nor off it."""
    params = ANGLES | {"signal_norm": signal_norm, "azimuth": 2.2, "keep_disagree": 0.2}
    exact, beside = (
        simulator.predict(HALFSPACE, **params | {"verifier_angle": math.pi / 2 + shift})
        for shift in (0.0, 1e-9)
    )
    for name in exact:
        assert float(exact[name]) == pytest.approx(float(beside[name]), rel=1e-6), name


def test_rates_among_rare_errors_keep_their_digits():
    """``psi = P(both wrong)/P(generator wrong)`` where the generator errs once in 1e23 inputs."""
    found = simulator.predict(
        HALFSPACE, generator_angle=0.0, verifier_angle=2.2769947533299146, signal_norm=10.0
    )
    along, across = -10.0, 0.0
    turn = 2.2769947533299146

    def both_wrong(x):
        return norm.pdf(x - along) * norm.cdf(across + x / math.tan(turn))

    value = quad(both_wrong, 0, 3, epsabs=0, epsrel=1e-12)[0]
    expected = value / norm.cdf(-10)
    assert float(found["keep_incorrect"]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("angles", [(1.1, 0.6, 0.8), (0.4, 2.3, 2.0), (0.7, 0.7, 1e-6)])
def test_halfspaces_have_unit_normals_at_their_angles(angles):
    first, second, azimuth = angles
    with float64_on_cpu():
        found = geometry(*(jnp.asarray(x, float) for x in angles))
    generator, verifier = np.asarray(found.generator), np.asarray(found.verifier)
    for normal, angle in ((generator, first), (verifier, second)):
        np.testing.assert_allclose([normal @ normal, normal[0]], [1, math.cos(angle)], rtol=1e-15)
    np.testing.assert_allclose(
        verifier[1:] @ generator[1:],
        math.sin(first) * math.sin(second) * math.cos(azimuth),
        rtol=1e-14,
    )
    turned = math.cos(found.angle) * generator + math.sin(found.angle) * np.asarray(found.across)
    np.testing.assert_allclose(verifier, turned, rtol=1e-9, atol=1e-15)


def test_the_angle_of_a_fit():
    """From 0 to pi; no fit and one of infinite norm are at pi/2."""
    fits = ((0.8, 0.0), (-0.8, 0.0), (0.3, 0.09), (0.0, 0.2), (0.0, 0.0), (0.0, math.inf))
    with float64_on_cpu():
        angles = [float(angle_of(jnp.asarray(a), jnp.asarray(b))) for a, b in fits]
    right = [0, math.pi, math.pi / 4, math.pi / 2, math.pi / 2, math.pi / 2]
    np.testing.assert_allclose(angles, right, rtol=1e-15)


def test_retraining_ends_at_the_verifier_when_data_are_many():
    found = simulator.predict(
        "verified-synthesis.retraining",
        dim=20,
        num_samples_synthetic=10**9,
        ridge=0.0,
        num_generations=40,
    )
    assert found["test_accuracy"][-1] == pytest.approx(float(found["verifier_accuracy"]), abs=1e-4)


def test_nothing_kept_is_refused():
    with pytest.raises(ValueError, match="keep_incorrect"):
        simulator.predict(STUDY, generator_accuracy=0.0, keep_incorrect=0.0)
    with pytest.raises(ValueError, match="keep_agree"):
        simulator.predict(HALFSPACE, keep_agree=0.0, keep_disagree=0.0)
    with pytest.raises(ValueError, match="keep_agree"):  # equal halfspaces up to rounding
        simulator.predict(
            HALFSPACE,
            generator_angle=math.pi,
            verifier_angle=math.pi,
            azimuth=2.2,
            keep_agree=0.0,
            keep_disagree=1.0,
        )
    with pytest.raises(ValueError, match="keep_correct"):
        simulator.predict("verified-synthesis.eigenvalues", keep_correct=0, keep_incorrect=0)


@pytest.mark.parametrize("kept", ["keep_agree", "keep_disagree"])
def test_means_so_far_from_the_edges_that_nothing_is_kept_are_refused(kept):
    """Class means on one side of both halfspaces, or between them: the other is out of reach."""
    chances = {"keep_agree": 0.0, "keep_disagree": 0.0} | {kept: 1.0}
    point = chances | {
        "generator_angle": 0.7,
        "verifier_angle": 0.9 if kept == "keep_disagree" else math.pi - 0.9,
    }
    edge = 36 / math.cos(0.9)
    found = simulator.predict(HALFSPACE, signal_norm=0.999 * edge, **point)
    assert 0 < found["keep_rate"] < 1e-280
    for far in (1.001 * edge, 1300.0):
        with pytest.raises(ValueError, match="signal_norm"):
            simulator.predict(HALFSPACE, signal_norm=far, **point)
        with pytest.raises(ValueError, match="signal_norm"):
            simulator.simulate(HALFSPACE, signal_norm=far, replicates=1, **point)
    other = ({*chances} - {kept}).pop()
    found = simulator.predict(HALFSPACE, signal_norm=1300.0, **(point | {other: 0.1}))
    assert found["keep_rate"] == pytest.approx(0.1)


# --------------------------------------------------------------------------------------------
# General covariance
# --------------------------------------------------------------------------------------------
def test_equal_eigenvalues_are_the_study():
    found = simulator.predict(STUDY, **POINT)
    m = 2 * float(found["kept_label_accuracy"]) - 1
    mean = np.zeros(37)
    mean[0] = 1.3
    with float64_on_cpu():
        coloured = coloured_accuracy(
            jnp.ones(37), jnp.asarray(mean), m, 150 * float(found["keep_rate"]), 0.2
        )
    assert float(coloured) == pytest.approx(float(found["test_accuracy"]), rel=1e-12)


@pytest.mark.parametrize(("ridge", "num_samples"), [(0.3, 90.0), (0.0, 90.0), (0.0, 31.0)])
def test_general_covariance_against_bisection(ridge, num_samples):
    """The display of the paper's model with ``kappa`` bracketed by SciPy."""
    eigenvalues, m = np.geomspace(0.05, 3, 40), 0.6
    mean = np.cos(np.arange(40.0)) * 0.3
    expected = reference.coloured(eigenvalues, mean, m, num_samples, ridge)
    with float64_on_cpu():
        found = coloured_accuracy(
            jnp.asarray(eigenvalues), jnp.asarray(mean), m, num_samples, ridge
        )
    assert float(found) == pytest.approx(expected, rel=1e-10)


@pytest.mark.slow
def test_general_covariance_against_draws():
    """The deviation is O(1/d): two sizes extrapolate to none."""
    rng = np.random.default_rng(3)
    m, ridge, replicates = 0.6, 0.1, 2500
    deviations, errors = [], []
    for dim in (40, 80):
        rows = 5 * dim // 2
        eigenvalues, mean = np.geomspace(0.1, 3, dim), np.full(dim, 2 / math.sqrt(dim))
        found = np.empty(replicates)
        for i in range(replicates):
            x = mean + rng.standard_normal((rows, dim)) * np.sqrt(eigenvalues)
            y = np.where(rng.uniform(size=rows) < (1 + m) / 2, 1.0, -1.0)
            w = np.linalg.solve(x.T @ x / rows + ridge * np.eye(dim), x.T @ y / rows)
            found[i] = norm.cdf(w @ mean / np.sqrt(w @ (eigenvalues * w)))
        with float64_on_cpu():
            spectrum = jnp.asarray(eigenvalues), jnp.asarray(mean)
            expected = float(coloured_accuracy(*spectrum, m, float(rows), ridge))
        deviations.append(found.mean() - expected)
        errors.append(found.std() / math.sqrt(replicates))
    extrapolated = 2 * deviations[1] - deviations[0]
    assert abs(extrapolated) < 4 * math.hypot(2 * errors[1], errors[0])
    assert math.hypot(2 * errors[1], errors[0]) < 0.002


def test_the_price_of_a_strict_verifier():
    """It needs more data than a lax one to be as good, and is better when they are there."""
    lax, strict = ({"keep_correct": a, "keep_incorrect": b} for a, b in ((0.9, 0.3), (0.1, 0.01)))
    given = {
        name: value
        for name, value in POINT.items()
        if name not in ("keep_correct", "keep_incorrect", "num_samples_synthetic")
    } | {"ridge": 1e3}
    lax_accuracy = accuracy(**given, **lax, num_samples_synthetic=1000)
    needed = simulator.solve(
        STUDY,
        "test_accuracy",
        equals=lax_accuracy,
        over={"num_samples_synthetic": (10, 1e7)},
        **given,
        **strict,
    )
    fractions = [
        float(simulator.predict(STUDY, **given, **who)["effective_sample_fraction"])
        for who in (lax, strict)
    ]
    price = float(needed["num_samples_synthetic"]) / 1000
    assert price == pytest.approx(fractions[0] / fractions[1], rel=2e-2)
    assert price > 2


@pytest.mark.parametrize(
    ("right", "formula"),
    [
        (True, lambda phi, psi: phi / (phi + psi)),
        (False, lambda phi, psi: psi / (phi + psi)),
        (False, lambda phi, psi: phi / (phi + 2 * psi)),
        (False, lambda phi, psi: phi - psi),
        (False, lambda phi, psi: phi / (1 - psi)),
        (False, lambda phi, psi: phi / max(phi, psi)),
        (False, lambda phi, psi: (phi + 1 - psi) / 2),
        (False, lambda phi, psi: phi**2 / (phi**2 + psi**2)),
    ],
)
def test_reference_values_tell_wrong_proxies(right, formula):
    """The theory of the eigenvalue task is one formula, beside which nothing is simulated."""
    cases = load("verified-synthesis.eigenvalues").cases
    told = [
        not np.isclose(
            formula(case.params["keep_correct"], case.params["keep_incorrect"]),
            case.expected["breakdown_error"],
        )
        for case in cases
    ]
    assert any(told) != right
