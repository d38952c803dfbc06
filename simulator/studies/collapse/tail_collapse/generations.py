"""How fast does a memory forget when every generation learns from samples of the last one?

Generation 1 samples T_1 tokens of the real law ``p_i = A i^-beta`` (cut at rank k, if at all),
generation m samples T_m tokens of what generation m - 1 has seen, with its frequencies (and the
same cut). Sizes are ``T_1 = ... = T_{n-1} = T_0`` and ``T_n = T``. A token that is once missed
never returns: neutral Wright-Fisher drift.

For Poisson samples the chain is exactly one sample of an effective size,

    theta <- T_n / T_{n-1};   theta <- (T_m / T_{m-1}) (1 - e^-theta),  m = n-1 ... 2;
    T_eff = T_1 (1 - e^-theta),     E = sum_i p_i e^{-p_i T_eff},

so that equal sizes lose ``E_n / E_1 ~ (n/2)^c``, c = 1 - 1/beta: sub-linear in n. The linear law
``E ~ T^-c + n T_0^-c`` (arXiv 2402.07043, theorem 3.1) is its envelope: ``1/T_eff <= sum_m 1/T_m``
and ``x^c`` is subadditive, hence ``test_error_upper_bound``. Multinomial samples follow the same
formula up to O(n / min(T, T_0)).

Verdicts resolve 1 %: multinomial samples take a ladder of sizes, and 0.3 % takes minutes.

References
----------
Dohmatob, Feng, Yang, Charton, Kempe, "A Tale of Tails: Model Collapse as a Change of Scaling
Laws", ICML 2024, arXiv 2402.07043. The effective sample size is this package's own.
"""

import jax
import jax.numpy as jnp
from jax import lax

from simulator.maths import charlier, zipf
from simulator.maths.slopes import at_most
from simulator.parameters import choice, parameters, static, traced
from simulator.sampling import counts
from simulator.studies.collapse.tail_collapse import PAPER
from simulator.studies.collapse.tail_collapse.main import clean_closed_form
from simulator.study import CONTROLS, Figure, Output, Study, asymptotic, exact, upper_bound

_HEADS = 1024
_HEADS_DIRECT = 4096
_ORDERS = 4  # polynomials of counts


@parameters
class Params:
    zipf_exponent: float = traced(1.5, detail="of real data", above=1)
    num_samples: float = traced(
        1000.0, symbol="T", detail="tokens of the last generation", at_least=1, grows=1
    )
    num_samples_generator: float = traced(1000.0, symbol="T₀", detail="tokens", at_least=1, grows=1)
    num_generations: int = static(
        5,
        symbol="n",
        detail="successive samples, the first of real data",
        at_least=1,
        traced_in=("theory", "fast"),
    )
    cutoff: float = traced(
        float("inf"), detail="of every sample", at_least=1, integer=True, infinite=True
    )
    sampling: str = choice("multinomial", ("multinomial", "poisson"))


def theory(params: Params):
    """Exact for Poisson samples; relative error O(n / min(T, T_0)) for multinomial ones."""
    beta, k = params.zipf_exponent, params.cutoff
    t_eff = effective_samples(params)
    plateau = zipf.tail_mass(beta, k)
    # One sample of this size, cut like the first. Summed from positive terms, not as a difference
    # of two sums over all ranks.
    ranks = zipf.rank_nodes(zipf.training_law(beta, k), t_eff)
    test_error = ranks.sum(
        lambda p, q: p * jnp.exp(-t_eff * q), lambda p, q: p, correction=lambda r: -t_eff * r.pq
    )
    distinct = ranks.sum(lambda p, q: -jnp.expm1(-t_eff * q), lambda p, q: t_eff * q, certain=1.0)
    c = zipf.clean_exponent(beta)
    earlier = (params.num_generations - 1) * params.num_samples_generator**-c
    linear = clean_closed_form(beta, 1.0) * (params.num_samples**-c + earlier)
    return {
        "test_error": test_error,
        "num_samples_effective": t_eff,
        "num_distinct_tokens": at_most(distinct, jnp.minimum(k, t_eff)),
        "test_error_upper_bound": linear + plateau,
    }


