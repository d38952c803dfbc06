"""Tail collapse on the token counts of one's own corpus.

Question. What does a cut tail cost on *my* corpus, and how much real data brings it back?

Model. As ``tail-collapse``, with the corpus' own law in place of Zipf's: ``counts`` of ``N``
distinct tokens, the most frequent first, ``p_i = counts_i / sum(counts)``. Exactly T training
tokens follow ``q_i = π p_i + (1 - π) p_i 1{i <= k} / (1 - m_k)``, test tokens the corpus:

    E = Σ_i p_i (1 - q_i)^T,        m_k = Σ_{i>k} p_i.

Theory (exact, any law). Means are the sums as they stand. With ``a_i = (1 - q_i)^T`` and
``r = q / (1 - q)``,

    Var = Σ_i p_i² a_i (1 - a_i) + Σ_{i≠j} p_i p_j a_i a_j [(1 - r_i r_j)^T - 1],

summed as it stands among the first `HEAD` ranks; with a rank beyond, the binomial series in
``r_i r_j`` separates, and four terms leave a relative error below 1e-9. Verdicts resolve 1.2 %, and
means 0.2 %: 1 % of a standard deviation takes more replicates than a check runs.

Reference: E. Dohmatob, Y. Feng, P. Yang, F. Charton, J. Kempe, "A Tale of Tails: Model Collapse as
a Change of Scaling Laws", ICML 2024, arXiv 2402.07043.
"""

import jax.numpy as jnp
import numpy as np

from simulator.maths.slopes import at_most, square_root
from simulator.parameters import array, parameters, traced
from simulator.sampling import counts as draws
from simulator.studies.collapse.tail_collapse import PAPER
from simulator.study import Dispersion, Figure, Output, Study, exact, theory_only

HEAD = 128
#: No pure power law: it bends down, as corpora do.
EXAMPLE = tuple(int(2e4 / (rank + 1.7) ** 1.1 * 0.985**rank) + 1 for rank in range(1, 241))


@parameters
class Params:
    counts: tuple = array(
        EXAMPLE, "c", "how often each token occurs, the most frequent first", dims=("rank",),
        large=True, above=0,
    )  # fmt: skip
    num_samples: float = traced(1000.0, symbol="T", detail="tokens", at_least=1, integer=True)
    cutoff: float = traced(
        float("inf"), detail="of the synthetic part", at_least=1, integer=True, infinite=True
    )
    real_fraction: float = traced(
        0.0, "π", "share of real data in the mixture", at_least=0, at_most=1
    )


def theory(params):
    """The sums of the module docstring."""
    p, q = _laws(params)
    t = params.num_samples
    log_missed = t * jnp.log1p(-_below_one(q))
    missed = jnp.exp(log_missed)
    spread = jnp.sum(p**2 * missed * -jnp.expm1(log_missed)) + _covariances(p * missed, q, t)
    return {
        "test_error": jnp.sum(p * missed),
        "test_error_std": square_root(spread),
        "plateau_error": jnp.sum(jnp.where(_kept(params), 0.0, p)),
        "num_distinct_tokens": _possible(params, -jnp.sum(jnp.expm1(log_missed))),
    }


def _possible(params, distinct):
    """No more than drawn, nor than there are in the training law: rounding aside."""
    exist = jnp.where(params.real_fraction > 0, jnp.inf, params.cutoff)
    return at_most(
        distinct, jnp.minimum(jnp.minimum(exist, params.num_samples), len(params.counts))
    )


def _laws(params):
    """``p`` and ``q``."""
    p = params.counts / jnp.sum(params.counts)
    kept = jnp.where(_kept(params), p, 0.0)
    synthetic = kept / jnp.sum(kept)
    return p, params.real_fraction * p + (1 - params.real_fraction) * synthetic


def _kept(params):
    return jnp.arange(1, len(params.counts) + 1) <= params.cutoff


def _below_one(q):
    """A cutoff at rank 1 makes q = 1, where log(1 - q) has no derivative."""
    return jnp.minimum(q, 1 - 4 * jnp.finfo(q.dtype).eps)


