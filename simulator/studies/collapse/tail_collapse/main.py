"""Does the scaling law survive training data that have lost their tail?

A memory of unlimited size stores every token it sees. Tokens follow ``p_i = A i^-beta``; the
training sample of T tokens follows ``q_i = pi p_i + (1 - pi) s_i`` with synthetic data
``s_i ~ i^-beta' 1{i <= k}``, cut at rank k (top-p sampling, or a generator that saw about
``k^beta`` tokens itself) and narrowed to ``beta' >= beta`` (temperature ``beta / beta'``). Test
tokens follow the real law, so

    E = sum_i p_i (1 - q_i)^T         (T tokens;  Poisson(T) tokens: sum_i p_i e^{-T q_i}).

With ``c = 1 - 1/beta``, ``m_k = sum_{i>k} p_i`` and ``K = A^{1/beta} Gamma(c) / beta``:

    clean       E ~ K T^-c                                     (arXiv 2402.07043, section 2)
    cut         E ~ T^-c + k^-(beta-1): plateau m_k            (theorem 2.1, double scaling law)
    narrowed    E ~ T^-g, g = (beta - 1) / beta' < c           (section 4: a slower law for ever)
    mixed       plateau m_k for k^beta/A < T < k^beta/(A pi), then K (pi T)^-c: the memory "groks"
                                                               (section 5)

The sums are exact for any T (`simulator.maths.zipf`). Simulation: counts of 512 single ranks and
65 geometric blocks replace T draws, so 1e12 tokens cost what 1e3 cost. Verdicts resolve 1.2 %, and
means 0.2 %: 1 % of a standard deviation takes more replicates than a check runs.

References
----------
Dohmatob, Feng, Yang, Charton, Kempe, "A Tale of Tails: Model Collapse as a Change of Scaling
Laws", ICML 2024, arXiv 2402.07043. The constants are this package's own.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import gamma

from simulator.maths import zeta, zipf
from simulator.maths.slopes import at_most, only_slope, square_root
from simulator.parameters import choice, parameters, traced
from simulator.runtime.precision import float_dtype
from simulator.sampling import counts
from simulator.studies.collapse.tail_collapse import PAPER
from simulator.studies.collapse.tail_collapse import _model as _cells
from simulator.study import Dispersion, Figure, Output, Study, exact

_HEADS = 512
_HEADS_DIRECT = 32768


@parameters
class Params:
    zipf_exponent: float = traced(1.5, detail="of real data", above=1)
    num_samples: float = traced(1000.0, symbol="T", detail="tokens", at_least=1)
    cutoff: float = traced(
        float("inf"), detail="of the synthetic part", at_least=1, integer=True, infinite=True
    )
    zipf_exponent_synthetic: float = traced(
        0.0, "β′", "exponent of synthetic data (no narrowing up to β)", at_least=0
    )
    real_fraction: float = traced(
        0.0, "π", "share of real data in the mixture", at_least=0, at_most=1
    )
    sampling: str = choice("multinomial", ("multinomial", "poisson"))


def theory(params: Params):
    """Exact sums over all ranks, for either sampling."""
    t = params.num_samples
    law = _law(params)
    ranks = zipf.rank_nodes(law, t)
    multinomial = params.sampling == "multinomial"

    def log_missed(q):  # log probability that a token of rate q is not in the sample
        return t * jnp.log1p(-_below_one(q)) if multinomial else -t * q

    def missed(q):
        return jnp.exp(log_missed(q))

    def seen(q):
        return -jnp.expm1(log_missed(q))

    spread = ranks.sum(
        lambda p, q: p**2 * missed(q) * seen(q), correction=lambda rare: t * rare.ppq
    )
    if multinomial:
        spread = spread + _covariances(ranks, t, log_missed)
    test_error, poisson = (
        ranks.sum(term, lambda p, q: p, correction=lambda rare: -t * rare.pq)
        for term in (lambda p, q: p * missed(q), lambda p, q: p * jnp.exp(-t * q))
    )
    distinct = ranks.sum(lambda p, q: seen(q), lambda p, q: t * q, certain=1.0)
    return {
        "test_error": test_error,
        "test_error_asymptotic": _closed_form(params, law, ranks, poisson),
        "test_error_std": square_root(spread),
        "plateau_error": zipf.tail_mass(params.zipf_exponent, params.cutoff),
        "num_distinct_tokens": _possible(params, distinct),
    }


def _possible(params, distinct):
    """No more distinct tokens than drawn, nor than exist where all data are cut: rounding aside."""
    exist = jnp.where(params.real_fraction > 0, jnp.inf, params.cutoff)
    return at_most(distinct, jnp.minimum(exist, params.num_samples))


def _covariances(ranks: zipf.RankNodes, t, log_missed):
    """``sum_{i != j} p_i p_j Cov(i missed, j missed)`` for exactly T tokens.

    With ``a_i = (1 - q_i)^T`` and ``r = q / (1 - q)`` the covariance is
    ``a_i a_j ((1 - r_i r_j)^T - 1)``. Among the first ranks it is summed as it stands. With a rank
    beyond them ``r_i r_j`` is small: the binomial series separates, and four terms leave a relative
    error of 1e-9 at most.
    """
    order = jnp.arange(1, 5, dtype=float)
    binomials = jnp.cumprod(-jnp.maximum(t - order + 1, 0) / order)  # (-1)^n binomial(T, n)
    first = jnp.eye(4)[0]

    def ratios(q):
        q = _below_one(q)
        return q / (1 - q)

    def terms(p, q):
        return (p * jnp.exp(log_missed(q)))[:, None] * ratios(q)[:, None] ** order

    p, q = ranks.p[: zipf.HEAD], ranks.q[: zipf.HEAD]
    missed, r = p * jnp.exp(log_missed(q)), ratios(q)
    both = jnp.expm1(t * jnp.log1p(-_below_one(r[:, None] * r)))
    both = jnp.where(jnp.eye(zipf.HEAD, dtype=bool), 0.0, both)
    tail = ranks.beyond_head()
    beyond = tail.sum(terms, correction=lambda rare: rare.pq * first)
    pairs = beyond * (beyond + 2 * jnp.sum(terms(p, q), axis=0))
    same = tail.sum(lambda p, q: terms(p, q) ** 2)
    return missed @ both @ missed + binomials @ (pairs - same)


def _below_one(q):
    """A cutoff at rank 1 makes q = 1, where log(1 - q) has no derivative."""
    return jnp.minimum(q, 1 - 4 * jnp.finfo(float_dtype()).eps)


def _law(params: Params) -> zipf.TrainingLaw:
    return zipf.training_law(
        params.zipf_exponent, params.cutoff, params.zipf_exponent_synthetic, params.real_fraction
    )


def _closed_form(params: Params, law: zipf.TrainingLaw, ranks: zipf.RankNodes, poisson):
    """The closed forms in T of Poisson sampling, where there is one (see ``STUDY.outputs``)."""
    beta, t = params.zipf_exponent, params.num_samples
    k, pi = params.cutoff, params.real_fraction
    # head(t', k) + tail(pi t, k), t' = t (pi + (1 - pi) / (1 - m_k)); head = K t'^-c - tail
    plateau = zipf.tail_mass(beta, k)
    faster = t * (pi + (1 - pi) / (1 - plateau))
    cut = clean_closed_form(beta, faster) - zipf.unseen_mass(beta, faster, k)
    cut = cut + zipf.unseen_mass(beta, pi * t, k)

    beta_synthetic = law.beta_synthetic
    slow = (beta - 1) / beta_synthetic
    log_rate = jnp.log(t) - jnp.log(zeta.hurwitz_zeta(beta_synthetic))
    narrowed = jnp.exp(law.log_a - slow * log_rate) * gamma(slow) / beta_synthetic

    same_exponent = beta_synthetic == beta
    only_narrowed = jnp.isinf(k) & (pi == 0)
    # From pi = 0 on the exact sum goes on, along d q / d pi = p - q.
    mixing = ranks.sum(
        lambda p, q: p * (q - p) * jnp.exp(-t * q), correction=lambda rare: rare.pq - rare.pp
    )
    narrowed = narrowed + only_slope(pi) * t * mixing
    return jnp.where(same_exponent, cut, jnp.where(only_narrowed, narrowed, poisson))


def clean_closed_form(beta, t):
    """``K_beta t^-c = sum_i p_i e^{-t p_i}`` up to an error beyond all powers of 1/t."""
    c = zipf.clean_exponent(beta)
    return jnp.exp(zipf.log_amplitude(beta) / beta - c * jnp.log(t)) * gamma(c) / beta


def simulate_direct(key, params):
    """Draw the tokens one by one.

    Ranks beyond 32,768 are told apart by block only: given how many tokens fell into a block, the
    mass that they miss is normal.
    """
    key_number, key_tokens, key_blocks = jax.random.split(key, 3)
    cells = _cells.rank_cells(_law(params), _HEADS_DIRECT)
    number = params.num_samples
    if params.sampling == "poisson":
        number = counts.poisson(key_number, number)
    drawn = counts.draw_tokens(key_tokens, number, cells.masses(), expected=params.num_samples)
    return _outputs(_cells.multinomial_outcome(cells, key_blocks, drawn))


def simulate_fast(key, params):
    """Counts (multinomial) or presences (Poisson) per cell: the cost does not depend on T."""
    if params.sampling == "multinomial":
        return _counted(key, params, counts.multinomial)
    key_heads, key_blocks = jax.random.split(key)
    cells = _cells.rank_cells(_law(params), _HEADS)
    t = params.num_samples
    # Ranks are independent: no counts are needed, only whether each one occurs.
    seen = counts.uniform(key_heads, cells.q.shape) <= -jnp.expm1(-t * cells.q)
    return _outputs(_cells.poisson_outcome(key_blocks, cells, t, seen))


def simulate_few(key, params):
    """The same where a number of tokens that is given is small."""
    return _counted(key, params, counts.multinomial_of_few)


def few(params):
    """Does `simulate_few` apply?"""
    return params.sampling == "multinomial" and params.num_samples <= counts.FEW


def _counted(key, params, multinomial):
    key_heads, key_blocks = jax.random.split(key)
    cells = _cells.rank_cells(_law(params), _HEADS)
    drawn = multinomial(key_heads, params.num_samples, cells.masses())
    return _outputs(_cells.multinomial_outcome(cells, key_blocks, drawn))


def _outputs(outcome: _cells.Outcome):
    return {"test_error": outcome.unseen_mass, "num_distinct_tokens": outcome.num_distinct}


_SAMPLES = [10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7]
_LONG = [10.0**e for e in range(1, 13)]

figures = {
    "cuts": Figure(
        title="A cut tail turns a power law into a plateau",
        x="num_samples", y=("test_error",), series="cutoff",
        grid={"num_samples": _SAMPLES, "cutoff": [10.0, 100.0, 1e3, 1e4, float("inf")]},
        caption="Slope -(1 - 1/β), then the lost mass m_k ~ k^-(β-1).",
    ),
    "temperatures": Figure(
        title="Low-temperature data: a slower power law for ever",
        x="num_samples", y=("test_error",), series="zipf_exponent_synthetic",
        grid={"num_samples": _SAMPLES, "zipf_exponent_synthetic": [0.0, 2.25, 3.0]},
        caption="Slopes -(β-1)/β′.",
    ),
    "grokking": Figure(
        title="A little real data: plateau, then recovery",
        x="num_samples", y=("test_error",), series="real_fraction",
        grid={"num_samples": _LONG, "real_fraction": [0.0, 1e-3, 1e-2, 0.1, 1.0]},
        params={"cutoff": 50.0}, caption="The plateau m_k lasts a factor 1/π in T; then K (πT)^-c.",
    ),
    "vocabulary": Figure(
        title="Distinct tokens in the training sample",
        x="num_samples", y=("num_distinct_tokens",), series="real_fraction",
        grid={"num_samples": _SAMPLES, "real_fraction": [0.0, 1e-2, 0.1, 1.0]},
        params={"cutoff": 100.0}, caption="Heaps' law T^(1/β), stopped at k tokens by the cut.",
    ),
}  # fmt: skip

check_cells = (
    {"zipf_exponent": 1.7, "num_samples": 300.0, "cutoff": 37.0, "zipf_exponent_synthetic": 1.9,
     "real_fraction": 0.08},
    {"zipf_exponent": 1.3, "num_samples": 6.0},
    {"zipf_exponent": 1.3, "num_samples": 2000.0, "zipf_exponent_synthetic": 1.9,
     "real_fraction": 0.2, "cutoff": 300.0, "sampling": "poisson"},
)  # fmt: skip

STUDY = Study(
    name="tail-collapse",
    title="Error of an infinite memory trained on data with a cut or thinned tail",
    paper=PAPER, params=Params,
    outputs=(
        Output(
            "test_error", "probability that a real token was not in the training sample", exact(),
            model_std="test_error_std",
        ),
        Output(
            "test_error_asymptotic",
            "closed form in T (Poisson sampling): β′ = β with any cut and mixture, or narrowing "
            "alone; elsewhere the exact Poisson sum",
            where="theory",
        ),
        Output(
            "test_error_std", "standard deviation of test_error over training samples", exact(),
            dispersion=Dispersion("std", "test_error"),
        ),
        Output("plateau_error", "mass m_k of the real law beyond the cutoff", where="theory"),
        Output("num_distinct_tokens", "expected distinct tokens in the sample", exact()),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast,
    shortcuts=(("fast", few, simulate_few),), check_cells=check_cells, figures=figures,
    tolerance=0.012,  # a standard deviation to 1 % takes more replicates than a check runs
)  # fmt: skip
