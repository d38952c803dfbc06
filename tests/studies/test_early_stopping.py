"""What arXiv 2301.13486 proves, and closed forms, of ``early-stopping`` and its parts."""

import jax
import numpy as np
import pytest

import simulator
from tests.references import robust_regression as shared
from tests.studies.test_robust_regression import C0, each_norm, shrinkage_law

STUDY = "early-stopping"
BASE = {
    "dim": 12, "spectrum_exponent": 1.3, "signal_exponent": 0.4, "covariance_scale": 0.8,
    "signal_scale": -1.3, "times": (0.0, 0.3, 1.0, 4.0, 20.0),
}  # fmt: skip
RADII = np.geomspace(0.02, 3, 30)


def predict(part="", **given):
    return simulator.predict(STUDY + part, **given)


@each_norm()
@pytest.mark.parametrize(
    "preconditioner", ["none", pytest.param("matched", marks=pytest.mark.slow)]
)
def test_bounds_that_are_proven(norm, preconditioner):
    found = predict(**BASE | norm, attack_radius=RADII, preconditioner=preconditioner)
    best, room = found["risk_optimal"], 1 + 1e-12
    assert np.all(best <= found["risk_early_stopped"] * room)
    assert np.all(found["risk_proxy_minimizer"] <= best * 2 / (1 + C0) * room)
    assert np.all(found["risk_early_stopped"][:, None] <= found["risk_path"] * room)
    bound = 2 / (1 + C0) if preconditioner == "matched" else 1.68591
    if preconditioner == "matched" or norm["attack_norm"] == "l2":
        assert np.all(found["suboptimality_ratio"] <= bound * room)
    proxy = (np.sqrt(found["excess_risk_path"]) + RADII[:, None] * found["dual_norm_path"]) ** 2
    assert np.all((found["risk_path"] <= proxy * room) & (proxy <= 1.11242 * found["risk_path"]))
    assert np.all(np.diff(found["excess_risk_path"], axis=1) <= 0)
    assert np.all(np.diff(found["dual_norm_path"], axis=1) >= -1e-14)
    assert np.all(found["risk_early_stopped"] <= found["risk_ground_truth"] * room)


def test_isotropic_euclidean_attacks_stop_at_the_optimum():
    """Proposition 4.3: ``t = -log(1 - gamma) / tau`` at the best shrinkage ``gamma``."""
    rho = np.array([0.5, 0.79, 0.81, 0.95, 1.2, 1.3])
    tau = 0.6
    found = predict(
        dim=30, spectrum="isotropic", covariance_scale=tau, attack_radius=rho * np.sqrt(tau)
    )
    np.testing.assert_allclose(found["suboptimality_ratio"], 1, rtol=1e-12)
    zero = tau * np.sum(np.arange(1, 31.0) ** -0.5)
    np.testing.assert_allclose(found["risk_optimal"], zero * shrinkage_law(rho), rtol=1e-12)
    gamma = np.clip((1 - C0 * rho) / (1 - 2 * C0 * rho + rho**2), 0, 1)
    with np.errstate(divide="ignore"):
        times = np.where(gamma == 1, np.inf, -np.log(1 - gamma) / tau)
    np.testing.assert_allclose(found["stopping_time"], times, rtol=1e-8)


@pytest.mark.parametrize("metric", [1.0, 4.0, 10.0, 1000.0])
def test_a_metric_that_the_data_do_not_have(metric):
    """Proposition 4.4 and 5.1 at r = 1, in closed form."""
    given = {
        "dim": 2, "spectrum": "isotropic", "signal": "custom", "attack_norm": "mahalanobis",
        "signal_vector": (metric**-0.5, 1.0), "attack_metric": "custom", "attack_radius": 1.0,
        "attack_metric_diagonal": (1 / metric, metric), "times": (0.0,),
    }  # fmt: skip
    plain, cured = predict(**given), predict(**given, preconditioner="attack")
    rows = {1.0: 1.797885, 4.0: 0.738061, 10.0: 0.334928, 1000.0: 0.00359395}
    assert float(plain["risk_early_stopped"]) == pytest.approx(
        (1 + 1 / metric) * (1 + C0) / 2, rel=1e-12
    )
    assert float(plain["risk_optimal"]) == pytest.approx(2 * (1 + C0) / (metric + 1), rel=1e-12)
    assert float(cured["risk_early_stopped"]) == pytest.approx(rows[metric], rel=2e-6)


