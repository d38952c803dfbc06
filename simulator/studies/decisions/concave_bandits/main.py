"""Concave rewards over arms: Frank-Wolfe on the average reward, with a bandit for each step.

Question. Several objectives, and a concave value of their long-run averages: how fast does a bandit
that plays against the current gradient approach the best mixture of arms?

Model. Arm ``a`` of ``K`` pays a vector of mean ``M_a``, (D = K) ``base + (peak_a - base) e_a`` or a
table ``mean_rewards``, with independent Bernoulli coordinates or Gaussian noise. Rules for the
scalar reward ``<g_t, r>``: oracle (M known), greedy, ucb, epsilon_greedy, squarecb (all of which
try every arm once); stationary (the best mixture), scalarized (the best arm on average), uniform.

    softmin     -ln(mean exp(-tau s_i)) / tau
    alpha_fair  mean psi_alpha(eta + s_i), psi_alpha(x) = sign(alpha) x^alpha, ln x at 0
    quadratic   -c/2 |s - target|²
    ggf         sum_i w_i s_(i), s increasing, w_i ~ ggf_decay^(i-1)

Theory. ``f*``, ``s*``, ``g*`` in closed form (the ``k`` best arms are played), of a table by an
ascent; both certified by a Frank-Wolfe gap (ggf: by a dual solution).
With ``H`` minus the Hessian there, ``Sigma`` the covariance of a reward under the best mixture and
``Sigma_n`` its mean covariance given the arm,

    stationary   E regret = tr(H Sigma) / (2 T)   (fixed policies: f* - f(s) + the same at s)
    oracle       T E bregman -> tr(H (I - P) Sigma_n (I - P)') / 2, P onto the arms' differences
                 E regret <= (l D/2) ln(eT) / T,   l the smoothness of f
    oracle, ggf  sqrt(T) E regret -> beta0 (sum_k (w*_(k) - 1/D) w_(k) - |w* - 1/D|²)
                 (where all objectives are equal)
                 E regret <= (|w|² beta0 + D / beta0) / sqrt(T)
    ucb          adds (K G + (1 + c) G sqrt(2 ln(2DKT/delta)) sqrt(K t) + delta t G) / t,
                 G = max |g|_1
    all          sqrt(T) regret -> N(0, g*' Sigma g*)

The conditional simulation draws fixed policies by counts of arms and of their rewards, at a cost
that does not grow with T. Counts know no path: their ``scalar_regret`` is NaN.

Verdicts resolve 5 %: regret has the noise of rewards, and 1 % would take 6 10^6 replicates.

Reference: V. Do et al., ICLR 2023, arXiv 2210.09957 (the reduction and its bounds; constants,
environments and second-order laws are this package's own).
"""

import jax
import jax.numpy as jnp
import numpy as np

from simulator.studies.decisions.concave_bandits._arms import (  # isort: skip
    best_mixture, counted, covariance_of, laws_of_arms, learning_bound, loop_curvature, means_of,
    nonsmooth_coefficient,
)  # fmt: skip
from simulator.study import (  # isort: skip
    NO_RELATION, RESIDUAL, Dispersion, Output, Study, asymptotic, exact, simulation_only,
    theory_only, upper_bound,
)  # fmt: skip
from simulator.maths.slopes import square_root
from simulator.parameters import array, choice, parameters, static, traced
from simulator.sampling import short_rows
from simulator.sampling.shared import once
from simulator.studies.decisions.concave_bandits import PAPER
from simulator.studies.decisions.concave_bandits import _model as bandit

ESTIMATING = ("greedy", "ucb", "epsilon_greedy", "squarecb")
FIXED = ("stationary", "scalarized", "uniform")


