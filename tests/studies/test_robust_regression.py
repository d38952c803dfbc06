"""What arXiv 2308.00556 proves, and closed forms, of ``robust-regression``."""

import jax.numpy as jnp
import numpy as np
import pytest

import simulator
from simulator.maths.norms import ATTACK_NORMS
from simulator.maths.robust_regression import attack
from simulator.runtime.compilation import float64_on_cpu
from tests.references import robust_regression as reference

C0 = np.sqrt(2 / np.pi)
STUDY = "robust-regression"
BASE = {
    "dim": 12, "spectrum_exponent": 1.3, "signal_exponent": 0.4, "covariance_scale": 0.8,
    "signal_scale": -1.3,
}  # fmt: skip
NORMS = [{"attack_norm": kind} for kind in ATTACK_NORMS] + [{"attack_norm": "lp", "attack_p": 1.4}]


def each_norm(quick=("l2",)):
    """Parametrise a test over norms; each is a program, and `make test` compiles few."""
    return pytest.mark.parametrize(
        "norm",
        [
            pytest.param(
                norm,
                id="-".join(map(str, norm.values())),
                marks=[] if norm["attack_norm"] in quick else pytest.mark.slow,
            )
            for norm in NORMS
        ],
    )


RADII = np.geomspace(0.02, 3, 40)


def predict(**given):
    return simulator.predict(STUDY, **given)


@each_norm()
@pytest.mark.parametrize("spectrum", ["power_law", pytest.param("ar1", marks=pytest.mark.slow)])
def test_risks_against_the_radius(norm, spectrum):
    """Bounds that are proven, monotone and convex curves, the envelope theorem."""
    given = BASE | norm | {"spectrum": spectrum}
    for noise in (0.0, 0.4):
        found = predict(**given, attack_radius=RADII, noise_std=noise)
        best, room = found["risk_optimal"], 1 + 1e-12
        assert np.all(np.diff(best) >= 0)
        for name in ("risk_ground_truth", "risk_null", "risk_shrinkage"):
            assert np.all(best <= found[name] * room)
        assert np.all(best <= found["risk_proxy_minimizer"] * room)
        assert np.all(found["risk_proxy_minimizer"] <= best * 2 / (1 + C0) * room)
        assert np.all(best <= found["risk_proximal"] * room)
        assert np.all(found["risk_proximal"] <= best * (1 + C0) * room)
        assert np.all(found["risk_proximal"] <= best * 1.3370)
        assert np.all(found["radius_low"] <= predict(**given)["radius_high"] * room)
        a, b = found["free_lunch_threshold"], found["dual_norm_optimal"]
        s = np.hypot(a, noise)
        slope = 2 * C0 * s * b + 2 * RADII * b**2
        step = 1e-5 * RADII
        sides = [
            predict(**given, attack_radius=RADII + e, noise_std=noise)["risk_optimal"]
            for e in (step, -step)
        ]
        np.testing.assert_allclose((sides[0] - sides[1]) / (2 * step), slope, rtol=1e-5, atol=1e-7)
        if noise == 0:
            ratios = RADII[1:] / RADII[:-1]
            assert np.all(best[1:] <= ratios**2 * best[:-1] * room)


@each_norm()
def test_the_frontier(norm):
    """Risk under a budget falls to the optimum exactly where the lunch becomes free."""
    given = BASE | norm | {"attack_radius": 0.4, "noise_std": 0.2}
    free = float(predict(**given)["free_lunch_threshold"])
    budgets = free * np.array([1e-6, 0.1, 0.3, 0.6, 0.9, 0.999, 1.0, 1.001, 3.0, np.inf])
    found = predict(**given, excess_error_budget=budgets)
    risk, best = found["risk_constrained"], found["risk_optimal"]
    assert np.all(np.diff(risk) <= 1e-14)
    assert risk[0] == pytest.approx(found["risk_ground_truth"][0], rel=1e-4)
    assert np.all(risk[:6] > best[:6])
    np.testing.assert_array_equal(risk[6:], best[6:])


