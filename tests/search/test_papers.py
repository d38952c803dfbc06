"""Best penalties, weights, widths and powers, thresholds and exchange rates of the studies.

Reference values: closed forms, sums over ranks, and what the papers and their authors print.
"""

import re

import numpy as np
import pytest
from scipy import optimize, special

import simulator
from simulator.studies.robustness.adversarial_training._any_order import ANY_ORDER
from tests.cases import adversarial_training as adversarial
from tests.cases import adversarial_training_mahalanobis as mahalanobis


def test_best_ridge_of_isotropic_regression():
    """lambda = sigma^2 d / n, on either side of n = d; the slope of the error there is 0."""
    n = np.array([170, 900])
    found = simulator.optimise(
        "ridge-collapse", "test_error", {"ridge": (1e-6, 1e2)}, num_samples=n, dim=300,
        num_generations=0, noise_std=0.6,
    )  # fmt: skip
    np.testing.assert_allclose(found["ridge"], 0.6**2 * 300 / n, rtol=1e-9)
    assert (found["gradient_norm"] < 1e-12).all()
    assert not found["at_boundary"].any()


@pytest.mark.parametrize(
    ("num_samples", "num_generations", "ridge", "error"),
    [(150, 5, 2.944239, 0.835377), (900, 10, 2.815122, 0.766521), (900, 5, 1.253250, None)],
)
def test_best_ridge_after_generations(num_samples, num_generations, ridge, error):
    """Minima of the U-shape, found by gradient descent: one program for all generations."""
    found = simulator.optimise(
        "ridge-collapse", "test_error", {"ridge": (1e-3, 100)}, dim=300,
        num_samples=num_samples, num_samples_generator=600, num_generations=num_generations,
    )  # fmt: skip
    assert float(found["ridge"]) == pytest.approx(ridge, rel=1e-4)
    if error is not None:
        assert float(found["test_error"]) == pytest.approx(error, rel=2e-6)


def test_best_mixing_weight():
    found = simulator.optimise(
        "strong-collapse", "test_error", {"mixing_weight": (0, 1)}, weighting="mixing",
        num_samples=[2000, 20_000, 200_000], dim=100, synthetic_fraction=0.5, ridge=0.0,
        noise_std_real=1.0, noise_std_synthetic=0.5, synthetic_shift=1.0,
    )  # fmt: skip
    np.testing.assert_allclose(found["mixing_weight"], [0.083485, 0.0097828, 0.00099776], rtol=5e-5)
    np.testing.assert_allclose(found["test_error"], [0.100151, 0.01000024, 0.001], rtol=6e-6)


@pytest.mark.slow
def test_best_width_is_finite():
    found = simulator.optimise(
        "strong-collapse.random-projections", "test_error", {"width": (1, 1e8)}, dim=600,
        num_samples=500, synthetic_fraction=0.2, ridge=0.01, noise_std_real=0.1,
        noise_std_synthetic=0.1, synthetic_shift=1.0,
    )  # fmt: skip
    assert float(found["width"]) == pytest.approx(1336, rel=5e-4)
    assert float(found["test_error"]) == pytest.approx(0.9901, abs=5e-5)
    assert not found["at_boundary"]


#: Tuned errors by synthetic fraction, at n = 1e3, 1e4, 1e5, 1e6, as printed.
TUNED = {
    0.0: ("0.00138181", "0.00031202", "6.351e-5", "9.17e-6"),
    0.01: ("0.00206711", "0.00049532", "0.00013848", "7.234e-5"),
    0.1: ("0.0058252", "0.00199799", "0.00135943", "0.00128566"),
    0.3: ("0.01173611", "0.00570897", "0.00489582", "0.00481012"),
}


def test_tuned_penalty_on_a_power_law():
    found = simulator.optimise(
        "strong-collapse", "test_error", {"ridge": (1e-8, 10.0)}, dim=1000, spectrum="power_law",
        num_samples=[10**3, 10**4, 10**5, 10**6], synthetic_fraction=np.c_[list(TUNED)],
        noise_std_real=0.1, noise_std_synthetic=0.1, synthetic_shift=1.0, points=17,
    )  # fmt: skip
    assert found["test_error"].dims == ("synthetic_fraction", "num_samples")
    for row, texts in zip(found["test_error"].values, TUNED.values(), strict=True):
        for value, text in zip(row, texts, strict=True):
            digits, _, power = text.partition("e")
            unit = 10.0 ** (int(power or 0) - len(digits.split(".")[1]))
            assert value == pytest.approx(float(text), abs=0.51 * unit, rel=0)