@parameters
class Params(bandit.GapWeighting, bandit.AlphaFairness, bandit.BanditParams):
    algorithm: str = choice("oracle", ("oracle", *FIXED, *ESTIMATING))
    objective: str = choice("softmin", ("softmin", "alpha_fair", "quadratic", "ggf"))
    num_actions: int = static(5, "K", "arms", at_least=2)
    peak_max: float = traced(
        0.9, "–", "what the best arm pays in its objective", above="base_reward", at_most=1
    )
    peak_min: float = traced(
        0.5, "–", "what the worst arm pays", above="base_reward", at_most="peak_max"
    )
    base_reward: float = traced(0.1, "–", "what arms pay in other objectives", at_least=0, below=1)
    mean_rewards: tuple = array(
        (), "M", "mean rewards in place of peaks and base", dims=("objective", "action")
    )
    noise: str = choice("bernoulli", ("bernoulli", "gaussian"), "–", "law of rewards")
    noise_std: float = traced(0.5, detail="here of Gaussian rewards", at_least=0)


def complete(given):
    """A table of mean rewards has the number of arms."""
    table = np.asarray(given.get("mean_rewards", ()))
    return given | {"num_actions": table.shape[1]} if table.ndim == 2 and table.size else given


def validate(params, side):
    """Checkpoints, tables and targets that ranges cannot express."""
    bandit.check_rounds(params)
    bernoulli = params.noise == "bernoulli"
    if params.objective == "alpha_fair" and not bernoulli:
        raise ValueError("noise = 'gaussian' is not allowed with objective = 'alpha_fair'")
    table = params.mean_rewards
    if np.size(table):
        if np.shape(table)[1] < 2:
            raise ValueError(f"mean_rewards has {np.shape(table)[1]} actions: at least 2")
        inside = ((table >= 0) & (table <= 1)).all() if bernoulli else True
        if not isinstance(inside, jax.core.Tracer) and not inside:
            raise ValueError("mean_rewards is not allowed: Bernoulli means must lie in [0, 1]")
        return inside
    if params.objective != "quadratic":
        return True
    share = np.arange(params.num_actions) / (params.num_actions - 1)
    peaks = params.peak_max + (params.peak_min - params.peak_max) * share
    base = params.base_reward
    outside = ((params.target - base) / (peaks - base)).sum() > 1
    if not isinstance(outside, jax.core.Tracer) and not outside:
        raise ValueError(
            f"target = {params.target:g} is not allowed: it must be beyond what mixtures reach, "
            "sum_a (target - base_reward)/(peak_a - base_reward) > 1"
        )
    return outside


def theory(params):
    """The best mixture; laws of fixed policies and of the oracle's loop; bounds."""
    means = means_of(params)
    mixture = best_mixture(params)
    best = mixture.optimum
    time = jnp.asarray(bandit.rounds_of(params), float)
    laws = laws_of_arms(params, means, mixture)
    ggf = params.objective == "ggf"

    def noise_cost(law):
        curved = bandit.minus_hessian(params, means @ law)
        return jnp.trace(curved @ covariance_of(params, means, law)) / 2

    if params.algorithm in FIXED:
        law = laws[params.algorithm]
        short = best.value - bandit.value(params, means @ law)
        if params.algorithm == "stationary":
            short = jnp.zeros_like(short)
        regret = short + noise_cost(law) / time
    else:
        regret = learning_bound(params, means)
    covariance = covariance_of(params, means, mixture.law)
    coefficient = nonsmooth_coefficient(params, means, mixture)
    bregman = coefficient / jnp.sqrt(time)
    if not ggf:
        bregman = loop_curvature(params, means, mixture) / time
    return {
        "optimal_value": best.value,
        "optimal_reward": best.reward,
        "optimal_gradient": best.gradient,
        "uniform_value": bandit.value(params, means @ laws["uniform"]),
        "scalarized_value": bandit.value(params, means @ laws["scalarized"]),
        "stationary_regret": jnp.inf if ggf else noise_cost(mixture.law) / params.num_rounds,
        "regret": regret,
        "regret_controlled": regret,
        "bregman": bregman,
        "nonsmooth_coefficient": coefficient,
        "regret_std": square_root(best.gradient @ covariance @ best.gradient / params.num_rounds),
        RESIDUAL: best.residual,
    }


