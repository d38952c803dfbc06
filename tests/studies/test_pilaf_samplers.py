"""arXiv 2502.04270: the laws of the seven samplers, and divergences of policies."""

import itertools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from simulator.maths.preferences import (
    SAMPLERS,
    best_of_n_law,
    divergence,
    extrapolated,
    pair_law,
    ranks,
    reverse_divergence,
)
from simulator.runtime.compilation import float64_on_cpu
from simulator.sampling.pairs import draw_pairs
from tests.references import pilaf as reference

BETA = 0.6
POLICY = np.array([0.4, 0.05, 0.2, 0.3, 0.05])
REFERENCE = np.array([0.1, 0.3, 0.2, 0.25, 0.15])
SCORES = np.array([0.3, -0.2, 0.3, 0.9, -0.2])  # with ties


def law(sampler, policy=POLICY, scores=SCORES, count=3):
    with float64_on_cpu():
        logs = jnp.log(jnp.asarray(policy)), jnp.log(jnp.asarray(REFERENCE))
        return np.asarray(pair_law(sampler, *logs, BETA, jnp.asarray(scores), count))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_pairs_have_the_declared_law(sampler):
    """200,000 pairs drawn by the recipe, in every cell of the law."""
    count, expected = 200_000, law(sampler)
    assert expected.sum() == pytest.approx(1, abs=1e-14)
    laws = jnp.log(POLICY)[None], jnp.log(REFERENCE)[None]
    a, b = draw_pairs(
        jax.random.key(3),
        sampler,
        *laws,
        BETA,
        jnp.asarray(SCORES)[None],
        3,
        prompts=jnp.zeros(count, int),
    )
    found = np.bincount(np.asarray(a * 5 + b), minlength=25)
    possible = expected.ravel() > 0
    assert not found[~possible].any()
    test = stats.chisquare(found[possible], count * expected.ravel()[possible])
    assert test.pvalue > 1e-4


def test_unknown_samplers_are_refused():
    zeros = jnp.zeros((1, 2))
    for call in (
        lambda: law("best"),
        lambda: draw_pairs(jax.random.key(0), "best", zeros, zeros, 1.0, zeros, 2),
    ):
        with pytest.raises(ValueError, match="best"):
            call()


def test_t_pilaf_undoes_the_slope_of_the_labels():
    """``μ̄(a, b) σ'(D) 2 Z_x = π(a) π(b)``."""
    implicit = BETA * np.log(POLICY / REFERENCE)
    z = 1 + (POLICY @ np.exp(implicit)) * (POLICY @ np.exp(-implicit))
    gap = implicit[:, None] - implicit
    symmetric = (law("pilaf") + law("pilaf").T) / 2
    slope = 1 / (2 + np.exp(gap) + np.exp(-gap))
    np.testing.assert_allclose(
        symmetric * slope * 2 * z, np.outer(POLICY, POLICY), rtol=1e-13, atol=0
    )


def test_extrapolation_weighs_logits():
    """``π⁺ ∝ π^{1+β} π_ref^{-β}``; logits may have any constant."""
    with float64_on_cpu():
        shifted = jnp.log(POLICY) + 3.0, jnp.log(REFERENCE) - 1.0
        plus, minus, odds = extrapolated(*shifted, BETA)
        _, _, right = extrapolated(jnp.log(POLICY), jnp.log(REFERENCE), BETA)
    for found, sign in ((plus, 1), (minus, -1)):
        weight = POLICY ** (1 + sign * BETA) * REFERENCE ** (-sign * BETA)
        np.testing.assert_allclose(np.exp(found), weight / weight.sum(), rtol=1e-13)
    assert float(odds) == pytest.approx(float(right), abs=1e-13)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_best_and_worst_by_enumeration(count):
    """All sequences of draws; among equal scores every two different draws are as likely."""
    expected = np.zeros((5, 5))
    for drawn in itertools.product(range(5), repeat=count):
        chance = np.prod(POLICY[list(drawn)])
        s = SCORES[list(drawn)]
        best, worst = np.flatnonzero(s == s.max()), np.flatnonzero(s == s.min())
        pairs = [(i, j) for i in best for j in worst if i != j]
        for i, j in pairs:
            expected[drawn[i], drawn[j]] += chance / len(pairs)
    np.testing.assert_allclose(law("best_of_n", count=count), expected, rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(reference.best_of_n(POLICY, SCORES, count), expected, atol=1e-14)


@pytest.mark.parametrize("count", [2, 3, 17, 300])
def test_best_of_n_keeps_the_digits_of_rare_responses(count):
    """Against rational numbers, with responses as rare as 1e-30 between, above and below."""
    orders = itertools.permutations([1, 10**3, 10**12, 10**30, 3 * 10**29, 10**8], 6)
    half = [weights for weights in orders if weights[0] <= weights[-1]]
    half = half if count <= 3 else half[:12]  # rational powers take long
    exact = [[Fraction(w, sum(weights)) for w in weights] for weights in half]
    with float64_on_cpu():
        ranked = jnp.broadcast_to(jnp.arange(6), (len(half), 6))
        found = np.asarray(best_of_n_law(jnp.asarray(exact, float), ranked, float(count)))
    for law_of, policy in zip(found, exact, strict=True):
        for a, b in ((5, 0), (3, 1), (4, 3)):
            u, p, q = sum(policy[b + 1 : a]), policy[a], policy[b]
            right = (u + p + q) ** count - (u + p) ** count - (u + q) ** count + u**count
            right = float(right)
            if right > 1e-280:
                assert law_of[a, b] == pytest.approx(right, rel=1e-11 * count)


def test_scores_that_differ_by_rounding_are_equal():
    with float64_on_cpu():
        found = ranks(jnp.asarray([0.3, 0.1 + 0.2, -1.0, 0.3 * (1 + 1e-9)]))
    assert found.tolist() == [1, 1, 0, 3]
    untrained = law("best_of_n", scores=np.zeros(5), count=7)
    np.testing.assert_allclose(untrained, law("vanilla"), rtol=1e-13)


def test_divergences_of_small_and_large_changes():
    q = np.array([0.5, 0.2, 0.3])
    for size in (1e-9, 1e-4, 0.3, 5.0, 300.0):
        change = size * np.array([1.0, -0.4, 0.7])
        with float64_on_cpu():
            args = jnp.log(q), jnp.asarray(change)
            found = float(divergence(*args)), float(reverse_divergence(*args))
        if size < 1e-3:
            variance = q @ change**2 - (q @ change) ** 2
            assert found == pytest.approx((variance / 2,) * 2, rel=2 * size)
        else:
            p = q * np.exp(change - change.max())
            p /= p.sum()
            right = stats.entropy(p, q), stats.entropy(q, p)
            assert found == pytest.approx(right, rel=1e-9)
