"""The online ranker on two items and a continuum of users: everything is exact.

Question. How fast does the ranker approach the optimum, and when does the asymptotic regime start?

Model. Two items, one slot; a user's relevances are ``1/2 ± D/2``, ``D ~ N(delta, tau²)`` iid.
``v`` is the exposure of item 2, shown iff ``D < c``; with ``z = (c - delta)/tau``

    U(c) = 1/2 + delta/2 - delta Phi(z) + tau phi(z),    f = U - beta (v - 1/2)².

The ranker plays ``c_t = beta (1 - 2 v_{t-1})``, ``c_1 = 0``.

Theory (exact). Optimum: the root of ``c = beta (1 - 2 Phi((c - delta)/tau))``. The number ``k`` of
times that item 2 was shown is a Markov chain, ``P(k -> k + 1 at round t) = Phi((beta (1 -
2k/(t-1)) -
delta)/tau)``; a forward recursion over its law gives every mean. As T grows, with ``rho =
phi(z*)/tau`` and ``Q = v*(1 - v*)/(1 + 4 beta rho)``,

    T E regret = kappa ln T + const,  kappa = 2 beta² rho Q,      T E bregman -> beta Q,

and ``sqrt(T) regret`` is normal with variance ``Var|D - c*| / 4``: exactly that of the difference
of ``regret`` and ``regret_controlled = bregman + gap`` at every T. The regime needs ``T >> beta``.

Verdicts resolve 4 %: regret has the noise of arrivals, and 1 % would take 3 10^6 replicates.

Reference: the ranker of arXiv 2209.13019; this model and its laws are this package's own.
"""

import jax
import jax.numpy as jnp
from jax import lax

from simulator.maths.gaussian import normal_cdf, normal_pdf
from simulator.maths.quadrature import unit_rule
from simulator.maths.roots import bisected, newton_steps
from simulator.maths.rounds import check_checkpoints, log_spaced, play
from simulator.maths.slopes import square_root
from simulator.parameters import parameters, static, traced
from simulator.studies.decisions.fair_ranking import PAPER
from simulator.study import Dispersion, Figure, Output, Study, asymptotic, both, exact, theory_only

_BISECTIONS = 200  # halvings of [-beta, beta]: to the last bit


@parameters
class Params:
    fairness_weight: float = traced(4.0, "β", "weight of the items", at_least=0)
    relevance_gap_mean: float = traced(0.5, "δ", "mean of item 1's lead in relevance")
    relevance_gap_std: float = traced(0.5, "τ", "standard deviation of the lead", above=0)
    num_rounds: int = static(1000, at_least=1, grows=1)
    num_checkpoints: int = static(1, at_least=1)


def utility_of(params, threshold):
    """``U(c)``: mean relevance of what is shown."""
    delta, tau = params.relevance_gap_mean, params.relevance_gap_std
    z = (threshold - delta) / tau
    return 0.5 + delta / 2 - delta * normal_cdf(z) + tau * normal_pdf(z)


def exposure_of(params, threshold):
    """``Phi(z)``: how often item 2 is shown."""
    return normal_cdf((threshold - params.relevance_gap_mean) / params.relevance_gap_std)


def value_of(params, utility, exposure):
    """``f``."""
    return utility - params.fairness_weight * (exposure - 0.5) ** 2


def loss_of(params, best, threshold):
    """``U(c*) + c* Phi(z*) - U(c) - c* Phi(z)``: of ``x - c*`` the integral from c* to c."""
    delta, tau = params.relevance_gap_mean, params.relevance_gap_std
    move = threshold - best
    near = jnp.abs(move) < tau / 2
    short = jnp.where(near, move, 0)  # far away the difference does not cancel
    nodes, weights = unit_rule(8)
    densities = normal_pdf((best - delta + short[..., None] * nodes) / tau) / tau
    far = utility_of(params, best) + best * exposure_of(params, best)
    far = far - utility_of(params, threshold) - best * exposure_of(params, threshold)
    return jnp.where(near, short**2 * (densities @ (weights * nodes)), far)


def optimal_threshold(params):
    """The root of ``c = beta (1 - 2 Phi((c - delta)/tau))``, with derivatives."""

    def excess(c, params):
        return c - params.fairness_weight * (1 - 2 * exposure_of(params, c))

    frozen = lax.stop_gradient(params)
    beta = frozen.fairness_weight
    low, high = bisected(lambda c: excess(c, frozen) > 0, -beta, beta, _BISECTIONS)
    return newton_steps(excess, (low + high) / 2, params)


def theory(params):
    """The optimum, and the law of the chain round by round."""
    beta = params.fairness_weight
    best = optimal_threshold(params)
    tau = params.relevance_gap_std
    exposure, utility = exposure_of(params, best), utility_of(params, best)
    value = value_of(params, utility, exposure)
    density = normal_pdf((best - params.relevance_gap_mean) / tau) / tau
    spread = exposure * (1 - exposure) / (1 + 4 * beta * density)
    means = _means_of_chain(params, best, exposure)
    noise = _noise(params, best)
    return {
        "optimal_value": value,
        "optimal_threshold": best,
        "optimal_exposure": exposure,
        "optimal_utility": utility,
        "relevance_value": value_of(params, utility_of(params, 0), exposure_of(params, 0)),
        "log_coefficient": 2 * beta**2 * density * spread,
        "bregman_limit": beta * spread,
        "regret": means["regret_controlled"],
        **means,
        "regret_noise_std": noise,
        "regret_std": noise,
    }