@pytest.mark.slow
def test_norms_that_are_others():
    given = BASE | {"attack_radius": 0.4, "noise_std": 0.2, "excess_error_budget": 0.1}
    euclidean = predict(**given)
    for other in (
        {"attack_norm": "lp", "attack_p": 2.0},
        {"attack_norm": "mahalanobis", "attack_metric_exponent": 0.0},
        {"spectrum": "custom", "eigenvalues": np.arange(1, 13.0) ** -1.3},
    ):
        for name, value in predict(**given | other).items():
            assert float(value) == pytest.approx(float(euclidean[name]), rel=1e-10), name
    for spectrum in ("ar1", "isotropic"):
        flat = given | {"spectrum": spectrum, "correlation": 0.0, "attack_norm": "linf"}
        steep = flat | {"spectrum_exponent": 5.0}  # of no effect
        assert predict(**flat)["risk_optimal"] == predict(**steep)["risk_optimal"]


@pytest.mark.slow
def test_scales():
    """``(Sigma, w0, r) -> (tau Sigma, c w0, r sqrt tau)``: noiseless risks times ``tau c^2``."""
    given = BASE | {"attack_radius": 0.5, "attack_norm": "linf"}
    scaled = given | {
        "covariance_scale": 0.8 * 2.3, "signal_scale": -1.3 * 0.7, "attack_radius": 0.5 * 2.3**0.5,
    }  # fmt: skip
    one, other = predict(**given), predict(**scaled)
    for name, value in one.items():
        if name.startswith("risk"):
            assert float(other[name]) == pytest.approx(2.3 * 0.7**2 * float(value), rel=1e-10)


def shrinkage_law(rho):
    """``psi``, the smallest risk of ``gamma w0`` over that of 0."""
    middle = rho**2 * (1 - C0**2) / (1 - 2 * C0 * rho + rho**2)
    return np.where(rho <= C0, rho**2, np.where(rho >= 1 / C0, 1.0, middle))


def test_isotropic_euclidean_attacks():
    radii = np.array([0.2, 0.7, 0.79, 0.81, 0.95, 1.2, 1.3, 2.0])
    found = predict(spectrum="isotropic", dim=30, signal_scale=0.37, attack_radius=radii)
    expected = found["risk_null"] * shrinkage_law(radii)
    for name in ("risk_optimal", "risk_shrinkage"):
        np.testing.assert_allclose(found[name], expected, rtol=1e-12)


@pytest.mark.parametrize(("kind", "inverse_p"), [("l1", 1.0), ("l2", 0.5), ("linf", 0.0)])
@pytest.mark.slow
def test_sparse_ground_truth(kind, inverse_p):
    """Shrinkage is optimal: ``E_opt = (s/d) psi(r / r0)``, ``r0 = s^(1/p - 1/2) / sqrt d``."""
    d, s = 50, 8
    threshold = s ** (inverse_p - 0.5) / np.sqrt(d)
    rho = np.array([0.4, 0.85, 1.1, 1.4])
    found = predict(
        dim=d, spectrum="isotropic", covariance_scale=1 / d, signal="sparse", sparsity=s,
        attack_norm=kind, attack_radius=rho * threshold,
    )  # fmt: skip
    np.testing.assert_allclose(found["risk_optimal"], s / d * shrinkage_law(rho), rtol=1e-11)


@pytest.mark.slow
def test_harmonic_ground_truth():
    """At ``r = 1 / ln d`` the ground truth stays exposed while the optimum improves."""
    rows = {100: (1.26883, 0.646948), 10_000: (1.12928, 0.302762)}
    for dim, (truth, best) in rows.items():
        found = predict(
            dim=dim, spectrum="isotropic", signal="harmonic", attack_norm="linf",
            attack_radius=1 / np.log(dim),
        )  # fmt: skip
        assert float(found["risk_ground_truth"]) == pytest.approx(truth, rel=1e-5)
        assert float(found["risk_optimal"]) == pytest.approx(best, rel=1e-5)


@pytest.mark.slow
def test_harmonic_ground_truth_in_a_million_dimensions():
    found = predict(
        dim=10**6, spectrum="isotropic", signal="harmonic", attack_norm="linf",
        attack_radius=1 / np.log(10**6),
    )  # fmt: skip
    assert float(found["risk_ground_truth"]) == pytest.approx(1.08531, rel=1e-5)
    assert float(found["risk_optimal"]) == pytest.approx(0.179584, rel=1e-5)
    assert float(found["risk_shrinkage"]) == pytest.approx(1.08469, rel=1e-5)