def effective_samples(params: Params):
    """``T_eff``: one Poisson sample of this size misses a token as often as the whole chain."""
    last, generator = params.num_samples, params.num_samples_generator
    later = params.num_generations - 1
    return jnp.where(later == 0, last, generator * _passed_on(params, later))


def _passed_on(params: Params, later):
    """``1 - e^-theta``: the chance that one occurrence of a token is passed on for so long.

    ``later`` is the number of Poisson samples to come.
    """
    theta = lax.fori_loop(
        0,
        later - 1,
        lambda _, theta: -jnp.expm1(-theta),
        params.num_samples / params.num_samples_generator,
    )
    return jnp.where(later == 0, 1.0, -jnp.expm1(-theta))


def probability_known(params: Params, rank):
    """A skill: ``P(token of this rank is in the last sample) = 1 - e^{-q_i T_eff}``; 0 if cut.

    Un-learning between generations 1 and n is the difference of the two values.
    """
    law = zipf.training_law(params.zipf_exponent, params.cutoff)
    return -jnp.expm1(-law.q(rank) * effective_samples(params))


def last_known_rank(params: Params):
    """The largest rank that is known with probability 1/2: ``(A' T_eff / log 2)^{1/beta}``."""
    beta = params.zipf_exponent
    scale = zipf.probability(beta, 1.0) / (1 - zipf.tail_mass(beta, params.cutoff))
    rank = (scale * effective_samples(params) / jnp.log(2.0)) ** (1 / beta)
    return jnp.minimum(jnp.floor(rank), params.cutoff)


def simulate_direct(key: jax.Array, params: Params):
    """Draw every generation token by token."""

    def resample(key, rates, size):
        key_number, key_tokens = jax.random.split(key)
        number = rates.sum()
        if params.sampling == "poisson":
            number = counts.poisson(key_number, number)
        law = rates / jnp.maximum(rates.sum(), 1e-30)
        return counts.draw_tokens(key_tokens, number, law, expected=size)

    return _chain(key, params, _HEADS_DIRECT, resample)


def simulate_fast(key: jax.Array, params: Params):
    """Resample counts per rank: the cost does not depend on the numbers of tokens."""

    def resample(key, rates, size):
        if params.sampling == "poisson":
            return counts.poisson(key, rates)
        total = rates.sum()
        return counts.multinomial(key, total, rates / jnp.maximum(total, 1e-30))

    return _chain(key, params, _HEADS, resample)


def _chain(key, params: Params, num_heads: int, resample):
    """Counts of the heads (and of the rest together) through all generations.

    ``resample(key, rates, size)`` draws the next counts, of means ``rates`` that sum to about
    ``size``. Ranks beyond the heads are seen too rarely to be followed one by one: they enter by
    their expectation.
    """
    beta, k = params.zipf_exponent, params.cutoff
    n = params.num_generations
    law = zipf.training_law(beta, k)
    heads = jnp.arange(1, num_heads + 1, dtype=float)
    p = law.p(heads)
    q = jnp.append(law.q(heads), law.q_beyond(float(num_heads)))

    generator, last = params.num_samples_generator, params.num_samples

    def generation(m, state):
        seen, followed = state
        size = jnp.where(m == n - 1, last, generator)
        before = jnp.where(m == 0, 1.0, generator)  # the first sample is drawn from the law q
        rates = seen * (size / before)
        seen = resample(jax.random.fold_in(key, m), rates, size)
        return seen, followed + surprise(m, seen, rates)

    def surprise(m, seen, rates):
        """What of the last sample's misses sample ``m`` tells, minus its mean given the one before.

        A token that occurs N times now is missed in the end with probability ``e^{-theta N}``.
        """
        total = jnp.inf
        if params.sampling == "multinomial":
            total = seen.sum()  # that was drawn, whatever rounding did to the sum of the rates
            rates = total * (rates / rates.sum())
        decay = _passed_on(params, n - 1 - m)
        terms = charlier.centred(seen[:-1], rates[:-1], _ORDERS, total)
        terms = terms * charlier.of_power(rates[:-1], _ORDERS, decay)
        return jnp.stack([terms @ p, terms.sum(axis=1)])

    start = (q, jnp.zeros((2, _ORDERS), float))
    seen, followed = lax.fori_loop(0, n, generation, start)

    rate = effective_samples(params) / (1 - zipf.tail_mass(beta, k))
    beyond = jnp.maximum(k, num_heads)  # the cut, or the first rank that is not followed
    rest = zipf.unseen_mass(beta, rate, float(num_heads)) - zipf.unseen_mass(beta, rate, beyond)
    rest = rest + zipf.tail_mass(beta, beyond)
    distinct = zipf.distinct_ranks(beta, rate, float(num_heads))
    distinct = distinct - zipf.distinct_ranks(beta, rate, beyond)
    found = seen[:-1] > 0
    return {
        "test_error": jnp.sum(jnp.where(found, 0.0, p)) + rest,
        "num_distinct_tokens": jnp.sum(found) + distinct,
        CONTROLS: {"missed_mass": followed[0], "missed_number": followed[1]},
    }