def simulate_direct(key, params):
    """Round after round: the gradient at the averages, an arm, its reward."""
    means = means_of(params)
    objectives, arms = means.shape
    mixture = once(best_mixture, params)
    best = mixture.optimum
    favourite = jnp.argmax(jnp.mean(means, axis=0))
    at_best = best.gradient @ means

    def draw(key, length):
        key_arm, key_chance, key_reward = jax.random.split(key, 3)
        if params.noise == "bernoulli":
            reward = short_rows.uniform(key_reward, (length, objectives))
        else:
            reward = short_rows.normal(key_reward, (length, objectives))
        chances = [jax.random.uniform(k, (length,), float) for k in (key_arm, key_chance)]
        return *chances, reward

    def choose(estimates, counts, gradient, now, first, second):
        """The arm; two uniform numbers serve the rules that draw."""
        anywhere = jnp.minimum((first * arms).astype(jnp.int32), arms - 1)
        if params.algorithm == "oracle":
            return jnp.argmax(gradient @ means)
        if params.algorithm == "stationary":
            return bandit.by_chance(mixture.law, first)
        if params.algorithm == "scalarized":
            return favourite
        if params.algorithm == "uniform":
            return anywhere
        scores = gradient @ estimates
        if params.algorithm == "ucb":
            spread = 0.5 if params.noise == "bernoulli" else params.noise_std
            total = 2 * objectives * arms * params.num_rounds
            log = 2 * jnp.log(total / params.failure_probability)
            size = jnp.sum(jnp.abs(gradient)) * spread * params.exploration
            scores = scores + size * jnp.sqrt(log / jnp.maximum(counts, 1))
        arm = jnp.argmax(scores)
        if params.algorithm == "epsilon_greedy":
            arm = jnp.where(second < bandit.random_share(params, now), anywhere, arm)
        if params.algorithm == "squarecb":
            arm = bandit.by_chance(bandit.squarecb(scores, now, params.squarecb_rate), first)
        return jnp.where(now <= arms, now - 1, arm)

    def step(memory, averages, now, drawn):
        estimates, counts = memory
        first, second, chance = drawn
        gradient = bandit.playing_slope(params, averages.reward, now)
        arm = choose(estimates, counts, gradient, now, first, second)
        mean = means[:, arm]
        if params.noise == "bernoulli":
            reward = (chance < mean).astype(mean.dtype)
        else:
            reward = mean + params.noise_std * chance
        if params.algorithm in ESTIMATING:
            counts = counts.at[arm].add(1)
            moved = (reward - estimates[:, arm]) / counts[arm]
            estimates = estimates.at[:, arm].add(moved)
        scores = gradient @ means
        gap, scalar = jnp.max(at_best) - at_best[arm], jnp.max(scores) - scores[arm]
        return (estimates, counts), bandit.record(averages, now, reward, gap, scalar)

    memory = (jnp.zeros_like(means), jnp.zeros(arms, float))
    return _outputs(
        params, best, bandit.played(key, params, (memory, bandit.nothing(objectives)), draw, step)
    )


def simulate_conditional(key, params):
    """Fixed policies by counts of arms and rewards, whatever the number of rounds; others play."""
    if params.algorithm not in FIXED:
        return simulate_direct(key, params)
    means = means_of(params)
    mixture = once(best_mixture, params)
    law = laws_of_arms(params, means, mixture)[params.algorithm]
    at_best = mixture.optimum.gradient @ means
    averages = counted(key, params, means, law, jnp.max(at_best) - at_best)
    return _outputs(params, mixture.optimum, averages)