@pytest.mark.slow
def test_units_of_a_metric_do_not_matter():
    """``B -> c B``, ``r -> r sqrt c``, ``t -> t / c``."""
    c = 3.7
    diagonal = np.geomspace(0.3, 4, 12)
    given = BASE | {
        "attack_norm": "mahalanobis", "attack_metric": "custom", "preconditioner": "attack",
    }  # fmt: skip
    one = predict(**given, attack_metric_diagonal=diagonal, attack_radius=0.6)
    other = predict(
        **given | {"times": np.asarray(BASE["times"]) / c},
        attack_metric_diagonal=c * diagonal,
        attack_radius=0.6 * c**0.5,
    )
    for name in ("risk_path", "risk_early_stopped", "risk_optimal"):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-10)
    assert float(other["stopping_time"]) == pytest.approx(float(one["stopping_time"]) / c, rel=1e-8)


@pytest.mark.slow
def test_power_laws_stop_like_the_inverse_square_of_the_radius():
    """``t ~ vartheta / r^2`` and ``E ~ C r^(2(1-e))``, with their constants."""
    rows = {0.25: (3.692442, 1.341382), 0.5: (2.900440, 0.603553)}
    for e, (constant, time) in rows.items():
        delta = 1 - 2 * e
        found = shared.flow_constants(2, delta)
        np.testing.assert_allclose(found, (constant, time), rtol=1e-5)
        radius = 3e-3
        exact = predict(dim=10**5, signal_exponent=delta, attack_radius=radius, times=(0.0,))
        scale = constant * radius ** (2 * (1 - e))
        assert float(exact["risk_early_stopped"]) == pytest.approx(scale, rel=0.08)
        assert float(exact["stopping_time"]) == pytest.approx(time / radius**2, rel=0.15)


@pytest.mark.slow
def test_the_path_often_has_several_valleys():
    """The best time is global: a fine grid over all scales of time never beats it."""
    rng = np.random.default_rng(4)
    several = 0
    times = np.geomspace(1e-3, 1e6, 3000)
    for _ in range(12):
        found = predict(
            dim=3, spectrum="custom", eigenvalues=np.sort(10.0 ** rng.uniform(-3, 1, 3)),
            signal="custom", signal_vector=rng.normal(size=3), times=times,
            attack_radius=10.0 ** rng.uniform(-1, 0),
        )  # fmt: skip
        risk = found["risk_path"]
        several += np.sum((risk[1:-1] < risk[:-2]) & (risk[1:-1] < risk[2:])) > 1
        assert float(found["risk_early_stopped"]) <= np.min(risk) * (1 + 1e-12)
    assert several > 0


def test_short_steps_are_the_flow():
    given = BASE | {"attack_radius": 0.5, "times": (1.0, 4.0)}
    flow, steps = predict(**given), predict(**given, step_size=1e-4)
    for name in ("risk_path", "risk_early_stopped"):
        np.testing.assert_allclose(steps[name], flow[name], rtol=3e-4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"step_size": 2.6}, "step_size = 2.6 is not allowed: it must be below 2.5"),
        ({"step_size": 2.1, "preconditioner": "whiten"}, "must be below 2,"),
        ({"times": (-1.0,)}, "times = -1"),
    ],
)
def test_refusals(given, message):
    with pytest.raises(ValueError, match=message):
        predict(**BASE | given)


# ------------------------------------------------------------------------------------------------
# Finite samples
# ------------------------------------------------------------------------------------------------
FINITE = BASE | {"noise_std": 0.4, "attack_radius": 0.5, "times": (0.3, 1.0, 4.0, 20.0)}


@pytest.mark.parametrize("norm", ["l2", pytest.param("linf", marks=pytest.mark.slow)])
def test_many_samples_are_the_population(norm):
    population = predict(**BASE | {"times": FINITE["times"]}, attack_norm=norm, attack_radius=0.5)
    finite = predict(".finite-sample", **FINITE, attack_norm=norm, num_samples=10**9)
    for name in ("risk_path", "excess_risk_path", "dual_norm_path"):
        np.testing.assert_allclose(finite[name], population[name], rtol=1e-6)
    assert finite["risk_optimal"] == population["risk_optimal"]