def _means_of_chain(params, best, optimal_exposure):
    """Means at the checkpoints, by recursion over the law of the count ``k``."""
    beta, total = params.fairness_weight, params.num_rounds
    count = jnp.arange(total + 1).astype(float)

    def step(state, now, _):
        law, utility, gap = state
        before = jnp.maximum(now - 1, 1).astype(float)
        threshold = jnp.where(now > 1, beta * (1 - 2 * count / before), 0)
        shown = jnp.where(law > 0, law * exposure_of(params, threshold), 0)
        mean_utility = law @ utility_of(params, threshold)
        moved = law - shown + jnp.roll(shown, 1)
        lost = law @ loss_of(params, best, threshold)
        time = now.astype(float)
        return (moved, utility + (mean_utility - utility) / time, gap + (lost - gap) / time)

    zero = jnp.zeros((), float)
    start = ((count == 0).astype(float), zero, zero)
    rounds = log_spaced(total, params.num_checkpoints)
    law, utility, gap = play(
        jax.random.key(0), start, lambda key, length: None, step, lambda state: state, rounds, total
    )
    share = count / jnp.asarray(rounds, float)[:, None]
    bregman = beta * jnp.sum(law * (share - optimal_exposure) ** 2, axis=1)
    return {
        "regret_controlled": bregman + gap,
        "bregman": bregman,
        "gap": gap,
        "utility": utility,
        "exposure": jnp.sum(law * share, axis=1),
    }


def _noise(params, best):
    """``sqrt(Var|D - c*| / T) / 2``."""
    delta, tau = params.relevance_gap_mean, params.relevance_gap_std
    s = (delta - best) / tau  # even in s
    mean = 2 * normal_pdf(s) + s * (1 - 2 * normal_cdf(-s))
    variance = tau**2 * (1 + s**2 - mean**2)
    return square_root(variance / params.num_rounds) / 2


def simulate_direct(key, params):
    """Users arrive, the ranker ranks."""
    beta, delta, tau = params.fairness_weight, params.relevance_gap_mean, params.relevance_gap_std
    best = optimal_threshold(params)
    optimal_exposure, optimal_utility = exposure_of(params, best), utility_of(params, best)
    optimal_value = value_of(params, optimal_utility, optimal_exposure)

    def draw(key, length):
        return delta + tau * jax.random.normal(key, (length,), float)

    def step(state, now, lead):
        exposure, utility, gap = state
        threshold = jnp.where(now > 1, beta * (1 - 2 * exposure), 0)
        second = lead < threshold
        worth = 0.5 + jnp.where(second, -lead, lead) / 2
        # At the best scores the items' lead is D - c*.
        lost = jnp.where(second == (lead < best), 0, jnp.abs(lead - best))
        time = now.astype(float)
        return (
            exposure + (second - exposure) / time,
            utility + (worth - utility) / time,
            gap + (lost - gap) / time,
        )

    zero = jnp.zeros((), float)
    rounds = log_spaced(params.num_rounds, params.num_checkpoints)
    exposure, utility, gap = play(
        key,
        (zero, zero, zero),
        draw,
        step,
        lambda state: state,
        rounds,
        min(params.num_rounds, 256),
    )
    bregman = beta * (exposure - optimal_exposure) ** 2
    regret = optimal_value - value_of(params, utility, exposure)
    return {
        "regret": regret,
        "regret_controlled": bregman + gap,
        "bregman": bregman,
        "gap": gap,
        "utility": utility,
        "exposure": exposure,
        "regret_noise_std": (bregman + gap - regret)[-1],
        "regret_std": regret[-1],
    }


def validate(params, side):
    """So many checkpoints need as many rounds."""
    check_checkpoints(params.num_checkpoints, "num_rounds", params.num_rounds)


figures = {
    "rounds": Figure(
        title="Regret falls like log T / T once T exceeds the fairness weight",
        x="round", y=("regret_controlled",), series="fairness_weight", replicates=200,
        grid={"fairness_weight": [0.1, 1, 10, 100]},
        params={"num_rounds": 1024, "num_checkpoints": 11},
        caption="Lead 0.5 ± 0.5. Lines are exact.",
    ),
}  # fmt: skip

STUDY = Study(
    name="fair-ranking.two-items",
    title="the online ranker on two items, exactly",
    paper=PAPER, params=Params,
    outputs=(
        *theory_only(
            optimal_value="f*",
            optimal_threshold="c*: item 2 is shown iff item 1 leads by less",
            optimal_exposure="v*: how often item 2 is shown",
            optimal_utility="U(c*)",
            relevance_value="f of sorting by relevance",
            log_coefficient="slope of T regret in ln T",
            bregman_limit="limit of T bregman",
        ),
        *both(
            exact(),
            dims=("round",),
            regret="f* less f of the averages",
            regret_controlled="bregman + gap: the same mean, little noise",
            bregman="β (v - v*)²",
            gap="mean optimality gap of what was shown, at the optimum's scores",
            utility="mean relevance of what was shown",
            exposure="how often item 2 was shown",
        ),
        Output(
            "regret_noise_std", "standard deviation of regret_controlled - regret", exact(),
            dispersion=Dispersion("std", "regret_noise_std"),
        ),
        Output(
            "regret_std", "standard deviation of regret", asymptotic("T → ∞, T ≫ β"),
            dispersion=Dispersion("std", "regret_std"),
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, validate=validate,
    coordinates={"round": lambda params: log_spaced(params.num_rounds, params.num_checkpoints)},
    figures=figures,
    check_cells=({"num_rounds": 200, "num_checkpoints": 2, "fairness_weight": 1.3},),
    tolerance=0.04,
)  # fmt: skip
