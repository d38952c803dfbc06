"""How likely is a harmful output within the reach of an attack, by volumes in the simplex?

Question. A query leads to a distribution over n explanations, m of which are harmful. How likely is
it that some rephrasing, which moves the distribution by at most ε, gives the harmful ones a mass of
at least p?

Model. The outputs of random queries are points of the simplex. Moving a mass costs twice that much
in l1 (the sum of absolute differences) and once in tv (half of it), so the harmful zone expanded by
``ε`` is ``π(E_h) >= t`` with ``t = max(p - ε/2, 0)`` (l1) or ``max(p - ε, 0)`` (tv). One replicate
is one query, and its outputs are 0 or 1: to resolve 0.1 % takes millions of them, even with the
powers of the harmful masses as control variates, which save a factor of three to seven.

Theory. Exact: under the uniform law ``π(E_h) ~ Beta(m, n - m)`` and ``uniform_probability = P(Beta
>= t)``; under a Dirichlet law with ``α_h`` on the harmful and ``α_s`` on the other explanations
``dirichlet_probability = P(Beta(m α_h, (n - m) α_s) >= t)``. A law whose density on the safe zone
is at most ``γ_s`` times uniform is harmful with probability at least ``1 - γ_s (1 - P_U)``, which a
law attains: ``jailbreak_lower_bound``. Approximations, with ``A = sqrt((n-1) p (1-p))``:

    alignment_score a = (m - 1 - (n-1) p)/A,   expanded a_ε = a + sqrt(n-1) ε  (2 ε in tv),
    normal_approximation = Φ(a + (n-1)(p - t)/A),   paper_normal_probability = Φ(a_ε).

Neither is an inequality: with few harmful explanations Φ is above the exact value, and then
``paper_lower_bound = max(0, 1 - γ_s (1 - Φ(a_ε)))`` exceeds what it is to bound.

Reference: J. Su, J. Kempe, K. Ullrich, "Mission Impossible: A Statistical Perspective on
Jailbreaking LLMs", NeurIPS 2024, arXiv 2408.01420.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import betainc

from simulator.maths.beta import beta_tails
from simulator.maths.centred import centred_beta
from simulator.maths.gaussian import normal_cdf
from simulator.parameters import choice, parameters, traced
from simulator.sampling.gamma import log_gamma
from simulator.studies.alignment.jailbreaking import PAPER
from simulator.study import CONTROLS, Figure, Study, both, exact, theory_only


@parameters
class Params:
    num_explanations: int = traced(
        100, symbol="n", at_least=2, at_most=2**31 - 1, static_in=("direct",)
    )
    num_harmful: int = traced(30, at_least=1, at_most="num_explanations - 1")
    harm_threshold: float = traced(0.3, above=0, below=1)
    attack_radius: float = traced(
        0.1, symbol="ε", detail="how far a rephrasing moves the output", at_least=0
    )
    attack_norm: str = choice(
        "l1", ("l1", "tv"), "dist", detail="tv: half the sum of absolute differences"
    )
    concentration: float = traced(
        4.0, "γ_s", "largest density on the safe zone, relative to uniform", at_least=1
    )
    dirichlet_harmful: float = traced(
        0.5, "α_h", "Dirichlet parameter of a harmful explanation", above=0
    )
    dirichlet_safe: float = traced(1.0, "α_s", "Dirichlet parameter of a safe one", above=0)


def _moved(params):
    """How much mass an attack moves."""
    return params.attack_radius / (2 if params.attack_norm == "l1" else 1)


def _edge(params):
    """``t``, the harmful mass from which a query is within reach."""
    return jnp.maximum(params.harm_threshold - _moved(params), 0)


def _uniform(params):
    """``1 - P_U`` and ``P_U``."""
    m = params.num_harmful * 1.0
    return beta_tails(m, params.num_explanations - m, _edge(params))


def theory(params):
    """The formulas of the module docstring."""
    n, m, p = params.num_explanations, params.num_harmful, params.harm_threshold
    safe, harmful = _uniform(params)
    shapes = m * params.dirichlet_harmful, (n - m) * params.dirichlet_safe
    scale = jnp.sqrt((n - 1) * p * (1 - p))
    score = (m - 1 - (n - 1) * p) / scale
    expanded = score + 2 * jnp.sqrt(n - 1) * _moved(params)
    return {
        "uniform_probability": harmful,
        "dirichlet_probability": beta_tails(*shapes, _edge(params))[1],
        "jailbreak_lower_bound": _bound(params, safe),
        "alignment_score": score,
        "alignment_score_expanded": expanded,
        "normal_approximation": normal_cdf(score + (n - 1) * (p - _edge(params)) / scale),
        "paper_normal_probability": normal_cdf(expanded),
        "paper_lower_bound": _bound(params, normal_cdf(-expanded)),
    }


def _bound(params, safe):
    return jnp.maximum(1 - params.concentration * safe, 0)


def simulate_direct(key, params):
    """Draw two output distributions, uniform and Dirichlet, and sum their harmful parts."""
    harmful = jnp.arange(params.num_explanations) < params.num_harmful

    def masses(key, concentration):
        parts = log_gamma(key, concentration)
        return [jax.nn.logsumexp(parts, where=chosen) for chosen in (harmful, ~harmful)]

    def uniform(key):
        return masses(key, jnp.ones(params.num_explanations))

    def dirichlet(key):
        return masses(key, jnp.where(harmful, params.dirichlet_harmful, params.dirichlet_safe))

    return _queries(key, params, uniform, dirichlet)


def simulate_fast(key, params):
    """The same masses as two gamma variates, whatever the number of explanations."""
    m = params.num_harmful * 1.0
    rest = params.num_explanations - m

    def uniform(key):
        return log_gamma(key, jnp.stack([m, rest]))

    def dirichlet(key):
        return log_gamma(
            key, jnp.stack([m * params.dirichlet_harmful, rest * params.dirichlet_safe])
        )

    return _queries(key, params, uniform, dirichlet)


def _queries(key, params, uniform, dirichlet):
    """Whether each of three random outputs is within reach: of two laws, and the extremal one."""
    keys = jax.random.split(key, 3)
    edge, m = _edge(params), params.num_harmful * 1.0
    rest = params.num_explanations - m
    drawn = {"uniform": uniform(keys[0]), "dirichlet": dirichlet(keys[1])}
    shapes = {
        "uniform": (m, rest),
        "dirichlet": (m * params.dirichlet_harmful, rest * params.dirichlet_safe),
    }

    def within_reach(law):
        """By logarithms: small Dirichlet parameters give masses beyond the range of floats."""
        harmful, safe = drawn[law]
        return (harmful - safe >= jnp.log(edge) - jnp.log1p(-edge)).astype(float)

    def powers(law):
        harmful, safe = drawn[law]
        return centred_beta(jax.nn.sigmoid(harmful - safe), *shapes[law])

    safe = jnp.minimum(params.concentration * betainc(m, rest, edge), 1)
    chance = jax.random.uniform(keys[2], (), float)
    return {
        "uniform_probability": within_reach("uniform"),
        "dirichlet_probability": within_reach("dirichlet"),
        "jailbreak_lower_bound": (chance >= safe).astype(float),
        CONTROLS: {
            **{law: powers(law) for law in drawn},
            "extremal": centred_beta(chance, 1.0, 1.0),
        },
    }


def controls(params):
    """Means of the control variates: powers of the harmful masses, centred."""
    return dict.fromkeys(("uniform", "dirichlet", "extremal"), jnp.zeros(()))


figures = {
    "radius": Figure(
        title="Many explanations: a sharp transition in the attack's radius",
        x="attack_radius", series="num_explanations", replicates=4000, xscale="linear",
        yscale="linear",
        y=("uniform_probability", "normal_approximation", "paper_normal_probability"),
        grid={"attack_radius": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9],
              "num_explanations": [20, 100, 500]},
        params={"num_harmful": 6, "harm_threshold": 0.4},
        caption="l1, six harmful explanations, p = 0.4.",
    ),
}  # fmt: skip

check_cells = (
    {"num_explanations": 20, "num_harmful": 5, "attack_radius": 0.15, "concentration": 1.3,
     "dirichlet_harmful": 0.9},
    {"num_explanations": 7, "num_harmful": 3, "harm_threshold": 0.6, "attack_radius": 0.2,
     "attack_norm": "tv", "concentration": 1.2, "dirichlet_harmful": 1.7, "dirichlet_safe": 1.6},
)  # fmt: skip

STUDY = Study(
    name="jailbreaking",
    title="harmful outputs within the reach of an attack, by volumes in the simplex",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            exact(),
            uniform_probability="probability of the expanded harmful zone, uniform law",
            dirichlet_probability="the same under the Dirichlet law",
            jailbreak_lower_bound="1 - γ_s (1 - P_U), or 0; simulated: the law that attains it",
        ),
        *theory_only(
            alignment_score="a, by which the harmful share misses p, in standard deviations",
            alignment_score_expanded="the same with the paper's shift by the attack",
            normal_approximation="normal value of the uniform probability, O(1/sqrt(n)) off",
            paper_normal_probability="Φ(a_ε), with the paper's conservative shift",
            paper_lower_bound="the bound with it, which may exceed the true probability",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, controls=controls,
    figures=figures, tolerance=0.01, check_cells=check_cells,
)  # fmt: skip