@pytest.mark.slow
def test_sharp_constants_are_approached_as_printed():
    """``E_opt ~ C r^(2(1 - e))``, ``e = (1 - delta) / beta``; slowly, the printed ratios."""
    printed = {(2, 0.0): 2.824110, (2, 0.5): 3.594938}
    for beta, delta, ratio in [(2, 0.0, 0.9990), (2, 0.5, 0.9833), (1.5, 0.5, 0.9890)]:
        constant, _ = reference.sharp_constants(beta, delta)
        assert constant == pytest.approx(printed.get((beta, delta), constant), rel=1e-6)
        e = (1 - delta) / beta
        found = predict(
            dim=10**6, spectrum_exponent=beta, signal_exponent=delta, attack_radius=1e-3
        )
        exact = float(found["risk_optimal"]) / (constant * 1e-3 ** (2 * (1 - e)))
        assert exact == pytest.approx(ratio, abs=1e-4)


@pytest.mark.slow
def test_free_lunch_above_the_transition():
    """delta > 1: the ground truth is nearly optimal; below it is not."""
    radius = 1e-3
    above = predict(dim=10**4, signal_exponent=1.8, attack_radius=radius)
    assert above["risk_ground_truth"] / above["risk_optimal"] < 1.1
    below = predict(dim=10**4, signal_exponent=0.0, attack_radius=radius)
    assert below["risk_ground_truth"] / below["risk_optimal"] > 3


@each_norm(ATTACK_NORMS)
def test_no_feasible_attack_does_more_harm(norm):
    """The attack that is simulated against random ones, and against projected ascent."""
    from simulator.attacked import problem_of

    study = simulator.get(STUDY)
    given = BASE | norm | {"attack_radius": 0.6}
    rng = np.random.default_rng(3)
    with float64_on_cpu():
        params = study.params(**study.canonical(given))
        problem = problem_of(params)
        for _ in range(3):
            x, w = jnp.asarray(rng.normal(size=(2, 12)))
            y = jnp.asarray(rng.normal())
            delta = attack(problem, w, x @ w - y, 0.6)
            assert float(problem.norm.size(delta)) == pytest.approx(0.6, rel=1e-12)
            most = float(((x + delta) @ w - y) ** 2)
            exact = (abs(float(x @ w - y)) + 0.6 * float(problem.norm.dual(w))) ** 2
            assert most == pytest.approx(exact, rel=1e-12)
            others = jnp.asarray(rng.normal(size=(300, 12)))
            for other in others[:50]:
                feasible = 0.6 * other / problem.norm.size(other)
                assert float(((x + feasible) @ w - y) ** 2) <= most * (1 + 1e-12)
            climbed = problem.norm.projected(delta + 0.3 * others[0] / 10, jnp.asarray(0.6))
            assert float(((x + climbed) @ w - y) ** 2) <= most * (1 + 1e-12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"signal_scale": 0.0}, "signal_scale = 0"),
        ({"signal": "custom", "signal_vector": (0.0, 0.0)}, "signal_vector"),
        ({"spectrum": [1.0, 0.5]}, "numbers of your own go into eigenvalues, with spectrum"),
        ({"spectrum": "custom"}, r"eigenvalues .* it must have dim = 200 entries"),
        ({"spectrum": "custom", "eigenvalues": (1.0, 2.0), "dim": 3}, "must have dim = 3"),
        ({"attack_norm": "mahalanobis", "attack_metric_exponent": 90.0}, "metric overflows"),
        ({"attack_p": 1.0}, "attack_p = 1"),
        ({"correlation": 1.0}, "correlation = 1"),
        ({"excess_error_budget": 0.0}, "excess_error_budget = 0"),
    ],
)
def test_refusals_name_the_parameter(given, message):
    with pytest.raises(ValueError, match=message):
        predict(**given)


def test_arrays_settle_the_dimension():
    found = predict(spectrum="custom", eigenvalues=(1.0, 0.5, 0.2), attack_radius=0.3)
    again = predict(spectrum="custom", eigenvalues=(1.0, 0.5, 0.2), dim=3, attack_radius=0.3)
    assert found["risk_optimal"] == again["risk_optimal"]
