"""tail-collapse: limits, exponents, spreads, samplers."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import simulator
from simulator.maths import zipf
from simulator.runtime.compilation import jit_on_cpu
from simulator.studies.collapse.tail_collapse._model import poisson_outcome, rank_cells
from tests.cases import load

STUDIES = ["tail-collapse", "tail-collapse.generations", "tail-collapse.bigram"]


def predict(**params):
    return simulator.predict("tail-collapse", **params)


@pytest.mark.parametrize("name", STUDIES)
def test_reference_theory_is_within_five_errors_of_the_independent_monte_carlo(name):
    for case in load(name).cases:
        for output, (mean, error) in case.monte_carlo.items():
            value = case.expected[output]  # which the theory reproduces
            # Chains of multinomial samples deviate by O(n / T) from the Poisson formula.
            allowed = 5 * error
            if case.params.get("sampling") == "multinomial":
                allowed += value * case.params.get("num_generations", 5) / 1000
            assert abs(value - mean) < allowed, (case.label, output)


SAMPLING = pytest.mark.parametrize("sampling", ["multinomial", "poisson"])


@pytest.mark.parametrize(
    "sampling", ["multinomial", pytest.param("poisson", marks=pytest.mark.slow)]
)
def test_error_falls_with_samples_cutoff_and_real_fraction(sampling):
    common = {"zipf_exponent": 1.3, "sampling": sampling}
    error = predict(num_samples=np.geomspace(2, 1e11, 40), cutoff=80, **common)["test_error"]
    assert np.all(np.diff(error) <= 1e-14)
    # Beyond T^(1/beta) a cut takes no token that would be seen, and the others occur more often.
    cuts = np.array([1, 2, 5, 30, 300, 1500])
    error = predict(num_samples=3e4, cutoff=cuts, **common)["test_error"]
    assert np.all(np.diff(error) <= 1e-14)
    shares = np.linspace(0, 1, 9)
    error = predict(num_samples=3e4, cutoff=80, real_fraction=shares, **common)["test_error"]
    assert np.all(np.diff(error) < 0)


@SAMPLING
def test_limits_of_cut_mixture_and_narrowing(sampling):
    common = {"zipf_exponent": 1.35, "num_samples": 3e3, "sampling": sampling}
    clean = predict(**common)["test_error"]
    far = predict(cutoff=1e13, **common)["test_error"]
    np.testing.assert_allclose(far, clean, rtol=1e-3)
    real = predict(cutoff=7, real_fraction=1.0, zipf_exponent_synthetic=2.2, **common)
    np.testing.assert_allclose(real["test_error"], clean, rtol=1e-12)
    almost = predict(zipf_exponent_synthetic=1.35 + 1e-9, **common)["test_error"]
    np.testing.assert_allclose(almost, clean, rtol=1e-7)
    ignored = predict(zipf_exponent_synthetic=1.2, **common)["test_error"]
    assert ignored == clean


@SAMPLING
def test_synthetic_data_alone_cannot_beat_the_plateau(sampling):
    samples = np.geomspace(3, 1e12, 25)
    outputs = predict(
        zipf_exponent=1.2,
        num_samples=samples,
        cutoff=90,
        zipf_exponent_synthetic=1.6,
        sampling=sampling,
    )
    assert np.all(outputs["test_error"] >= outputs["plateau_error"] * (1 - 1e-12))
    np.testing.assert_allclose(outputs["test_error"][-1], outputs["plateau_error"][-1], rtol=1e-9)


def test_exponents_of_clean_and_narrowed_data():
    t = 4e7
    for beta in (1.15, 1.6, 2.3):
        clean = predict(zipf_exponent=beta, num_samples=[t, 2 * t], sampling="poisson")
        slope = -np.log2(clean["test_error"][1] / clean["test_error"][0])
        np.testing.assert_allclose(slope, 1 - 1 / beta, atol=1e-9)
        narrow = predict(
            zipf_exponent=beta,
            zipf_exponent_synthetic=1.7 * beta,
            num_samples=[t, 2 * t],
            sampling="poisson",
        )
        slope = -np.log2(narrow["test_error"][1] / narrow["test_error"][0])
        np.testing.assert_allclose(slope, (beta - 1) / (1.7 * beta), atol=1e-6)


def test_multinomial_and_poisson_differ_by_the_stated_term():
    """multinomial / poisson - 1 = -c (1 + c) / (2T) + O(1/T^2)."""
    beta, t = 1.7, 5e3
    c = 1 - 1 / beta
    fixed, random = (
        predict(zipf_exponent=beta, num_samples=t, sampling=s)["test_error"]
        for s in ("multinomial", "poisson")
    )
    assert abs((fixed / random - 1) * 2 * t / (c * (1 + c)) + 1) < 1e-3


def test_the_spread_is_the_closed_form():
    """Poisson: A^{1/b} T^{1/b-2} Gamma(2-1/b) (1 - 2^{1/b-2}) / b."""
    beta, t = 1.6, 1e6
    a, power = 1 / special.zeta(beta), 1 / beta - 2
    variance = a ** (1 / beta) * t**power * (1 - 2.0**power) / beta
    variance *= np.exp(float(jax.scipy.special.gammaln(-power)))
    std = predict(zipf_exponent=beta, num_samples=t, sampling="poisson")["test_error_std"]
    np.testing.assert_allclose(std**2, variance, rtol=1e-5)


def test_the_spread_of_a_fixed_number_of_tokens_is_exact():
    """All covariances token by token; a cut leaves finitely many tokens that can vary."""
    beta, k = 1.6, 40
    p = np.arange(1, k + 1.0) ** -beta
    q = p / p.sum()
    p = p / special.zeta(beta)
    for t in (1, 2, 3, 6, 50, 400):
        both = np.maximum(1 - q[:, None] - q, 0) ** t  # neither token occurs
        both[np.diag_indices(k)] = (1 - q) ** t
        covariance = both - np.outer((1 - q) ** t, (1 - q) ** t)
        found = predict(zipf_exponent=beta, num_samples=t, cutoff=k)["test_error_std"]
        np.testing.assert_allclose(found**2, p @ covariance @ p, rtol=1e-12 if t < 5 else 3e-4)


def test_a_cut_beyond_the_reach_of_the_sample_helps():
    """The error is not monotone in k: tokens that T draws would hardly meet only dilute the rest.

    d E / d k ~ p_k (T sum_i p_i^2 e^{-T p_i} - T p_k + ...), positive for k >> T^{1/beta}.
    """
    beta, t, k, replicates = 1.3, 20, 16, 1000
    clean, cut = (predict(zipf_exponent=beta, num_samples=t, cutoff=c) for c in (np.inf, k))
    assert cut["test_error"] < 0.93 * clean["test_error"]
    rng = np.random.default_rng(5)
    a = 1 / special.zeta(beta)

    def error(law):
        tokens = (np.unique(law()) for _ in range(replicates))
        return np.array([1 - a * np.sum(seen.astype(float) ** -beta) for seen in tokens])

    p = np.arange(1, k + 1.0) ** -beta
    errors_clean = error(lambda: rng.zipf(beta, t))
    errors_cut = error(lambda: rng.choice(k, t, p=p / p.sum()) + 1)
    for found, expected in ((errors_clean, clean), (errors_cut, cut)):
        gap = found.mean() - expected["test_error"]
        assert abs(gap) < 5 * found.std() / np.sqrt(replicates)


def _naive(rng, beta, t, replicates):
    """Token by token: exact Zipf draws (NumPy), distinct tokens, their real mass."""
    a = 1 / special.zeta(beta)
    errors, distinct = [], []
    for _ in range(replicates):
        seen = np.unique(rng.zipf(beta, t)).astype(float)
        errors.append(1 - a * np.sum(seen**-beta))
        distinct.append(len(seen))
    return np.array(errors), np.array(distinct)


@pytest.mark.parametrize("method", ["fast", pytest.param("direct", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("beta", "t"), [(1.9, 40), pytest.param(1.6, 600, marks=pytest.mark.slow)])
def test_simulations_have_the_law_of_the_naive_loop(method, beta, t):
    replicates = 1000
    found = simulator.simulate(
        "tail-collapse",
        method=method,
        replicates=replicates,
        zipf_exponent=beta,
        num_samples=float(t),
        keep_values=True,
    ).values
    errors, distinct = _naive(np.random.default_rng(1), beta, t, replicates)
    assert stats.ks_2samp(np.round(found["test_error"], 9), np.round(errors, 9)).pvalue > 1e-4
    assert stats.ks_2samp(np.round(found["num_distinct_tokens"]), distinct).pvalue > 1e-4
    gap = found["num_distinct_tokens"].mean() - distinct.mean()
    assert abs(gap) < 5 * np.sqrt(2 * distinct.var() / replicates)


@SAMPLING
def test_a_trillion_tokens(sampling):
    found = simulator.simulate(
        "tail-collapse",
        replicates=600,
        num_samples=1e12,
        zipf_exponent=1.5,
        sampling=sampling,
        keep_values=True,
    ).values["test_error"]
    theory = predict(num_samples=1e12, zipf_exponent=1.5, sampling=sampling)
    np.testing.assert_allclose(theory["test_error"], 9.415595e-5, rtol=1e-6)
    std = theory["test_error_std"]
    assert abs(found.mean() - theory["test_error"]) < 5 * std / np.sqrt(600)
    assert abs(found.std() / std - 1) < 5 / np.sqrt(2 * 600)


@pytest.mark.parametrize(
    ("beta", "cutoff", "t"),
    [(1.05, 2, 6), (1.05, 2, 2), (1.5, 40, 7), (1.1, 300, 12), (2.0, 3, 50)],
)
def test_the_spread_of_few_tokens_is_exact(beta, cutoff, t):
    """All pairs, summed as they stand."""
    ranks = np.arange(1.0, cutoff + 1)
    p, q = ranks**-beta / special.zeta(beta), ranks**-beta / np.sum(ranks**-beta)
    missed = (1 - q) ** t
    covariance = (1 - q[:, None] - q) ** t - missed[:, None] * missed
    np.fill_diagonal(covariance, missed * (1 - missed))
    found = predict(zipf_exponent=beta, cutoff=cutoff, num_samples=t)["test_error_std"]
    np.testing.assert_allclose(found, np.sqrt(p @ covariance @ p), rtol=1e-12)


def test_slope_where_real_data_begin():
    """E = sum_i p_i (1 - q_i)^T at cutoff 50: d/d pi = -T sum_i p_i (1 - q_i)^(T-1) (p_i - s_i)."""
    beta, cutoff, t = 1.5, 50, 1000.0
    with jax.enable_x64(True):
        study = simulator.get("tail-collapse")
        params = study.params(
            zipf_exponent=beta,
            num_samples=t,
            cutoff=float(cutoff),
            zipf_exponent_synthetic=0.0,
            real_fraction=0.0,
            sampling="multinomial",
        )

        def error(pi):
            return study.theory(replace(params, real_fraction=pi))["test_error"]

        found = jax.jit(jax.grad(error))(0.0)
    ranks = np.arange(1.0, cutoff + 1)
    p, s = ranks**-beta / special.zeta(beta), ranks**-beta / np.sum(ranks**-beta)
    right = -t * np.sum(p * (1 - s) ** (t - 1) * (p - s))
    right -= t * special.zeta(2 * beta, cutoff + 1) / special.zeta(beta) ** 2
    np.testing.assert_allclose(found, right, rtol=1e-9)
    np.testing.assert_allclose(found, -0.02731995, rtol=1e-6)


def test_missed_mass_and_missed_number_of_blocks_move_together():
    """Their covariance, rank by rank: every missed token is one less that is seen."""
    with jax.enable_x64(True):
        cells = rank_cells(zipf.training_law(1.4, 5000.0), 64)
        every = jnp.ones(64, bool)
        draw = jit_on_cpu(jax.vmap(lambda key: poisson_outcome(key, cells, 300.0, every)))
        outcome = draw(jax.random.split(jax.random.key(3), 4000))
    found = np.cov(outcome.unseen_mass, outcome.num_distinct)
    p = np.arange(65, 5001.0) ** -1.4 / special.zeta(1.4)
    missed = np.exp(-300 * p / (1 - special.zeta(1.4, 5001) / special.zeta(1.4)))
    variance = missed * (1 - missed)
    expected = -np.sum(p * variance)
    error = np.sqrt((found[0, 0] * found[1, 1] + expected**2) / 4000)
    # Within a block p varies a little, and the two are drawn as if it did not.
    assert abs(found[0, 1] - expected) < 5 * error + 0.01 * abs(expected)
