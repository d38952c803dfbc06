"""Concave rewards with Gaussian contexts: what exploration and feedback cost, to second order.

Question. With contexts the achievable rewards are curved: is regret then log T / T, and what do
greedy, ucb, epsilon-greedy and inverse gap weighting add?

Model. Each round brings ``K`` actions with features ``phi ~ N(0, I_d)``; rewards
``theta phi + sigma N(0, I_D)`` with ``theta theta' = G``, ``G_ij = s_i s_j (rho + (1 - rho)
1{i=j})``, ``s_i`` from 1 to ``scale_ratio``, geometric. Objectives and rules as in
`concave-bandits`; estimates by ridge regression, ``V = ridge I + sum phi phi'``.

Theory. The achievable set is the ellipsoid ``c_K G^(1/2) ball``, ``c_K`` the mean of the largest
of K normals. With ``H`` minus the Hessian at ``s*``, ``n² = g*' G g*``,
``Sigma = G - (1 - v_K) G g* g*' G/n² + sigma² I``, ``J = c_K [G/n - G g* g*' G/n³]``,
``A = I + J H`` and ``(A - I/2) Q + Q (A - I/2)' = Sigma``,

    oracle       T E regret = kappa ln T + const,   kappa = tr(H J H Q)/2 (oracle_log_coefficient)
                 T E bregman -> tr(H Q)/2,          2T R_2T - T R_T -> kappa ln 2
    oracle, ggf  sqrt(T) E regret -> beta0 y + tr(Pi Sigma)/(2 beta0), where objectives are equal
    stationary   E regret = tr(H Sigma)/(2 T)
    any          sd(regret_controlled - regret) = sqrt(g*' Sigma g*/T), exactly

``exploration_regret``, to be added to the oracle's: epsilon_greedy ``mean_t(eps_t) c_K n``;
squarecb ``mean_t E sum_a gap_a/(K + gamma_t gap_a)``. It is 0 for the others; ucb's has no formula.

The conditional simulation draws, for rules that learn nothing, what the best of K actions pays, and
takes the gaps of actions in the mean.

Verdicts resolve 3 %: regret has the noise of rewards, and 1 % would take 2 10^6 replicates.

Reference: V. Do et al., ICLR 2023, arXiv 2210.09957 (environment and second-order laws are this
package's own).
"""

import jax
import jax.numpy as jnp

from simulator.studies.decisions.concave_bandits._ellipsoid import (  # isort: skip
    exploration_regret, gram_of, largest_normal, linear_rule, loop, optimum,
)  # fmt: skip
from simulator.studies.decisions.concave_bandits.main import (  # isort: skip
    FIXED, NOISE, OPTIMUM, REGRETS, SEEN, ggf_loop,
)  # fmt: skip
from simulator.study import (  # isort: skip
    NO_RELATION, RESIDUAL, Dispersion, Output, Study, asymptotic, exact, theory_only,
)  # fmt: skip
from simulator.maths.slopes import square_root
from simulator.parameters import choice, parameters, static, traced
from simulator.sampling import short_rows
from simulator.sampling.shared import once
from simulator.studies.decisions.concave_bandits import PAPER
from simulator.studies.decisions.concave_bandits import _model as bandit
from simulator.studies.decisions.concave_bandits._linear_rules import linear_averages

LINEAR = ("oracle", "stationary", "scalarized")  # the best action for some gradient


@parameters
class Params(bandit.RidgeEstimates, bandit.GapWeighting, bandit.BanditParams):
    algorithm: str = choice(
        "oracle", ("oracle", *FIXED, "greedy", "ucb", "epsilon_greedy", "squarecb")
    )
    objective: str = choice("softmin", ("softmin", "quadratic", "ggf"))
    num_actions: int = static(5, "K", "actions of a round", at_least=2)
    num_objectives: int = static(3, "D", "rewards of an action", at_least=2)
    dim: int = static(8, detail="of an action", at_least="num_objectives", typical=(2, 100))
    correlation: float = traced(
        -0.3, detail="of two objectives' rewards; above -1/(D - 1)", above=-1, below=1
    )
    scale_ratio: float = traced(2.0, "–", "scale of the last objective over the first", above=0)
    noise_std: float = traced(0.5, detail="here of rewards", at_least=0)


