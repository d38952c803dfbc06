"""Properties of the three studies of arXiv 2310.02984, and literal simulations to judge them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

import simulator
from simulator.maths.zipf import finite_law
from simulator.runtime.compilation import jit_on_cpu
from simulator.sampling import counts
from simulator.studies.memory.associative_memory import _theory as _errors
from simulator.studies.memory.associative_memory import sgd
from simulator.studies.memory.associative_memory._simulation import vectors, wrong
from tests.cases import load

SMALL = {"num_tokens": 24, "num_classes": 4, "zipf_exponent": 1.3, "dim": 14}


def predict(name="associative-memory", **params):
    return simulator.predict(name, **{**SMALL, **params})


@pytest.mark.parametrize("name", ["", ".finite-data", ".sgd"])
def test_reference_theory_is_near_the_independent_monte_carlo(name):
    accuracy = {"": 0.0, ".finite-data": 0.03, ".sgd": 0.06}[name]
    for case in load("associative-memory" + name).cases:
        for output, (mean, error) in case.monte_carlo.items():
            gap = abs(case.expected[output] - mean)
            assert gap < 5 * error + accuracy * mean, case.label


def test_error_of_two_classes_is_one_gaussian_tail():
    """M = 2: err = E_R Q(q R sqrt(d) / sqrt(Q_0 + Q_1)) with R averaged by quadrature of chi."""
    n, d, alpha, rho = 24, 11, 1.4, 0.6
    q = np.arange(1, n + 1.0) ** (-rho * alpha)
    noise = np.sum(q**2) - q**2
    nodes, weights = np.polynomial.legendre.leggauss(200)
    norms = 6 * (nodes + 1)  # sqrt(d) R, up to 12
    law = 6 * weights * stats.chi(d).pdf(norms)
    expected = stats.norm.sf(np.outer(q / np.sqrt(noise), norms)) @ law
    found = predict(num_tokens=n, num_classes=2, dim=d, zipf_exponent=alpha, scheme_exponent=rho)
    np.testing.assert_allclose(found["per_token_error"], expected, rtol=2e-5)


@pytest.mark.slow
def test_error_falls_with_dimension_down_to_nothing():
    dims = np.array([4, 14, 3000])
    for params in ({"scheme_exponent": 0.4}, {"unembedding": "sphere"}):
        error = predict(dim=dims, **params)["test_error"]
        assert np.all(np.diff(error) < 0)
        assert error[-1] < 1e-6


def test_limits_of_schemes_and_thresholds():
    everything = predict(threshold=24)["per_token_error"]
    np.testing.assert_array_equal(everything, predict()["per_token_error"])
    steep = predict(scheme_exponent=60.0)["per_token_error"]
    only_first = predict(threshold=1)["per_token_error"]
    assert steep[0] < 1e-12
    assert only_first[0] < 1e-12
    # P = 1: tokens of class 0 meet the noise of their own class; the others tie with M - 2.
    np.testing.assert_allclose(only_first[4::4], 1 - 0.5 - 0.5 / 4, atol=0.13)
    np.testing.assert_allclose(only_first[1], 1 - 0.5 / 3, rtol=1e-6)


def test_unstored_tokens_guess_when_classes_are_equally_full():
    out = predict(threshold=12)["per_token_error"]
    np.testing.assert_allclose(out[12:], 1 - 1 / 4, rtol=1e-6)


def test_scale_of_the_weights_does_not_matter():
    weights = np.sqrt(np.geomspace(1, 1e-3, 12))

    def errors(q):
        noise = _errors.noise_of_tokens(q**2, 3)
        return _errors.errors_of_tokens(q, noise, 9.0, "gaussian", "orthonormal")

    with jax.enable_x64(True):
        one, other = jax.jit(jax.vmap(errors))(np.stack([weights, 37 * weights]))
    np.testing.assert_allclose(one, other, rtol=1e-10)


def test_leave_one_out_noise_does_not_cancel():
    squares = np.r_[1.0, 1e-9 * np.arange(1, 12)]
    noise = jax.jit(lambda x: _errors.noise_of_tokens(x, 4))(squares.astype(np.float32))
    np.testing.assert_allclose(noise.own[0], squares[4] + squares[8], rtol=1e-6)


def test_interpolated_errors_are_those_of_the_integral():
    signals = np.geomspace(1e-3, 30, 25)
    own = [0.0, 1e-4, 1.0, 300.0]
    others = [(1.0, 1.3, 0.8), (1e-3, 2.0, 40.0), (0.0, 0.5, 2.0)]

    @jax.jit
    @jax.vmap
    def direct_and_interpolated(own, others):
        noise = _errors.Noise(own, others, jnp.ones(3))
        options = (noise, 9.0, "gaussian", "orthonormal")
        direct = jax.vmap(lambda q: _errors.token_error(q, *options))(signals)
        certain = jax.vmap(lambda p: _errors.mean_token_error(jnp.asarray(signals), p, *options))
        return direct, certain(jnp.eye(25))

    with jax.enable_x64(True):
        direct, interpolated = direct_and_interpolated(
            np.repeat(own, len(others)), np.tile(others, (len(own), 1))
        )
    np.testing.assert_allclose(interpolated, direct, rtol=2e-6, atol=1e-12)


@pytest.mark.slow
def test_optimal_threshold_is_the_best_of_all():
    thresholds = np.arange(1, 17)  # one chunk of the theory
    error = predict(num_tokens=16, dim=8, threshold=thresholds)["test_error"]
    out = predict(num_tokens=16, dim=8, scheme_exponent=0.7, threshold=5)
    assert 1 < int(out["optimal_threshold"]) < 16
    assert int(out["optimal_threshold"]) == thresholds[np.argmin(error)]
    np.testing.assert_allclose(out["optimal_test_error"], error.min(), rtol=1e-10)


@pytest.mark.slow
def test_asymptotic_constant_is_approached():
    """The law of N = inf: at N = 1000 the missing tail costs half a percent more."""
    out = simulator.predict("associative-memory", scheme_exponent=1.0, dim=100)
    assert abs(out["test_error"] / out["test_error_asymptotic"] - 0.984) < 2e-3
    assert np.isinf(predict(scheme_exponent=0.2)["test_error_asymptotic"])
    assert np.isinf(predict(scheme_exponent=1.0, threshold=20)["test_error_asymptotic"])


@pytest.mark.slow
def test_bounds_hold_where_the_theorem_applies():
    for d, rho in ((30, 1.0), (500, 1.0), (10_000, 0.5)):
        out = predict(dim=d, scheme_exponent=rho, unembedding="sphere")
        assert out["test_error_lower_bound"] <= out["test_error"] <= out["test_error_upper_bound"]
    out = predict(scheme_exponent=1.0)
    assert (out["test_error_lower_bound"], out["test_error_upper_bound"]) == (0, 1)


def test_vectors_have_the_inner_products_of_drawn_ones():
    count, d, replicates = 7, 4, 4000  # more vectors than dimensions

    @jax.jit
    def draw(key):
        keys = jax.random.split(key, replicates)
        many = jax.vmap(lambda k: vectors(k, count, d, False))(keys)
        return many, vectors(keys[0], count, d, True)

    factor, unit = (np.asarray(x, float) for x in draw(jax.random.key(0)))
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(replicates, count, d)) / np.sqrt(d)
    for found, plain in (
        (np.einsum("rij,rkj->rik", f, f)[:, 2, 6], np.einsum("rij,rkj->rik", p, p)[:, 2, 6])
        for f, p in ((factor, drawn),)
    ):
        assert stats.ks_2samp(found, plain).pvalue > 1e-4
    gram = np.einsum("rij,rkj->rik", factor, factor)
    assert np.linalg.matrix_rank(gram[0]) == d
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)


@functools.cache
def _literal_errors(replicates):
    """Draw e, form W of the weights ``q = x^(-alpha/2)``, recall (NumPy)."""
    n, m, alpha, d = (SMALL[k] for k in ("num_tokens", "num_classes", "zipf_exponent", "dim"))
    rng = np.random.default_rng(2)
    p = np.arange(1, n + 1.0) ** -alpha
    q = np.sqrt(p)
    f = np.arange(n) % m
    e = rng.normal(size=(replicates, n, d)) / np.sqrt(d)
    w = np.swapaxes(e, 1, 2) @ (np.eye(m, d)[f] * q[:, None])
    w = np.swapaxes(w, 1, 2)
    answers = np.argmax(np.eye(m, d) @ w @ np.swapaxes(e, 1, 2), axis=1)
    return (answers != f) @ p / p.sum()


@pytest.mark.parametrize("method", ["direct", "fast", "conditional"])
def test_simulations_have_the_mean_of_a_literal_memory(method):
    literal = _literal_errors(1500)
    found = simulator.simulate(
        "associative-memory",
        method=method,
        replicates=1500,
        keep_values=True,
        scheme_exponent=0.5,
        **SMALL,
    ).values["test_error"]
    gap = found.mean() - literal.mean()
    assert abs(gap) < 5 * np.sqrt((found.var() + literal.var()) / 1500)
    if method == "direct":
        assert stats.ks_2samp(np.round(found, 9), np.round(literal, 9)).pvalue > 1e-4


# --------------------------------------------------------------------------------------------
# Finite data
# --------------------------------------------------------------------------------------------
def finite(**params):
    return predict("associative-memory.finite-data", **params)


@pytest.mark.slow
def test_no_data_is_chance_and_endless_data_fill_the_memory():
    np.testing.assert_allclose(finite(num_samples=0)["test_error"], 1 - 1 / 4, rtol=1e-9)
    endless = finite(num_samples=1e12)["per_token_error"]
    np.testing.assert_allclose(endless, predict()["per_token_error"], rtol=1e-6)
    frequent = finite(num_samples=1e12, scheme_exponent=0.8)["per_token_error"]
    np.testing.assert_allclose(
        frequent, predict(scheme_exponent=0.8)["per_token_error"], rtol=1e-4, atol=1e-9
    )


def test_cut_tokens_are_never_learned():
    out = finite(num_samples=5e4, cutoff=8, dim=4000)
    assert np.all(out["per_token_error"][:8] < 1e-6)
    np.testing.assert_allclose(out["per_token_error"][8:], 0.75, rtol=1e-3)


# --------------------------------------------------------------------------------------------
# SGD
# --------------------------------------------------------------------------------------------
def test_logit_gap_interpolates_between_frequencies_and_filling():
    visits = np.arange(1.0, 9.0)
    logit_gap = jax.jit(sgd.logit_gap)
    small = logit_gap(visits, 1e-3, 5, 100)
    np.testing.assert_allclose(small / small[0], visits, rtol=5e-3)
    large = logit_gap(visits, 30.0, 5, 100)
    assert float(large[-1] / large[0]) < 1.01
    np.testing.assert_allclose(logit_gap(np.ones(8), 0.7, 5, 9), 0.7, rtol=1e-6)
    one_step = logit_gap(visits, 0.2, 5, 1)
    np.testing.assert_allclose(one_step, 0.2 * visits, rtol=1e-6)


def test_one_large_step_stores_frequencies():
    """B = T from W = 0 is the scheme rho = 1 of the finite-data study."""
    shared = {"num_samples": 200, "zipf_exponent": 1.6, "dim": 25}
    step = predict("associative-memory.sgd", batch_size=200, learning_rate=0.3, **shared)
    stored = finite(scheme_exponent=1.0, **shared)
    np.testing.assert_allclose(step["test_error"], stored["test_error"], rtol=1e-6)


def test_a_step_takes_the_mean_gradient_of_its_batch():
    """Two batches of four, token by token in NumPy, from the same draws."""
    law = np.arange(1, 7.0) ** -1.1
    law = jnp.asarray(law / law.sum(), jnp.float32)

    def by_hand(key):
        key_e, _, key_tokens = jax.random.split(key, 3)
        e = np.asarray(jax.random.normal(key_e, (6, 4)), float) / 2
        w = np.zeros((3, 4))
        for batch in jax.random.split(key_tokens, 2):
            tokens = np.asarray(counts.categorical(counts.uniform(batch, (4,)), law))
            step = np.zeros_like(w)
            for x in tokens:
                chances = np.exp(w @ e[x]) / np.exp(w @ e[x]).sum()
                step += np.outer(np.eye(3)[x % 3] - chances, e[x]) / 4
            w += 6.0 * step
        return np.argmax(e @ w.T, axis=1) != np.arange(6) % 3

    params = sgd.Params(
        num_tokens=6,
        num_classes=3,
        zipf_exponent=1.1,
        dim=4,
        num_samples=8,
        batch_size=4,
        learning_rate=6.0,
    )
    keys = jax.random.split(jax.random.key(5), 40)
    found = jax.jit(jax.vmap(lambda key: sgd.simulate_direct(key, params)))(keys)
    np.testing.assert_array_equal(found["per_token_error"], [by_hand(key) for key in keys])


def test_a_score_that_is_no_number_is_not_a_right_answer():
    scores = np.array([[1, 0], [np.nan, 0], [0, np.nan], [0.5, 0.5], [0, 1]], np.float32)
    expected = [0.0, np.nan, np.nan, 0.5, 1.0]
    np.testing.assert_array_equal(jax.jit(wrong)(scores, np.zeros(5, int)), expected)


@pytest.mark.slow
def test_a_sign_step_beats_a_plain_step():
    """Adam at b1 = b2 = 0 on one large batch: 0.0895 +- 0.0016 against 0.1050."""
    params = sgd.Params(num_tokens=100, dim=80, num_samples=2000, batch_size=2000)
    sign = optax.adam(1.0, b1=0.0, b2=0.0, eps=1e-30)
    p = finite_law(2.0, 100)
    keys = jax.random.split(jax.random.key(4), 150)
    train = jit_on_cpu(lambda keys: jax.lax.map(lambda k: p @ sgd.train(k, params, sign), keys))
    errors = np.asarray(train(keys), float)
    spread = np.sqrt(errors.var() / len(errors) + 0.0016**2)
    assert abs(errors.mean() - 0.0895) < 5 * spread
    assert errors.mean() < 0.1050 - 3 * errors.std() / np.sqrt(len(errors))
