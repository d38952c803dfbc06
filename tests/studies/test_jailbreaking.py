"""arXiv 2408.01420: identities and limits of the bound, of aligned policies, attacks and risks."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special, stats

import simulator
from simulator.maths.alignment_losses import direct_preference_loss, regularized_value
from simulator.maths.preferences import tilted
from simulator.runtime.compilation import float64_on_cpu
from tests.references import jailbreaking as reference

BOUND, POLICY = "jailbreaking", "jailbreaking.alignment"
ATTACK, RISK = "jailbreaking.attack", "jailbreaking.pac-bayes"


def predicted(study=BOUND, **params):
    return simulator.predict(study, **params)


# --------------------------------------------------------------------------------------------
# Volumes in the simplex
# --------------------------------------------------------------------------------------------
def test_the_uniform_law_is_a_binomial_tail():
    """``P(Beta(m, n - m) >= t) = P(Bin(n - 1, t) <= m - 1)``."""
    n, m, p, radius = 41, np.array([1, 3, 17, 40]), 0.37, 0.22
    found = predicted(num_explanations=n, num_harmful=m, harm_threshold=p, attack_radius=radius)
    right = stats.binom.cdf(m - 1, n - 1, p - radius / 2)
    np.testing.assert_allclose(found["uniform_probability"], right, rtol=1e-11)


def test_two_explanations():
    found = predicted(num_explanations=2, num_harmful=1, harm_threshold=0.7, attack_radius=0.3)
    assert found["uniform_probability"] == pytest.approx(1 - (0.7 - 0.15), rel=1e-13)


def test_uniform_is_a_dirichlet_law():
    found = predicted(dirichlet_harmful=1.0, dirichlet_safe=1.0, num_harmful=23)
    assert found["dirichlet_probability"] == pytest.approx(
        float(found["uniform_probability"]), rel=1e-13
    )


def test_the_uniform_law_bounds_itself():
    found = predicted(concentration=1.0, harm_threshold=0.45)
    assert found["jailbreak_lower_bound"] == pytest.approx(
        float(found["uniform_probability"]), rel=1e-12
    )


def test_l1_at_twice_the_radius_is_tv():
    l1 = predicted(attack_norm="l1", attack_radius=0.24)
    tv = predicted(attack_norm="tv", attack_radius=0.12)
    for name, value in l1.items():
        assert tv[name] == pytest.approx(float(value), rel=1e-13), name


def test_more_explanations_harm_and_radius_help_the_attack():
    def rises(values):
        return np.all(np.diff(values) > 0)

    assert rises(predicted(attack_radius=np.linspace(0, 0.5, 9))["uniform_probability"])
    assert rises(predicted(num_harmful=np.arange(5, 60, 6))["uniform_probability"])
    assert rises(-predicted(harm_threshold=np.linspace(0.1, 0.9, 9))["uniform_probability"])


def test_the_transition_is_where_it_was_printed_to_be():
    """Half at ε = .214, .203, .201 for n = 20, 100, 500, m/n = .3, p = .4.

    At n = 20 more than a tenth of the outputs is harmful without an attack: the width is from 0.
    """
    for n, radius, width in ((20, 0.214, 0.450), (100, 0.203, 0.234), (500, 0.201, 0.105)):
        setting = {"num_explanations": n, "num_harmful": 3 * n // 10, "attack_radius": 0.0}

        def radius_at(share, setting=setting):
            found = simulator.solve(
                BOUND, "uniform_probability", equals=share,
                over={"harm_threshold": (0.01, 0.99)}, **setting,
            )  # fmt: skip
            return 2 * (0.4 - float(found["harm_threshold"]))

        assert radius_at(0.5) == pytest.approx(radius, abs=6e-4)
        assert radius_at(0.9) - max(radius_at(0.1), 0) == pytest.approx(width, abs=6e-4)


def test_a_normal_bound_above_the_truth():
    """With few harmful explanations the approximations are no bounds."""
    found = predicted(
        num_explanations=1000,
        num_harmful=2,
        harm_threshold=0.01,
        attack_radius=0.0,
        concentration=1.0,
    )
    assert found["uniform_probability"] == pytest.approx(0.000484, abs=6e-7)
    assert found["paper_normal_probability"] == pytest.approx(0.002127, abs=6e-7)
    assert found["paper_lower_bound"] > found["jailbreak_lower_bound"]


# --------------------------------------------------------------------------------------------
# Aligned policies
# --------------------------------------------------------------------------------------------
def test_limits_of_the_penalty():
    weak = predicted(POLICY, kl_regularization=1e9, safe_prompt_logit=-1.3)
    assert weak["harm_rlhf"] == pytest.approx(float(weak["harm_reference"]), rel=1e-8)
    references, rewards, harmful = reference.prompt(10, 4, 2.0, -1.3, 1.0)
    assert weak["harm_erlhf"] == pytest.approx(references[1][harmful].sum(), rel=1e-8)
    strong = predicted(POLICY, kl_regularization=1e-4)
    assert strong["reward_rlhf"] == pytest.approx(rewards.max(), rel=1e-12)
    assert strong["harm_rlhf"] < 1e-12


def test_equal_references_align_alike():
    found = predicted(POLICY, harmful_logit=0.7, safe_prompt_logit=0.7, kl_regularization=0.9)
    for name in ("harm", "reward", "kl", "objective"):
        assert found[f"{name}_rlhf"] == found[f"{name}_erlhf"]
    assert found["harm_std_dpo"] == found["harm_std_edpo"]


def test_no_harm_is_left_where_the_safe_reference_has_none():
    """Only with the safe reference: RLHF keeps what the harmful one has, whatever the penalty."""
    found = simulator.predict(
        "jailbreaking.alignment",
        safe_prompt_logit=-600.0,
        kl_regularization=np.array([0.2, 1.0, 50.0]),
    )
    assert np.all(found["harm_erlhf"] < 1e-200)
    assert np.all(found["harm_rlhf"] > 1e-3)


def test_the_gain_of_e_rlhf_is_that_of_the_tilted_references():
    """Log-odds of harm fall by ``ℓ_h - ℓ_s``, whatever rewards and penalty."""
    for beta in (0.3, 2.0):
        found = predicted(POLICY, kl_regularization=beta)
        gap = special.logit(found["harm_rlhf"]) - special.logit(found["harm_erlhf"])
        assert gap == pytest.approx(4.0, rel=1e-9)  # the shift is the same for all harmful ones


def test_rewards_count_up_to_a_constant_at_every_prompt():
    references, rewards, _ = reference.prompt(10, 4, 2.0, -2.0, 1.0)
    with float64_on_cpu():
        ref, same = jnp.log(jnp.asarray(references)), jnp.stack([jnp.asarray(rewards)] * 2)
        one, other = (tilted(ref, same + constant, 0.5) for constant in (0.0, 3.7))
    np.testing.assert_allclose(one, other, atol=1e-13)


def test_objective_is_the_logarithm_of_the_partition_function():
    references, rewards, _ = reference.prompt(10, 4, 2.0, -2.0, 1.0)
    found = predicted(POLICY)
    for ref, method in zip(references, ("rlhf", "erlhf"), strict=True):
        right = 0.5 * np.log(np.sum(ref * np.exp(rewards / 0.5)))
        assert found[f"objective_{method}"] == pytest.approx(right, rel=1e-12)


def test_gradient_ascent_reaches_the_closed_form():
    """Tabular policies under both objectives, and under the loss of all pairs at their odds."""
    references, rewards, harmful = reference.prompt(10, 4, 2.0, -2.0, 1.0)
    found = predicted(POLICY)
    a, b = np.nonzero(~np.eye(10, dtype=bool))
    with float64_on_cpu():
        rewards = jnp.asarray(rewards)
        odds = jax.nn.sigmoid(rewards[a] - rewards[b])
        for ref, method in zip(jnp.log(jnp.asarray(references)), ("rlhf", "erlhf"), strict=True):

            def value(logits, ref=ref):
                return -regularized_value(jax.nn.log_softmax(logits), ref, rewards, 0.5)

            def pairs(logits, ref=ref):
                policy = jax.nn.log_softmax(logits)
                return direct_preference_loss(policy[a], policy[b], ref[a], ref[b], 0.5, odds)

            for loss in (value, pairs):
                harm = np.exp(_descended(loss, ref))[harmful].sum()
                assert harm == pytest.approx(float(found[f"harm_{method}"]), rel=1e-6)


def _descended(loss, start):
    optimiser = optax.lbfgs()
    both = optax.value_and_grad_from_state(loss)

    def step(carry, _):
        logits, state = carry
        value, gradient = both(logits, state=state)
        updates, state = optimiser.update(
            gradient, state, logits, value=value, grad=gradient, value_fn=loss
        )
        return (optax.apply_updates(logits, updates), state), None

    run = jax.jit(lambda x: jax.lax.scan(step, (x, optimiser.init(x)), None, length=60)[0][0])
    return np.asarray(jax.nn.log_softmax(run(start)))


@pytest.mark.slow
def test_printed_bias_and_spread_of_few_labels():
    """Means and spreads of DPO and E-DPO at four sizes of the data, each of 4000 runs.

    A standard deviation of 4000 values is off by 1.1 %, and so is theirs; heavier tails take more.
    """
    for count, mean, error, spread, safe in (
        (100, 0.294, 0.003, 0.165, 0.0105),
        (300, 0.315, 0.0015, 0.0905, 0.0038),
        (1000, 0.3216, 0.0008, 0.0480, None),
        (8000, 0.32442, 0.00027, 0.01711, None),
    ):
        found = simulator.simulate(POLICY, replicates=4000, num_preferences=count)
        assert abs(found.mean["harm_rlhf"] - mean) < 5 * np.sqrt(2) * error
        assert found.mean["harm_std_dpo"] == pytest.approx(spread, rel=0.06)
        if safe is not None:
            own = 5 * np.sqrt(2) * found.standard_error["harm_std_edpo"]
            assert abs(found.mean["harm_std_edpo"] - safe) < own + 5e-5


def test_responses_that_win_everything_have_an_estimate():
    found = simulator.simulate(POLICY, replicates=100, num_preferences=20)
    assert 0 < found.mean["harm_rlhf"] < 1


# --------------------------------------------------------------------------------------------
# Attacks
# --------------------------------------------------------------------------------------------
def test_one_attempt():
    found = predicted(ATTACK, num_attempts=1, harm_threshold=0.3, query_spread=0.9)
    z = special.logit(0.3)
    for name, mu in (("base", 2.0), ("rlhf", -2.0), ("erlhf", -6.0)):
        right = stats.norm.cdf((mu - z) / 0.9)
        assert found[f"attack_success_rate_{name}"] == pytest.approx(right, rel=1e-10)


def test_the_penalty_for_half_success_is_one():
    beta = float(predicted(ATTACK, num_attempts=50)["kl_regularization_for_half_success"])
    found = predicted(ATTACK, num_attempts=50, kl_regularization=beta)
    assert found["attack_success_rate_rlhf"] == pytest.approx(0.5, rel=1e-12)


def test_enough_attempts_always_succeed():
    found = predicted(ATTACK, num_attempts=np.array([1, 10**3, 10**6, 2 * 10**9]))
    rates = found["attack_success_rate_erlhf"]
    assert np.all(np.diff(rates) > 0)
    assert rates[-1] > 1 - 1e-9


def test_half_of_the_attacks_succeed_after_so_many_attempts():
    """K = ln(1/2) / ln Phi((z - mu)/tau), on both sides."""
    mean, spread, threshold, penalty, gap = 2.0, 1.5, 0.6, 0.25, 2.0
    miss = stats.norm.cdf((special.logit(threshold) - mean + gap / penalty) / spread)
    half = np.log(0.5) / np.log(miss)
    found = simulator.predict(
        "jailbreaking.attack",
        harmful_logit=mean,
        query_spread=spread,
        harm_threshold=threshold,
        kl_regularization=penalty,
        reward_gap=gap,
        num_attempts=np.array([np.floor(half), np.ceil(half)]),
    )
    below, above = found["attack_success_rate_rlhf"]
    assert below < 0.5 < above < below + 1 / half


# --------------------------------------------------------------------------------------------
# PAC-Bayes
# --------------------------------------------------------------------------------------------
def test_bounds_are_above_the_risk_and_hold():
    found = predicted(RISK, inverse_temperature=np.geomspace(0.1, 300, 7))
    assert np.all(found["maurer_bound"] > found["population_risk"])
    assert np.all(found["catoni_bound"] > found["population_risk"])
    assert np.all(found["violation_probability"] < 1e-20)


def test_one_prompt_leaves_nothing_to_chance():
    found = simulator.simulate(RISK, replicates=4, num_prompts=1, num_samples=50)
    right = predicted(RISK, num_prompts=1, num_samples=50)
    for name, value in right.items():
        assert found.mean[name] == pytest.approx(float(value), rel=1e-5), name
    assert right["population_risk"] == right["empirical_risk"]