# --------------------------------------------------------------------------------------------
# What synthetic data are worth
# --------------------------------------------------------------------------------------------
def real_samples(study, **setting):
    """Number of real samples, without synthetic ones, that reach the same error."""
    error = float(simulator.predict(study, **setting)["test_error"])
    clean = setting | {"synthetic_fraction": 0.0}
    del clean["num_samples"]
    over = {"num_samples": (1, 1e15)}
    # Where the clean error is not monotone, more samples than the largest solution are better.
    found = simulator.solve(study, "test_error", equals=error, over=over, which="largest", **clean)
    return error, float(found["num_samples"])


def test_worth_of_a_synthetic_sample_by_hand():
    """Least squares: sigma^2 d / (n1' - d - 1) = E(n1, n2); a bad one does harm."""
    setting = {
        "dim": 20, "num_samples": 80, "synthetic_fraction": 0.25, "ridge": 0.0,
        "noise_std_real": 0.7, "noise_std_synthetic": 0.4,
    }  # fmt: skip
    error, needed = real_samples("strong-collapse", synthetic_shift=0.02, **setting)
    assert needed == pytest.approx(21 + 0.49 * 20 / error, rel=1e-12)
    assert needed > 60
    assert real_samples("strong-collapse", synthetic_shift=5.0, **setting)[1] < 60


@pytest.mark.slow
def test_clean_synthetic_samples_are_worth_a_real_one():
    setting = {
        "dim": 50, "width": 30, "num_samples": 90, "synthetic_fraction": 0.3,
        "synthetic_shift": 0.0, "ridge": 0.02,
    }  # fmt: skip
    _, needed = real_samples("strong-collapse.random-projections", **setting)
    assert needed == pytest.approx(90, rel=1e-9)


@pytest.mark.slow
def test_real_samples_that_never_suffice():
    """A penalty that hurts real data more than synthetic data helps the mixture."""
    setting = {
        "dim": 50, "num_samples": 4000, "synthetic_fraction": 1.0, "ridge": 0.5,
        "synthetic_shift": 0.25, "shift_profile": "signal", "shift_correlation": 1.0,
    }  # fmt: skip
    with pytest.raises(simulator.NoSolution, match="the values found there lie between"):
        real_samples("strong-collapse", **setting)


# --------------------------------------------------------------------------------------------
# When real data recover a lost tail
# --------------------------------------------------------------------------------------------
def half_recovered(beta, cutoff, real_fraction):
    """The T at which ``sum_{i > k} p_i exp(-pi T p_i)`` is half of ``sum_{i > k} p_i``."""
    a, last = 1 / special.zeta(beta), 300_000
    ranks = np.arange(cutoff + 1, last)

    def density(x, rate):
        return a * x**-beta * np.exp(-rate * a * x**-beta)

    def unseen(rate):  # direct sum, then Euler and Maclaurin's
        edge = rate * a * last**-beta
        c = 1 - 1 / beta
        rest = (rate * a) ** (1 / beta) / (beta * rate) * special.gammainc(c, edge)
        slope = density(last, rate) * (edge - 1) * beta / last
        whole = density(ranks, rate).sum() + rest * special.gamma(c)
        return whole + density(last, rate) / 2 - slope / 12

    lost = a * special.zeta(beta, cutoff + 1)
    guess = 1 / (a * cutoff**-beta)
    rate = optimize.brentq(lambda r: unseen(r) / lost - 0.5, guess / 10, 1000 * guess, rtol=1e-14)
    return rate / real_fraction


@pytest.mark.parametrize(
    ("beta", "cutoff", "real_fraction"), [(1.5, 2000, 1e-3), (1.15, 60, 0.02), (2.4, 9, 0.04)]
)
def test_when_half_of_a_lost_tail_is_recovered(beta, cutoff, real_fraction):
    """By then the head has been seen: the error is that of the tail."""
    shares = real_fraction * np.array([1.0, 1 / 7])
    lost = 1 / special.zeta(beta) * special.zeta(beta, cutoff + 1)
    found = simulator.solve(
        "tail-collapse", "test_error", equals=lost / 2, over={"num_samples": (10, 1e15)},
        which="largest", zipf_exponent=beta, cutoff=cutoff, real_fraction=shares,
        sampling="poisson",
    )  # fmt: skip
    expected = half_recovered(beta, cutoff, shares)
    np.testing.assert_allclose(found["num_samples"], expected, rtol=1e-8)


# --------------------------------------------------------------------------------------------
# Attacks and memories
# --------------------------------------------------------------------------------------------
ALPHAS, RADII = np.array(list(adversarial.BEST_ADVERSARIAL_ERROR)).T