def _covariances(missed, q, t):
    """``sum_{i != j} missed_i missed_j ((1 - r_i r_j)^T - 1)``, ``missed_i = p_i a_i``."""
    r = _below_one(q) / (1 - _below_one(q))
    head = jnp.expm1(t * jnp.log1p(-_below_one(r[:HEAD, None] * r[:HEAD])))
    head = jnp.where(jnp.eye(len(head), dtype=bool), 0.0, head)
    order = jnp.arange(1, 5, dtype=q.dtype)
    binomials = jnp.cumprod(-jnp.maximum(t - order + 1, 0) / order)  # (-1)^n binomial(T, n)
    terms = missed[:, None] * r[:, None] ** order
    first, beyond = jnp.sum(terms[:HEAD], axis=0), jnp.sum(terms[HEAD:], axis=0)
    pairs = beyond * (beyond + 2 * first) - jnp.sum(terms[HEAD:] ** 2, axis=0)
    return missed[:HEAD] @ head @ missed[:HEAD] + binomials @ pairs


def simulate_direct(key, params):
    """Draw the tokens one by one."""
    p, q = _laws(params)
    return _outputs(p, draws.draw_tokens(key, params.num_samples, q))


def simulate_fast(key, params):
    """Draw the counts of all tokens: the cost does not depend on T."""
    p, q = _laws(params)
    return _outputs(p, draws.multinomial(key, params.num_samples, q))


def simulate_few(key, params):
    """The same where there are few tokens."""
    p, q = _laws(params)
    return _outputs(p, draws.multinomial_of_few(key, params.num_samples, q))


def _outputs(p, drawn):
    seen = drawn > 0
    return {
        "test_error": jnp.sum(jnp.where(seen, 0.0, p)),
        "num_distinct_tokens": jnp.sum(seen).astype(p.dtype),
    }


def validate(params, side):
    if len(params.counts) < 2 or np.any(np.diff(params.counts) > 0):
        raise ValueError(
            f"counts = {params.counts} are not allowed: they must be at least two, the largest "
            "first (simulator.data.corpus.load_counts sorts them)"
        )


_SAMPLES = [10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7]

figures = {
    "cuts": Figure(
        title="What a cut tail costs on a corpus",
        x="num_samples", y=("test_error",), series="cutoff",
        grid={"num_samples": _SAMPLES, "cutoff": [12.0, 50.0, float("inf")]},
        caption="An example of 240 tokens, steeper than a power law at the end.",
    ),
    "recovery": Figure(
        title="A little real data brings the tail back",
        x="num_samples", y=("test_error",), series="real_fraction",
        grid={"num_samples": _SAMPLES, "real_fraction": [0.0, 0.01, 0.1, 1.0]},
        params={"cutoff": 12.0}, caption="The same corpus, cut at rank 12.",
    ),
}  # fmt: skip

check_cells = (
    {"num_samples": 300.0, "cutoff": 37.0, "real_fraction": 0.08},
    {"num_samples": 6.0},
    {"num_samples": 3000.0, "cutoff": 150.0, "real_fraction": 0.3},
)  # fmt: skip

STUDY = Study(
    name="tail-collapse.corpus",
    title="Error of an infinite memory of a corpus whose training data lose the tail",
    paper=PAPER, params=Params,
    outputs=(
        Output(
            "test_error", "probability that a token of the corpus was not in the training sample",
            exact(), model_std="test_error_std",
        ),
        Output(
            "test_error_std", "standard deviation of test_error over training samples", exact(),
            dispersion=Dispersion("std", "test_error"),
        ),
        *theory_only(plateau_error="mass m_k of the corpus beyond the cutoff"),
        Output("num_distinct_tokens", "expected distinct tokens in the sample", exact()),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast,
    shortcuts=(("fast", lambda params: params.num_samples <= draws.FEW, simulate_few),),
    validate=validate, figures=figures, check_cells=check_cells,
    tolerance=0.012,  # a standard deviation to 1 % takes more replicates than a check runs
)  # fmt: skip
