"""Every law that comes from a study is that study's theory."""

import numpy as np
import pytest
from scipy.special import gamma

import simulator
from simulator.planner import objective
from simulator.planner.laws import law_named
from simulator.planner.laws.chains import effective_tokens, harmonic_squares
from simulator.runtime.compilation import float64_on_cpu
from tests.planner.test_fit import theta_of


def predicted(law, columns, truth):
    """The law at given parameters."""
    centre = {}
    features = law.prepare(columns, centre)
    count = len(columns["tokens"])
    rows = objective.padded(features, np.zeros(count), np.ones(count))
    theta = theta_of(law, truth, centre)
    with float64_on_cpu():
        return np.exp(objective.many_residuals(law, rows, theta, target=0.0)[0][:count])


# --------------------------------------------------------------------------------------------
# strong-collapse
# --------------------------------------------------------------------------------------------
def test_synthetic_share_is_least_squares_on_a_mixture():
    """theta = 1 in u = d / (n - d - 1): K = sigma^2 d, rho = c^2 / sigma^2, m = sigma^2 d / c^2."""
    d, sigma, shift = 30, 0.4, 0.09
    n = np.array([120.0, 400.0, 3000.0, 1e5])[:, None]
    q = np.array([0.0, 0.1, 0.3])
    found = simulator.predict(
        "strong-collapse", dim=d, num_samples=n, synthetic_fraction=q, noise_std_real=sigma,
        noise_std_synthetic=sigma, synthetic_shift=shift, ridge=0.0,
    )["test_error"]  # fmt: skip
    inverse = (n - d - 1) / np.ones_like(q)  # the law in 1 / (n - d - 1) is exact up to O(1/n)
    truth = {"E": 1e-9, "K": sigma**2 * d, "theta": 1.0, "rho": shift / sigma**2}
    truth["m"] = sigma**2 * d / shift
    law = law_named("synthetic-share")
    columns = {
        "tokens": inverse.ravel(),
        "synthetic_fraction": np.broadcast_to(q, inverse.shape).ravel(),
    }
    made = predicted(law, columns, truth).reshape(inverse.shape)
    np.testing.assert_allclose(made, found, rtol=2.4e-3)
    plain = columns | {"tokens": np.broadcast_to(n, inverse.shape).ravel()}
    off = predicted(law, plain, truth).reshape(inverse.shape)
    assert np.abs(off / found - 1).max() > 0.05  # 1 / n is not d / (n - d - 1)


def tuned_ridge(n, q, shift_spectrum, dim=20_000, beta=1.5, source=0.5, noise=0.25):
    """The best ridge of each (n, q), by the theory's formula, written out, on a grid of kappa."""
    rank = np.arange(1.0, dim + 1)
    spectrum, signal = rank**-beta, rank ** -(1 + 2 * beta * source)
    signal /= signal.sum()
    kappa = np.geomspace(1e-7, 3, 300)
    kept = [spectrum / (spectrum + k) for k in kappa]
    df1, df2 = (np.array([np.sum(x**j) for x in kept]) for j in (1, 2))
    bias = np.array([signal @ (1 - x) ** 2 for x in kept])
    learnt, missed = (np.array([shift_spectrum @ y**2 for y in ys])
                      for ys in (kept, [1 - x for x in kept]))  # fmt: skip
    best = np.empty((len(n), len(q)))
    for index in np.ndindex(best.shape):
        size, share = n[index[0]], q[index[1]]
        u = df2 / (size - df2)
        error = (1 + u) * bias + u * noise + share**2 * (learnt + u * missed)
        error += share * (1 - share) * u * shift_spectrum.sum()
        at = np.argmin(np.where(df1 < size, error, np.inf))
        best[index] = kappa[at] * (1 - df1[at] / size)
    return best


@pytest.mark.slow  # a theory of 20,000 directions
@pytest.mark.parametrize(
    ("profile", "law", "rms"),
    [
        ("whitened", "synthetic-share", 0.012),
        ("signal", "synthetic-share-additive", 0.009),
        ("isotropic", "synthetic-share-additive", 0.035),
    ],
)
def test_share_laws_are_those_of_tuned_ridge_regression(profile, law, rms):
    """theta is the noisy exponent 2 r / (2 r + 1/beta) = .6; the other law does not fit."""
    n, q = np.array([1000, 3162, 10_000, 31_623, 100_000]), np.array([0, 0.03, 0.1, 0.2, 0.3])
    rank, shift = np.arange(1.0, 20_001), 0.5
    weights = {"whitened": rank**0, "isotropic": rank**-1.5, "signal": rank**-2.5}[profile]
    ridge = tuned_ridge(n, q, shift * weights / weights.sum())
    found = simulator.predict(
        "strong-collapse", dim=20_000, num_samples=n[:, None], synthetic_fraction=q, ridge=ridge,
        noise_std_real=0.5, noise_std_synthetic=0.5, spectrum="power_law", spectrum_exponent=1.5,
        source_exponent=0.5, synthetic_shift=shift, shift_profile=profile,
    )["test_error"]  # fmt: skip
    size, share = np.broadcast_arrays(n[:, None], q)
    table = {"tokens": size.ravel(), "q": share.ravel(), "loss": np.ravel(found)}
    fit = simulator.fit(table, law, huber="inf", holdout="none")
    assert fit.constants["theta"] == pytest.approx(0.6, abs=0.005)
    assert np.sqrt(2 * fit.certificate.f / 25) < rms
    if profile == "whitened":
        m, rho = 0.25 * 20_000 / shift, shift / 0.25
        assert fit.constants["m"] == pytest.approx(m, rel=0.1)
        assert fit.constants["rho"] == pytest.approx(rho, rel=0.4)
    else:
        other = simulator.fit(table, "synthetic-share", huber="inf", holdout="none")
        assert np.sqrt(2 * other.certificate.f / 25) > 0.08