def controls(params: Params):
    """Polynomials of a sample's counts, minus their means given the sample before: 0, exactly."""
    return {"missed_mass": jnp.zeros(_ORDERS, float), "missed_number": jnp.zeros(_ORDERS, float)}


def _relation(params: Params):
    if params.sampling == "poisson":
        return exact("an exact branching recursion")
    return asymptotic("relative error O(n / min(T, T_0)): the samples' sizes are fixed")


_SAMPLES = [10.0, 100.0, 1e3, 1e4, 1e5, 1e6]

figures = {
    "generations": Figure(
        title="Degradation over generations, and its linear envelope",
        x="num_generations", y=("test_error", "test_error_upper_bound"), series="cutoff",
        grid={"num_generations": [1, 2, 3, 5, 8, 13, 20], "cutoff": [100.0, float("inf")]},
        caption="Exact growth (n/2)^c; the linear law of the paper is an upper bound.",
    ),
    "loss-of-scaling": Figure(
        title="More tokens do not help a late generation",
        x="num_samples", y=("test_error",), series="num_generations",
        grid={"num_samples": _SAMPLES, "num_generations": [1, 2, 5, 10]},
        params={"num_samples_generator": 1e3}, caption="E stops falling at T ~ T_0 = 1000.",
    ),
    "two-stages": Figure(
        title="A generator that saw T₀ tokens",
        x="num_samples", y=("test_error",), series="num_samples_generator",
        grid={"num_samples": _SAMPLES, "num_samples_generator": [1e2, 1e3, 1e4, 1e5]},
        params={"num_generations": 2}, caption="Plateaus K T_0^-c.",
    ),
}  # fmt: skip

check_cells = (
    {"num_generations": 4, "num_samples_generator": 300.0, "num_samples": 800.0, "cutoff": 20.0,
     "sampling": "poisson"},
    {"zipf_exponent": 1.4, "sampling": "poisson", "num_samples": 700.0},
    {"zipf_exponent": 1.6, "num_generations": 3, "num_samples": 1500.0},
)  # fmt: skip

STUDY = Study(
    name="tail-collapse.generations",
    title="Error of an infinite memory at the end of a chain of generations",
    paper=PAPER, params=Params,
    outputs=(
        Output("test_error", "probability that a real token is extinct", _relation),
        Output("num_samples_effective", "size T_eff of one equivalent real sample", where="theory"),
        Output("num_distinct_tokens", "distinct tokens in the last sample", _relation),
        Output(
            "test_error_upper_bound", "linear law K (T^-c + (n-1) T_0^-c) + m_k",
            upper_bound("up to the closed form's error, for T_eff above 10", of="test_error"),
            where="theory",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast,
    controls=controls, check_cells=check_cells, figures=figures,
)  # fmt: skip