def validate(params, side):
    """Checkpoints, correlations and targets that ranges cannot express."""
    bandit.check_rounds(params)
    count = params.num_objectives
    allowed = params.correlation > -1 / (count - 1)
    if not isinstance(allowed, jax.core.Tracer) and not allowed:
        raise ValueError(
            f"correlation = {params.correlation:g} is not allowed: it must be > -1/(num_objectives "
            f"- 1) = {-1 / (count - 1):g}"
        )
    if params.objective != "quadratic":
        return allowed
    # 1' G^-1 1 of G = s s' (rho + (1 - rho) 1{i = j}).
    share = [i / (count - 1) for i in range(count)]
    inverse = [params.scale_ratio**-x for x in share]
    spread = sum(x * x for x in inverse)
    mean = sum(inverse)
    rho = params.correlation
    width = (spread - rho * mean**2 / (1 + (count - 1) * rho)) / (1 - rho)
    outside = params.target**2 * width > largest_normal(params.num_actions)[0] ** 2
    if not isinstance(outside, jax.core.Tracer) and not outside:
        raise ValueError(
            f"target = {params.target:g} is not allowed: it must be outside of the rewards that "
            "policies reach"
        )
    return allowed & outside


def theory(params):
    """The best reward, laws of fixed policies and of the oracle's loop, price of exploration."""
    best = optimum(params)
    count, total = params.num_objectives, params.num_rounds
    time = jnp.asarray(bandit.rounds_of(params), float)
    gram = gram_of(params)
    ggf = params.objective == "ggf"
    flat = jnp.full(count, 1 / count)
    noise = params.noise_std**2 * jnp.eye(count)
    rewards = {
        "uniform": (jnp.zeros(count), gram + noise),
        "scalarized": linear_rule(params, flat),
        "stationary": (best.reward, linear_rule(params, best.gradient)[1]),
    }
    covariance = rewards["stationary"][1]

    def cost(reward, covariance):
        return jnp.trace(bandit.minus_hessian(params, reward) @ covariance) / 2

    if params.algorithm in FIXED:
        reward, spread = rewards[params.algorithm]
        short = best.value - bandit.value(params, reward)
        if params.algorithm == "stationary":
            short = jnp.zeros_like(short)
        regret = short + cost(reward, spread) / time
    else:
        regret = jnp.full(time.shape, jnp.inf)
    infinite = jnp.asarray(jnp.inf)
    if ggf:
        smoothed, strict = bandit.settled(params, best.gradient)
        scale = params.moreau_scale
        centred = jnp.trace(covariance) - jnp.sum(covariance) / count
        coefficient = jnp.where(strict, scale * smoothed + centred / (2 * scale), jnp.inf)
        bregman = jnp.where(strict, scale * smoothed, jnp.inf) / jnp.sqrt(time)
        logarithm, stationary, increment = infinite, infinite, infinite
    else:
        hessian = bandit.minus_hessian(params, best.reward)
        curved, spread = loop(params, best, hessian)
        logarithm = jnp.trace(hessian @ curved @ hessian @ spread) / 2
        increment = logarithm * jnp.log(2.0)
        bregman = jnp.trace(hessian @ spread) / (2 * time)
        stationary, coefficient = cost(best.reward, covariance) / total, infinite
    spread_of_regret = square_root(best.gradient @ covariance @ best.gradient / total)
    return {
        "optimal_value": best.value,
        "optimal_reward": best.reward,
        "optimal_gradient": best.gradient,
        "uniform_value": bandit.value(params, rewards["uniform"][0]),
        "scalarized_value": bandit.value(params, rewards["scalarized"][0]),
        "stationary_regret": stationary,
        "oracle_log_coefficient": logarithm,
        "exploration_regret": exploration_regret(params, best.gradient),
        "regret": regret,
        "regret_controlled": regret,
        "bregman": bregman,
        "doubling_increment": increment,
        "nonsmooth_coefficient": coefficient,
        "regret_noise_std": spread_of_regret,
        "regret_std": spread_of_regret,
        RESIDUAL: best.residual,
    }


