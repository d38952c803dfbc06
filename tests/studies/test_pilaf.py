"""arXiv 2502.04270: identities, limits, the laws of the samplers, and where PILAF is not best."""

import itertools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import simulator
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
from tests.cases.pilaf import SMALL, TABULAR
from tests.references import pilaf as reference

BETA = 0.6
POLICY = np.array([0.4, 0.05, 0.2, 0.3, 0.05])
REFERENCE = np.array([0.1, 0.3, 0.2, 0.25, 0.15])
SCORES = np.array([0.3, -0.2, 0.3, 0.9, -0.2])  # with ties


def law(sampler, policy=POLICY, scores=SCORES, count=3):
    with float64_on_cpu():
        logs = jnp.log(jnp.asarray(policy)), jnp.log(jnp.asarray(REFERENCE))
        return np.asarray(pair_law(sampler, *logs, BETA, jnp.asarray(scores), count))


# --------------------------------------------------------------------------------------------
# Samplers
# --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_pairs_have_the_declared_law(sampler):
    """200,000 pairs drawn by the recipe, in every cell of the law."""
    count, expected = 200_000, law(sampler)
    assert expected.sum() == pytest.approx(1, abs=1e-14)
    rows = (count, 1)
    a, b = draw_pairs(
        jax.random.key(3),
        sampler,
        jnp.tile(jnp.log(POLICY), rows),
        jnp.tile(jnp.log(REFERENCE), rows),
        BETA,
        jnp.tile(SCORES, rows),
        3,
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
    order = np.arange(6)
    for weights in itertools.permutations([1, 10**3, 10**12, 10**30, 3 * 10**29, 10**8], 6):
        if weights[0] > weights[-1]:  # half of them
            continue
        total = sum(weights)
        exact = [Fraction(w, total) for w in weights]
        with float64_on_cpu():
            policy = jnp.asarray([float(p) for p in exact])
            found = np.asarray(best_of_n_law(policy, jnp.asarray(order), float(count)))
        for a, b in ((5, 0), (3, 1), (4, 3)):
            u, p, q = sum(exact[b + 1 : a]), exact[a], exact[b]
            right = (u + p + q) ** count - (u + p) ** count - (u + q) ** count + u**count
            right = float(right)
            if right > 1e-280:
                assert found[a, b] == pytest.approx(right, rel=1e-11 * count)
        if count > 3 and weights[1] > 10**12:
            break


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


# --------------------------------------------------------------------------------------------
# Limits
# --------------------------------------------------------------------------------------------
def predicted(study="pilaf", **params):
    return simulator.predict(study, **params)


def test_t_pilaf_learns_all_directions_alike():
    """``HΩ = (Z̄/β) I`` with tilt, at the optimum: mean, variance and worst direction say so."""
    for setting in ({}, SMALL | {"behavior_scale": 1.0}):
        found = predicted(**setting)
        d, beta = setting.get("dim", 3), setting.get("kl_regularization", 0.5)
        each = found["mean_partition"] / beta
        assert found["worst_direction_coefficient"] == pytest.approx(each, rel=1e-10)
        assert found["regret_coefficient"] == pytest.approx(d * each / 2, rel=1e-10)
        assert found["regret_variance_coefficient"] == pytest.approx(d * each**2 / 2, rel=1e-10)


def test_importance_weights_bound_the_covariance():
    problem = reference.Problem(**full(prompt_weighting="importance"))
    z = problem.partition(problem.oracle)
    found = predicted(prompt_weighting="importance")
    bound = z.max() / (problem.rho @ z) * found["mean_partition"] / problem.beta
    assert found["worst_direction_coefficient"] <= bound


def full(**given):
    study = simulator.get("pilaf")
    return study.mentioned(study.canonical(given))


def test_regret_is_the_divergence_from_the_best_policy():
    """``J* - J = β E KL`` at the end of a recursion whose value is summed as it stands."""
    params = {n: v for n, v in full(**SMALL).items() if not n.startswith(("behavior", "num_pref"))}
    params |= {"num_steps": 1, "learning_rate": 0.7, "batch_size": 10}
    right = reference.online(**params)["online_regret"]
    assert predicted("pilaf.online", **params)["online_regret"] == pytest.approx(right, rel=1e-11)


def test_the_order_of_responses_does_not_matter():
    order = [3, 0, 5, 1, 4, 2]
    phi, ref, _, _ = reference.instance(4, 6, 3)
    for sampler, behaviour in (("best_of_n", 0.0), ("pilaf", 0.7)):
        setting = {"sampler": sampler, "behavior_scale": behaviour}
        moved = setting | {"features": phi[:, order], "reference_policy": ref[:, order]}
        for name, value in predicted(**setting).items():
            assert predicted(**moved)[name] == pytest.approx(float(value), rel=1e-11), name


def test_without_rewards_pilaf_is_vanilla():
    flat = {"reward_scale": 1e-7, "behavior_scale": 1.0}
    found = [predicted(sampler=s, **flat) for s in ("pilaf", "vanilla", "pilaf_practical")]
    for name, value in found[0].items():
        for other in found[1:]:
            assert other[name] == pytest.approx(float(value), rel=1e-5), name
    assert found[0]["mean_partition"] == pytest.approx(2, rel=1e-12)


def test_residual_of_t_pilaf_halves_with_the_distance_and_no_other():
    def residuals(sampler, weighting):
        offsets = np.array([0.02, 0.01, 0.005])
        setting = {"sampler": sampler, "prompt_weighting": weighting, "policy_scale": 1.0}
        return predicted("pilaf.alignment", offset=offsets, **setting)["alignment_residual"]

    for weighting in ("tilt", "importance"):
        found = residuals("pilaf", weighting)
        np.testing.assert_allclose(found[:-1] / found[1:], 2, rtol=0.01)
    *_, before, last = residuals("vanilla", "none")
    assert 2 * last - before == pytest.approx(0.0224, abs=1e-4)


# --------------------------------------------------------------------------------------------
# Where it is best, and where not
# --------------------------------------------------------------------------------------------
def test_no_sampler_beats_the_best_design():
    for setting, smallest in (
        ({}, 1.37364),
        ({"kl_regularization": 2.0, "reward_scale": 2.0}, 3.14226),
    ):
        problem = reference.Problem(**full(**setting))
        best = reference.best_design(problem)
        assert best == pytest.approx(smallest, rel=2e-5)
        for sampler in SAMPLERS:
            program = reference.estimation(**full(sampler=sampler, **setting))
            assert program["regret_coefficient_per_informative_pair"] >= best * (1 - 1e-9)


@pytest.mark.parametrize(
    ("beta", "scale", "wins"), [(0.3, 1.0, True), (1.0, 3.0, False), (3.0, 1.0, False)]
)
def test_pilaf_against_vanilla_over_the_regimes(beta, scale, wins):
    setting = full(kl_regularization=beta, reward_scale=scale)
    pilaf, vanilla = (
        reference.estimation(**setting | change)["regret_coefficient"]
        for change in ({}, {"sampler": "vanilla", "prompt_weighting": "none"})
    )
    assert (pilaf < vanilla) == wins


@pytest.mark.slow
def test_pilaf_against_vanilla_in_the_whole_scan():
    """Better in every case with beta <= 0.3, worse in every one with beta = 3 and s >= 1."""
    for (responses, dim), beta, scale in itertools.product(
        ((6, 3), (20, 5), (60, 10)), (0.1, 0.3, 3.0), (0.3, 1.0, 3.0)
    ):
        setting = full(
            num_responses=responses, dim=dim, kl_regularization=beta, reward_scale=scale
        )  # fmt: skip
        pilaf, vanilla = (
            reference.estimation(**setting | change)["regret_coefficient"]
            for change in ({}, {"sampler": "vanilla", "prompt_weighting": "none"})
        )
        if beta <= 0.3:
            assert pilaf < vanilla, setting
        elif scale >= 1:
            assert pilaf > vanilla, setting


def test_three_responses_and_their_worst_direction():
    """Rewards (R, 0, -R): the minimum over all laws is reached for ``cosh R <= 1 + sqrt(3)``."""
    for size, printed in ((1.6, 1.67506), (1.7, 1.69955), (2.5, 1.84922)):
        found = predicted(
            num_prompts=1, num_responses=3, dim=2, kl_regularization=1.0, prompt_weighting="none",
            features=np.eye(3)[None, :, :2], reference_policy=np.full((1, 3), 1 / 3),
            oracle_parameter=(2 * size, size),
        )  # fmt: skip
        worst = found["worst_direction_coefficient"] * found["informative_fraction"]
        assert worst == pytest.approx(printed, abs=6e-6)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_at_the_optimum_no_sampler_moves_the_policy(sampler):
    """``∇L(θ*) = 0``: the gradient shrinks with the distance."""
    setting = {"num_prompts": 2, "num_responses": 3, "dim": 2, "kl_regularization": 0.7}
    at = {"policy_scale": 1.0, "offset": np.array([1e-3, 1e-6])}
    far, near = predicted("pilaf.alignment", sampler=sampler, **setting, **at)["gradient_norm"]
    assert near / far == pytest.approx(1e-3, rel=0.1)


def test_pilaf_has_the_smallest_worst_direction_of_tabular_policies():
    worst = {
        sampler: reference.estimation(**full(**TABULAR, sampler=sampler))[
            "worst_direction_coefficient"
        ]
        for sampler in SAMPLERS
    }
    assert min(worst, key=worst.get) == "pilaf"


# --------------------------------------------------------------------------------------------
# Simulations
# --------------------------------------------------------------------------------------------
def test_a_billion_labels_reach_the_limit():
    """In float32 too."""
    for dtype in ("float64", "float32"):
        found = simulator.simulate(
            "pilaf",
            replicates=4000,
            seed=4,
            num_preferences=10**9,
            dtype=dtype,
            **{n: v for n, v in SMALL.items() if n != "num_preferences"},
        )
        right = predicted(**SMALL)["regret_coefficient"]
        assert found.mean["regret_coefficient"] == pytest.approx(float(right), rel=0.05)


def test_few_labels_have_an_estimate():
    """One pair, or responses that won all their comparisons: the prior of the fit decides."""
    found = simulator.simulate(
        "pilaf",
        replicates=200,
        num_preferences=1,
        **{n: v for n, v in SMALL.items() if n != "num_preferences"},
    )
    assert np.isfinite(found.mean["regret_coefficient"])


@pytest.mark.slow
def test_printed_rounds():
    """1000 pairs per round: the printed regrets, beside their own limit of many pairs."""
    printed = {
        ("pilaf", "tilt"): (".00309 .00197 .00142 .00114 .00098", 0.00004),
        ("vanilla", "none"): (".00326 .00231 .00184 .00156 .00134", 0.00006),
        ("best_of_n", "none"): (".00308 .00165 .00120 .00093 .00078", 0.00003),
    }
    for (sampler, weighting), (values, error) in printed.items():
        found = simulator.simulate(
            "pilaf.iterated", replicates=2000, sampler=sampler, prompt_weighting=weighting
        )
        gap = np.abs(found.mean["regret"] - np.array(values.split(), float))
        assert np.all(gap <= 5 * np.hypot(error, found.standard_error["regret"]) + 5e-6)


@pytest.mark.slow
def test_printed_levels_of_new_pairs():
    """Without replay regret levels off at the coefficient over the pairs of a round."""
    for sampler, weighting, level, error in (
        ("pilaf", "tilt", 0.0071, 0.0003),
        ("vanilla", "none", 0.0133, 0.0014),
        ("best_of_n", "none", 0.0053, 0.0003),
    ):
        found = simulator.simulate(
            "pilaf.iterated", replicates=1000, replay="new", num_rounds=3, sampler=sampler,
            prompt_weighting=weighting,
        )  # fmt: skip
        gap = np.abs(found.mean["regret"][-1] - level)
        assert gap <= 5 * np.hypot(error, found.standard_error["regret"][-1]) + 5e-5


@pytest.mark.slow
def test_printed_steps():
    """Batches of 256 to 4096 pairs, T-PILAF, vanilla, and best of n with its tie at the start."""
    for setting, mean, error in (
        ({}, 0.004886, 0.00006),
        ({"sampler": "vanilla", "prompt_weighting": "none"}, 0.01069, 0.0001),
        ({"sampler": "best_of_n", "prompt_weighting": "none"}, 0.002236, 0.00006),
        ({"sampler": "best_of_n", "prompt_weighting": "none", "batch_size": 256}, 0.0033, 0.0002),
    ):
        found = simulator.simulate("pilaf.online", replicates=1000, **setting)
        gap = abs(found.mean["online_regret"] - mean)
        assert gap <= 5 * np.hypot(error, found.standard_error["online_regret"])


# --------------------------------------------------------------------------------------------
# Refusals
# --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"dim": 21}, "rank"),
        ({"num_responses": 2, "num_prompts": 1, "dim": 2}, "rank"),
        ({"features": np.ones((4, 6, 2))}, "announce"),
        ({"features": np.ones((4, 6, 3))}, "rank"),
        ({"reference_policy": np.full((4, 6), 0.2)}, "responses to each prompt.* 1.2 at prompt 0"),
        (
            {"reference_policy": np.eye(4)[:, :1] * np.eye(6)[0] + np.full((4, 6), 1 / 6)},
            "sums to 2 at prompt 0",
        ),
        ({"prompt_distribution": (0.3, 0.2, 0.2, 0.2)}, "over the prompts, and sums to 0.9$"),
        ({"prompt_distribution": (0.5, 0.5)}, "announce"),
        ({"oracle_parameter": (1.0,)}, "announce"),
    ],
)
def test_refusals(given, word):
    with pytest.raises(ValueError, match=word):
        predicted(**given)


def test_no_direction_at_the_optimum():
    with pytest.raises(ValueError, match="vanish"):
        predicted("pilaf.alignment", policy_scale=1.0, offset=0.0)
    with pytest.raises(ValueError, match="vanish"):
        predicted("pilaf.alignment", reward_scale=0.0, offset=0.0)