def _outputs(params, best, averages):
    found = bandit.simulated(
        params,
        best,
        averages,
        lambda s: bandit.value(params, s),
        lambda s: bandit.divergence(params, best.reward, best.gradient, s),
    )
    return {
        **found,
        "nonsmooth_coefficient": jnp.sqrt(1.0 * params.num_rounds) * found["regret_controlled"][-1],
        "regret_std": found["regret"][-1],
        RESIDUAL: best.residual,
    }


def regret_relation(params):
    """Fixed policies have a law, learning ones a bound."""
    if params.algorithm not in FIXED:
        return upper_bound()
    if params.objective == "quadratic":
        return exact()
    if params.objective == "ggf":
        return asymptotic("O(T^-1/2)", rate=0.5)
    return asymptotic("O(T^-3/2)", rate=0.5)


def _in_loop(params):
    return asymptotic(rate=0.5) if params.algorithm == "oracle" else NO_RELATION


def ggf_loop(params):
    """Where the limit of the smoothed loop is that of the simulation."""
    return _in_loop(params) if params.objective == "ggf" else NO_RELATION


def noise_relation(params):
    """Where regret is normal with the theory's variance as T grows."""
    smooth = params.objective != "ggf"
    known = params.algorithm == "oracle" or (params.algorithm == "stationary" and smooth)
    return asymptotic("T → ∞", rate=0.5) if known else NO_RELATION


OPTIMUM = (
    *theory_only(optimal_value="f*", uniform_value="f at the mean reward of uniform play"),
    *theory_only(scalarized_value="f at the mean reward of the scalarized policy"),
    *theory_only(
        dims=("objective",),
        optimal_reward="s*, where f is largest",
        optimal_gradient="g*, the gradient there (ggf: saddle weights)",
    ),
)
REGRETS = (
    Output("regret", "f* less f of the average reward", regret_relation, dims=("round",)),
    Output(
        "regret_controlled",
        "bregman + gap: the same mean, little noise",
        regret_relation,
        dims=("round",),
    ),
)
SEEN = (
    *simulation_only(
        dims=("round",),
        gap="mean optimality gap of the actions at g*",
    ),
    Output(
        "scalar_regret",
        "cumulative regret of the scalar bandits (counts, which know no path, have none: NaN)",
        dims=("round",),
        where="simulation",
        nan_where_undefined=True,
    ),
    *simulation_only(dims=("round", "objective"), average_reward="average reward so far"),
)
NOISE = Output(
    "regret_std",
    "standard deviation of regret",
    noise_relation,
    dispersion=Dispersion("std", "regret_std"),
)

figures = {
    "rounds": bandit.figure_of_rounds(
        "Feedback beats the best fixed mixture",
        ["oracle", *FIXED],
        num_rounds=2000,
        replicates=200,
        caption="Five arms, soft minimum of five objectives; the oracle's line is a proven bound.",
    ),
}  # fmt: skip

check_cells = (
    {"algorithm": "uniform", "objective": "quadratic", "num_actions": 3, "num_rounds": 40,
     "num_checkpoints": 2, "curvature": 1.4, "peak_max": 0.85, "peak_min": 0.6},
)  # fmt: skip

STUDY = Study(
    name="concave-bandits",
    title="concave value of the average rewards of arms",
    paper=PAPER, params=Params,
    outputs=(
        *OPTIMUM,
        *theory_only(stationary_regret="mean regret of the best fixed mixture"),
        *REGRETS,
        Output("bregman", "curvature of f between s* and the averages", _in_loop, dims=("round",)),
        *SEEN,
        *simulation_only(doubling_increment="T regret_controlled, less that at half of T"),
        Output("nonsmooth_coefficient", "limit of sqrt(T) E regret (ggf)", ggf_loop),
        NOISE,
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_conditional=simulate_conditional,
    complete=complete, validate=validate, coordinates={"round": bandit.rounds_of}, figures=figures,
    residual_tolerance=1e-8, check_cells=check_cells, tolerance=0.05,
)  # fmt: skip