def simulate_direct(key, params):
    """Round after round: features, an action for the gradient, its reward."""
    best = once(optimum, params)
    count, actions = params.num_objectives, params.num_actions
    factor = jnp.linalg.cholesky(gram_of(params))
    learning = params.algorithm not in (*LINEAR, "uniform")
    dim = params.dim
    longest = jnp.sqrt(jnp.max(jnp.diag(gram_of(params))))
    flat = jnp.full(count, 1 / count)

    def draw(key, length):
        key_features, key_noise, key_chance = jax.random.split(key, 3)
        return (
            short_rows.normal(key_features, (length, actions, dim)),
            short_rows.normal(key_noise, (length, count)),
            short_rows.uniform(key_chance, (length, 2)),
        )

    def choose(memory, gradient, means, features, now, chances):
        anywhere = jnp.minimum((chances[0] * actions).astype(jnp.int32), actions - 1)
        if params.algorithm == "uniform":
            return anywhere
        known = {"oracle": gradient, "stationary": best.gradient, "scalarized": flat}
        if params.algorithm in LINEAR:
            return jnp.argmax(means @ known[params.algorithm])
        inverse, products, log_volume = memory
        scores = features @ (inverse @ (products @ gradient))
        if params.algorithm == "ucb":
            log = 2 * jnp.log(count / params.failure_probability) + log_volume
            width = params.noise_std * jnp.sqrt(log) + jnp.sqrt(params.ridge) * longest
            size = jnp.sum(jnp.abs(gradient)) * params.exploration * width
            scores = scores + size * jnp.sqrt(jnp.sum((features @ inverse) * features, axis=1))
        action = jnp.argmax(scores)
        if params.algorithm == "epsilon_greedy":
            action = jnp.where(chances[1] < bandit.random_share(params, now), anywhere, action)
        if params.algorithm == "squarecb":
            action = bandit.by_chance(
                bandit.squarecb(scores, now, params.squarecb_rate), chances[0]
            )
        return action

    def step(memory, averages, now, drawn):
        features, noise, chances = drawn
        gradient = bandit.playing_slope(params, averages.reward, now)
        means = features[:, :count] @ factor.T
        action = choose(memory, gradient, means, features, now, chances)
        reward = means[action] + params.noise_std * noise
        if learning:
            inverse, products, log_volume = memory
            chosen = features[action]
            towards = inverse @ chosen
            length = 1 + chosen @ towards
            memory = (
                inverse - jnp.outer(towards, towards) / length,
                products + jnp.outer(chosen, reward),
                log_volume + jnp.log(length),
            )
        scores, at_best = means @ gradient, means @ best.gradient
        gap = jnp.max(at_best) - at_best[action]
        return memory, bandit.record(averages, now, reward, gap, jnp.max(scores) - scores[action])

    memory = (jnp.eye(dim) / params.ridge, jnp.zeros((dim, count), float), jnp.zeros((), float))
    averages = bandit.played(
        key, params, (memory if learning else (), bandit.nothing(count)), draw, step
    )
    return _outputs(params, best, averages)


def simulate_conditional(key, params):
    """Rules that learn nothing: rewards by the largest of K normals, and the means of their gaps.

    What learning rules estimate depends on all features: they play.
    """
    if params.algorithm not in (*LINEAR, "uniform"):
        return simulate_direct(key, params)
    best = once(optimum, params)
    averages = linear_averages(key, params, best)
    return _outputs(params, best, averages) | {"regret_noise_std": averages.noise[-1]}


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
        "regret_noise_std": (found["regret_controlled"] - found["regret"])[-1],
        "regret_std": found["regret"][-1],
        RESIDUAL: best.residual,
    }


def _in_loop(params):
    return asymptotic("O(log T/T)") if params.algorithm == "oracle" else NO_RELATION


def _smooth_loop(params):
    smooth = params.algorithm == "oracle" and params.objective != "ggf"
    return asymptotic("T → ∞") if smooth else NO_RELATION


figures = {
    "rounds": bandit.figure_of_rounds(
        "With contexts exploration is what costs",
        ["stationary", "oracle", "squarecb", "epsilon_greedy"],
        num_rounds=3200,
        replicates=50,
        caption="Soft minimum of three objectives, five actions; only a fixed policy has a line.",
    ),
}  # fmt: skip

check_cells = (
    {"algorithm": "scalarized", "objective": "quadratic", "target": 2.3, "num_actions": 3,
     "num_objectives": 2, "dim": 3, "num_rounds": 30, "num_checkpoints": 2, "curvature": 1.3},
)  # fmt: skip

STUDY = Study(
    name="concave-bandits.gaussian-contexts",
    title="concave value of average rewards with Gaussian contexts",
    paper=PAPER, params=Params,
    outputs=(
        *OPTIMUM,
        *theory_only(
            stationary_regret="mean regret of the best fixed policy",
            oracle_log_coefficient="κ, slope of T regret in ln T",
            exploration_regret="what random actions add to regret",
        ),
        *REGRETS,
        Output("bregman", "curvature of f between s* and the averages", _in_loop, dims=("round",)),
        *SEEN,
        Output(
            "doubling_increment", "T regret_controlled, less that at half of T", _smooth_loop
        ),
        Output("nonsmooth_coefficient", "limit of sqrt(T) E regret (ggf)", ggf_loop),
        Output(
            "regret_noise_std", "standard deviation of regret_controlled - regret", exact(),
            dispersion=Dispersion("std", "regret_noise_std"),
        ),
        NOISE,
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_conditional=simulate_conditional,
    validate=validate, coordinates={"round": bandit.rounds_of}, figures=figures,
    residual_tolerance=1e-8, check_cells=check_cells, tolerance=0.03,
)  # fmt: skip