@pytest.mark.parametrize(
    "position", [2, *(pytest.param(i, marks=pytest.mark.slow) for i in (0, 1, 3))]
)
def test_best_regularization_reproduces_the_table(position):
    found = simulator.optimise(
        "adversarial-training", "adversarial_error", {"regularization": (1e-4, 10.0)},
        sample_ratio=ALPHAS, attack_radius_train=RADII, attack_radius_test=RADII,
        penalty_order=(1.0, 1.5, 2.0, 3.0)[position], points=17,
    )  # fmt: skip
    table = np.array([row[position] for row in adversarial.BEST_ADVERSARIAL_ERROR.values()])
    printed = np.where(table == 0.463, 1e-3, 1e-4)  # units of the last digit
    assert (np.abs(found["adversarial_error"].values - table) < 0.6 * printed).all()


@pytest.mark.slow
def test_best_order_of_the_penalty():
    """No worse than any order of the table, and the order falls as the attack grows."""
    radii = np.array([0.01, 0.4])
    found = simulator.optimise(
        ANY_ORDER, "adversarial_error",
        {"regularization": (1e-4, 10.0), "penalty_order": (1.02, 3.0)},
        attack_radius_train=radii, attack_radius_test=radii,
    )  # fmt: skip
    for radius, error in zip(radii, found["adversarial_error"].values, strict=True):
        assert error < min(adversarial.BEST_ADVERSARIAL_ERROR[1.0, radius]) + 5e-5
    weak, strong = found["penalty_order"].values
    assert 1.02 < strong < 1.5 < weak < 3
    assert not found["at_boundary"].any()
    assert (found["gradient_norm"] < 1e-7).all()


@pytest.mark.slow
def test_best_regularization_reproduces_the_mahalanobis_table():
    alphas, radii = np.array(list(mahalanobis.BEST_ADVERSARIAL_ERROR)).T
    for position, penalty in enumerate(((1, 5), (1, 1), (1, 0.2))):
        found = simulator.optimise(
            "adversarial-training.mahalanobis", "adversarial_error",
            {"regularization": (1e-4, 10.0)}, sample_ratio=alphas, attack_radius_train=radii,
            attack_radius_test=radii, spectrum=mahalanobis.two_blocks(*penalty),
        )  # fmt: skip
        table = [row[position] for row in mahalanobis.BEST_ADVERSARIAL_ERROR.values()]
        np.testing.assert_allclose(found["adversarial_error"], table, atol=6e-5)


@pytest.mark.slow
def test_best_penalty_spectrum_beats_the_table_and_matches_its_attack():
    """Every block's strength is free; the attack's geometry is (1, 5)."""
    dual = mahalanobis.BEST_ADVERSARIAL_ERROR[1.0, 0.3][0]
    found = simulator.optimise(
        "adversarial-training.mahalanobis", "adversarial_error",
        {"spectrum[0, 4]": (1e-4, 1e3), "spectrum[1, 4]": (1e-4, 1e3)}, regularization=1.0,
        attack_radius_train=0.3, attack_radius_test=0.3, spectrum=mahalanobis.two_blocks(1, 5),
    )  # fmt: skip
    assert found["adversarial_error"] < dual + 5e-5
    assert found["spectrum[1, 4]"] > found["spectrum[0, 4]"]
    assert float(found["gradient_norm"]) < 1e-7
    refused = re.escape("name one entry of spectrum, an array of shape (2, 5)")
    with pytest.raises(ValueError, match=refused):
        simulator.optimise(
            "adversarial-training.mahalanobis", "adversarial_error", {"spectrum[2, 4]": (0.1, 1)}
        )


@pytest.mark.slow
def test_best_power_of_a_memory():
    setting = {"num_tokens": 24, "num_classes": 4, "zipf_exponent": 1.3, "dim": 14}
    found = simulator.optimise(
        "associative-memory",
        "test_error",
        {"scheme_exponent": (0, 2)},
        points=17,
        threshold=20,
        **setting,
    )
    best = float(found["scheme_exponent"])
    assert 0.05 < best < 1
    powers = np.append(np.linspace(0, 2, 13), [best - 0.02, best, best + 0.02])
    error = simulator.predict(
        "associative-memory", scheme_exponent=powers, threshold=20, **setting
    )["test_error"]
    assert np.argmin(error) == len(powers) - 2


def test_the_step_at_which_mixing_has_repaired_enough():
    """An output along a dim: the fresh share that the second step needs."""
    setting = {"dim": 6, "num_samples": 40, "num_steps": 2, "ridge": 0.05}
    over, at = {"synthetic_fraction": (0.05, 0.95)}, {"step": 2}
    known = simulator.predict("strong-collapse.multi-step", synthetic_fraction=0.37, **setting)
    found = simulator.solve(
        "strong-collapse.multi-step", "test_error", equals=float(known["test_error"][2]),
        over=over, at=at, **setting,
    )  # fmt: skip
    assert float(found["synthetic_fraction"]) == pytest.approx(0.37, rel=1e-9)
