"""arXiv 2502.04270: identities and limits, where PILAF is best and where it is not."""

import itertools

import numpy as np
import pytest

import simulator
from simulator.maths.preferences import SAMPLERS
from tests.cases.pilaf import SMALL, TABULAR
from tests.references import pilaf as reference


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
    for size, printed, least in (
        (1.6, 1.67506, 1.67506),
        (1.7, 1.69955, 1.6686),
        (2.5, 1.84922, 1.3186),
    ):
        setting = full(
            num_prompts=1, num_responses=3, dim=2, kl_regularization=1.0, prompt_weighting="none",
            features=np.eye(3)[None, :, :2], reference_policy=np.full((1, 3), 1 / 3),
            oracle_parameter=(2 * size, size),
        )  # fmt: skip
        found = predicted(**setting)
        worst = found["worst_direction_coefficient"] * found["informative_fraction"]
        assert worst == pytest.approx(printed, abs=6e-6)
        best = reference.best_worst_direction(reference.Problem(**setting))
        assert best == pytest.approx(least, abs=6e-5)


def test_few_features_leave_room_below_every_sampler():
    """Some law has 1.0718, certified; per informative pair T-PILAF is the best of the seven."""
    least = reference.best_worst_direction(reference.Problem(**full()))
    assert least == pytest.approx(1.0718, abs=6e-5)
    printed = {
        "pilaf": (1.744, 2.616), "pilaf_practical": (1.934, None), "best_of_n": (2.121, 2.453),
        "uniform": (2.993, 2.576), "reference": (3.016, None), "vanilla": (3.018, 2.893),
        "hybrid": (3.201, 3.287),
    }  # fmt: skip
    for sampler, (worst, mean) in printed.items():
        weighting = "tilt" if sampler == "pilaf" else "none"
        found = reference.estimation(**full(sampler=sampler, prompt_weighting=weighting))
        fraction = found["informative_fraction"]
        assert worst == pytest.approx(found["worst_direction_coefficient"] * fraction, abs=6e-4)
        if mean is not None:
            assert mean == pytest.approx(found["regret_coefficient_per_informative_pair"], abs=6e-4)


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
    problem = reference.Problem(**full(**TABULAR))
    fraction = reference.informative(problem, problem.oracle)
    least = reference.best_worst_direction(problem)
    assert worst["pilaf"] * fraction == pytest.approx(least, rel=1e-5)
    assert least == pytest.approx(2.8867, abs=6e-5)


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