# --------------------------------------------------------------------------------------------
# tail-collapse
# --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("cutoff", [50, 1000])
def test_tail_mixture_is_the_sum_over_ranks(cutoff):
    """With the loss scale it is the exact sum at all sizes; T_k has the half rank."""
    beta = 1.5
    t = np.geomspace(100, 1e6, 9)
    shares = np.array([0.0, 0.001, 0.1])
    found = simulator.predict(
        "tail-collapse", num_samples=t[:, None], real_fraction=shares, cutoff=float(cutoff),
        zipf_exponent=beta, sampling="poisson",
    )["test_error"]  # fmt: skip
    zeta = 2.612375348685488
    truth = {"E": 1e-12, "c": 1 - 1 / beta}
    truth["T_k"] = (cutoff + 0.5) ** beta * zeta
    # Its own sum of p exp(-T p): K = Gamma(c) A^{1/beta} / beta with p = i^-beta / zeta.
    truth["K"] = gamma(truth["c"]) * zeta ** (-1 / beta) / beta
    law = law_named("tail-mixture", scale=1.0)
    columns = {"tokens": np.repeat(t, 3), "real_fraction": np.tile(shares, 9)}
    made = predicted(law, columns, truth).reshape(found.shape)
    np.testing.assert_allclose(made, found, rtol=2e-5)
    wrong = truth | {"T_k": cutoff**beta * zeta}
    off = predicted(law, columns, wrong).reshape(found.shape)
    assert np.max(np.abs(off / found - 1)) > (3e-3 if cutoff == 50 else 2e-4)


def test_a_chain_of_token_generators():
    sizes = [0.63212056, 0.46853639, 0.37408231, 0.31207971, 0.26807682]
    np.testing.assert_allclose(effective_tokens(7.0, np.arange(2, 7), 7.0) / 7, sizes, atol=5e-9)
    # Unequal sizes: T_1 = T_2 = 50 tokens of generators, 20 of the last.
    last = 50 * -np.expm1(-20 / 50)
    assert effective_tokens(20.0, 2, 50.0) == pytest.approx(last)
    third = 50 * -np.expm1(np.expm1(-20 / 50))
    assert effective_tokens(20.0, 3, 50.0) == pytest.approx(third)


# --------------------------------------------------------------------------------------------
# ridge-collapse
# --------------------------------------------------------------------------------------------
def test_replacing_chain_of_least_squares():
    d, sigma, sigma0, t0 = 20, 0.5, 0.3, 90
    t = np.array([60.0, 200.0, 1000.0])
    found = np.array([
        simulator.predict("ridge-collapse", dim=d, num_samples=t, num_samples_generator=t0,
                          num_generations=g - 1, noise_std=sigma, noise_std_generator=sigma0,
                          ridge=0.0)["test_error"]
        for g in (1, 2, 4)
    ])  # fmt: skip
    truth = {"E": 1e-12, "A": sigma**2 * d, "H": sigma0**2 * d / (t0 - d - 1), "alpha": 1.0}
    columns = {"tokens": np.tile(t - d - 1, 3), "generation": np.repeat([1.0, 2.0, 4.0], 3)}
    made = predicted(law_named("generations"), columns, truth).reshape(found.shape)
    np.testing.assert_allclose(made, found, rtol=1e-6)


def test_accumulating_chain_of_least_squares():
    """The same design every time: sigma^2 d / (T - d - 1) sum 1 / i^2, by Monte-Carlo."""
    np.testing.assert_allclose(
        harmonic_squares(np.arange(1, 6)), [1, 1.25, 1.36111111, 1.42361111, 1.46361111], atol=5e-9
    )
    rng = np.random.default_rng(0)
    d, t, generations, replicates = 5, 12, 4, 4000
    errors = np.zeros((replicates, generations))
    for r in range(replicates):
        x = rng.standard_normal((t, d))
        solve = np.linalg.pinv(x)
        labels, weight = [], np.zeros(d)
        for g in range(generations):
            labels.append(x @ weight + rng.standard_normal(t))
            weight = solve @ np.mean(labels, axis=0)
            errors[r, g] = weight @ weight
    truth = {"E": 1e-12, "A": float(d), "alpha": 1.0}
    columns = {"tokens": np.full(generations, t - d - 1.0), "generation": np.arange(1.0, 5.0)}
    made = predicted(law_named("accumulate"), columns, truth)
    z = (errors.mean(axis=0) - made) / (errors.std(axis=0) / np.sqrt(replicates))
    assert np.all(np.abs(z) < 4), z