def test_the_end_of_training_is_least_squares():
    """``t -> inf`` with ``n > d``: ``a^2 = sigma^2 d / (n - d)``, also where steps overshoot."""
    for given in ({}, {"step_size": 0.3, "preconditioner": "whiten"}):
        found = predict(".finite-sample", **FINITE | {"times": (1e8,)}, num_samples=30, **given)
        expected = 0.4**2 * 12 / (30 - 12)
        np.testing.assert_allclose(found["excess_risk_path"], [expected], rtol=1e-6)


def marchenko_pastur(ratio, function, count=4000):
    """The mean of a function of the sample eigenvalues of isotropic data; cosine nodes."""
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    angle = (np.arange(count) + 0.5) * np.pi / count
    x = (low + high) / 2 + (high - low) / 2 * np.cos(angle)
    density = ((high - low) / 2 * np.sin(angle)) ** 2 / (2 * np.pi * ratio * x)
    return np.sum(density * function(x)) * np.pi / count + max(1 - 1 / ratio, 0) * function(0.0)


@pytest.mark.parametrize("samples", [60, 15])
def test_isotropic_data_follow_marchenko_and_pastur(samples):
    d, sigma, times = 30, 0.4, np.array([0.5, 3.0, 60.0])
    found = predict(
        ".finite-sample", dim=d, spectrum="isotropic", num_samples=samples, noise_std=sigma,
        times=times, attack_radius=0.2,
    )  # fmt: skip
    ratio, signal = d / samples, np.sum(np.arange(1, d + 1.0) ** -0.5)
    excess, norm = [], []
    for t in times:

        def noise(x, t=t):
            safe = np.where(x > 0, x, 1)
            return np.where(x > 0, np.expm1(-t * safe) ** 2 / safe, 0)

        spread = sigma**2 * ratio * marchenko_pastur(ratio, noise)
        excess.append(signal * marchenko_pastur(ratio, lambda x, t=t: np.exp(-2 * t * x)) + spread)
        learned = marchenko_pastur(ratio, lambda x, t=t: np.expm1(-t * x) ** 2)
        norm.append(np.sqrt(signal * learned + spread))
    np.testing.assert_allclose(found["excess_risk_path"], excess, rtol=1e-7)
    np.testing.assert_allclose(found["dual_norm_path"], norm, rtol=1e-7)


@pytest.mark.slow
def test_times_and_spectra_far_apart():
    """Finite, positive and below what noise alone can do, over many decades."""
    times = np.geomspace(1e-6, 1e9, 16)
    for samples in (3, 12, 40):
        for exponent in (0.5, 3.0):
            found = predict(
                ".finite-sample",
                **FINITE | {"times": times, "spectrum_exponent": exponent},
                num_samples=samples,
            )
            for value in found.values():
                assert np.all(np.isfinite(value) & (value >= 0))


# ------------------------------------------------------------------------------------------------
# Two stages
# ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("norm", ["l2", pytest.param("linf", marks=pytest.mark.slow)])
def test_two_stages_with_many_samples(norm):
    given = {k: v for k, v in BASE.items() if k != "times"} | {"attack_norm": norm}
    given |= {"attack_radius": 0.8}
    population = predict(**given)
    for noise, rtol in ((0.0, 1e-12), (0.4, 1e-4)):
        found = predict(".two-stage", **given, noise_std=noise, num_samples=10**9)
        for name, limit in (
            ("risk_two_stage", "risk_proxy_minimizer"),
            ("risk_two_stage_exact", "risk_optimal"),
        ):
            assert float(found[name]) == pytest.approx(float(population[limit]), rel=rtol)


def test_gradients_of_the_best_risk_are_those_of_the_envelope():
    """``dE/dr = 2 c0 a b + 2 r b^2`` at the best time."""
    theory = simulator.theory(STUDY)
    given = {k: v for k, v in BASE.items() if k != "times"} | {"times": (1.0,)}
    with jax.enable_x64(True):
        risk = jax.jit(lambda r: theory(**given, attack_radius=r)["risk_early_stopped"])
        slope = jax.grad(risk)(0.5)
    best = predict(**given, attack_radius=0.5)
    at = predict(**given | {"times": (float(best["stopping_time"]),)}, attack_radius=0.5)
    a, b = np.sqrt(at["excess_risk_path"][0]), at["dual_norm_path"][0]
    assert float(slope) == pytest.approx(2 * C0 * a * b + 2 * 0.5 * b**2, rel=1e-6)
