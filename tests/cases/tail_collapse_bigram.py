"""Reference values of arXiv 2402.07043 (see the study) and wrong versions of its theory."""

import jax
import jax.numpy as jnp
import numpy as np

from simulator.maths import binomial, zipf
from simulator.studies.collapse.tail_collapse import _theory as _l1
from simulator.studies.collapse.tail_collapse.bigram import context_law
from tests.cases import Case, Mutant, Tests
from tests.references import tail_collapse as reference

SIX = {"num_samples": 300.0, "num_contexts": 6, "zipf_exponent_context": 1.3}


def _case(label, params, mean, slow=False, **expected):
    """Eight decimals are printed."""
    return Case(label, params, expected, 1e-9, 5e-9, {"l1_error": mean}, slow)


CASES = [
    _case("clean 1.5", {"num_samples": 500.0}, (0.344341, 4.3e-4), l1_error=0.34369877),
    _case("cut", {"num_samples": 5000.0, "cutoff": 40.0}, (0.250813, 8.7e-5), l1_error=0.25087361),
    _case("six contexts", SIX, (0.6121, 1.7e-3), slow=True, l1_error=0.61280576),
    _case(
        "six contexts, cut",
        {**SIX, "cutoff": 30.0},
        (0.538508, 1.3e-4),
        slow=True,
        l1_error=0.53850845,
    ),
    _case(
        "clean 3",
        {"zipf_exponent": 3.0, "num_samples": 1000.0},
        (0.0376536, 1.3e-4),
        l1_error=0.03758728,
        l1_error_asymptotic=0.03757204,
    ),
]

TWO = {
    "zipf_exponent": 1.6,
    "num_samples": 40.0,
    "num_contexts": 2,
    "zipf_exponent_context": 1.6,
}

#: All outputs, by the independent program, with cuts on both sides of the single ranks (512) and of
#: the last token that is expected once. The constant of the two-term law is summed to 3e-7.
CASES += [
    Case(
        "generic",
        {"zipf_exponent": 1.6, "num_samples": 700.0},
        {
            "l1_error": 0.243467041111,
            "l1_error_asymptotic": 0.243475072336,
            "plateau_error": 0.0,
        },
        rtol=3e-7,
        program=reference.theory_of_bigrams,
    ),
    Case(
        "kinks beyond the heads",
        {"zipf_exponent": 1.5, "num_samples": 1e7},
        {"l1_error": 0.0151253748043},
        rtol=3e-7,
        program=reference.theory_of_bigrams,
    ),
    Case(
        "cut beyond the heads",
        {"zipf_exponent": 1.6, "num_samples": 700.0, "cutoff": 2000.0},
        {
            "l1_error": 0.236790488789,
            "l1_error_asymptotic": 0.0152462803933,
            "plateau_error": 0.0152462803933,
        },
        rtol=3e-7,
        program=reference.theory_of_bigrams,
    ),
    Case(
        "cut within",
        {"zipf_exponent": 1.6, "num_samples": 700.0, "cutoff": 30.0},
        {
            "l1_error": 0.241389784537,
            "l1_error_asymptotic": 0.187606753232,
            "plateau_error": 0.187606753232,
        },
        rtol=5e-9,
        program=reference.theory_of_bigrams,
    ),
    Case(
        "steep",
        {"zipf_exponent": 2.5, "num_samples": 700.0},
        {
            "l1_error": 0.0666522533655,
            "l1_error_asymptotic": 0.0666994943692,
            "plateau_error": 0.0,
        },
        rtol=3e-7,
        program=reference.theory_of_bigrams,
    ),
    Case(
        "cut at the last head",
        {"zipf_exponent": 1.6, "num_samples": 700.0, "cutoff": 512.0},
        {
            "l1_error": 0.229220753279,
            "l1_error_asymptotic": 0.0345168100344,
            "plateau_error": 0.0345168100344,
        },
        rtol=3e-7,
        program=reference.theory_of_bigrams,
    ),
    Case(
        "cut after the last head",
        {"zipf_exponent": 1.6, "num_samples": 700.0, "cutoff": 513.0},
        {
            "l1_error": 0.229235415087,
            "l1_error_asymptotic": 0.0344764631033,
            "plateau_error": 0.0344764631033,
        },
        rtol=3e-7,
        program=reference.theory_of_bigrams,
    ),
    Case(
        "many tokens",
        {"zipf_exponent": 1.6, "num_samples": 30000.0, "cutoff": 3000.0},
        {
            "l1_error": 0.0636550688844,
            "l1_error_asymptotic": 0.0119544846792,
            "plateau_error": 0.0119544846792,
        },
        rtol=3e-7,
        program=reference.theory_of_bigrams,
    ),
    Case(
        "one token",
        {"zipf_exponent": 1.6, "num_samples": 1.0, "cutoff": 5.0},
        {
            "l1_error": 1.40042568392,
            "l1_error_asymptotic": 0.523672599534,
            "plateau_error": 0.523672599534,
        },
        rtol=5e-9,
        program=reference.theory_of_bigrams,
    ),
    Case(
        "critical",
        {"zipf_exponent": 2.0, "num_samples": 700.0},
        {
            "l1_error": 0.118500987592,
            "plateau_error": 0.0,
        },
        rtol=5e-9,
        program=reference.theory_of_bigrams,
    ),
    Case(
        "two contexts",
        {**TWO},
        {
            "l1_error": 0.70598666461,
            "l1_error_asymptotic": 0.69973625206,
            "plateau_error": 0.0,
        },
        rtol=3e-7,
        program=reference.theory_of_bigrams,
    ),
    Case(
        "two contexts, cut",
        {**TWO, "cutoff": 20.0},
        {
            "l1_error": 0.627887785518,
            "l1_error_asymptotic": 0.238096719535,
            "plateau_error": 0.238096719535,
        },
        rtol=5e-9,
        program=reference.theory_of_bigrams,
    ),
]


def _two_terms(output, tail=1.0, root=1.0):
    """The two-term law, or with other factors of its terms, in the place of an output."""

    @jax.jit
    def after(params, outputs):
        beta = params.zipf_exponent
        weights = context_law(params)
        n = params.num_samples * weights
        frequent = jnp.sqrt(2 / (np.pi * n)) * _l1.head_bracket(beta)
        rare = jnp.exp(zipf.log_amplitude(beta) / beta - (1 - 1 / beta) * jnp.log(n))
        rare = _l1.poisson_constant(beta) * rare
        return {output: weights @ (tail * rare + root * frequent)}

    return after


def _right_two_terms(params, outputs):
    """The same; a cut law has its limit as asymptotic value."""
    right = _two_terms("l1_error_asymptotic")(params, outputs)
    return right if np.isinf(params.cutoff) else {"plateau_error": 2 * _cut_mass(params)}


@jax.jit
def _cut_mass(params):
    return zipf.tail_mass(params.zipf_exponent, params.cutoff)


def _single_ranks(deviation, beyond):
    """20,000 ranks one by one, and the others (one context); ``deviation`` of the counts."""

    @jax.jit
    def after(params, outputs):
        law, n = _l1.cut_law(params.zipf_exponent, params.cutoff), params.num_samples
        p = law.p(jnp.arange(1, 20_001) * 1.0)
        kept = jnp.arange(1, 20_001) <= params.cutoff
        q = jnp.where(kept, p / law.kept, 0.0)
        each = jnp.where(kept, deviation(n, q, p) / n, p)
        return {"l1_error": jnp.sum(each) + beyond * _l1.error_beyond(law, n, 20_000)}

    return after


def _gaussian(n, q, p):
    """Every token fluctuates by ``sqrt(2 p (1-p) / (pi n))``: right for frequent ones only."""
    return jnp.sqrt(2 * n * p * (1 - p) / np.pi)


def _exact(n, q, p):
    return binomial.mean_absolute_deviation(n, q, n * p, jnp.floor(n * p))


@jax.jit
def _total_variation(params, outputs):
    return {"l1_error": outputs["l1_error"] / 2}


@jax.jit
def _missing_only(params, outputs):
    """The cut costs the missing mass, but the kept tokens are not inflated."""
    return {"l1_error": outputs["l1_error"] - outputs["plateau_error"] / 2}


@jax.jit
def _unseen_is_right(params, outputs):
    """Unseen contexts count 0, as if the model knew them."""
    weights = context_law(params)
    unseen = weights @ jnp.exp(params.num_samples * jnp.log1p(-jnp.minimum(weights, 0.999)))
    return {"l1_error": outputs["l1_error"] - unseen}


@jax.jit
def _mean_context_size(params, outputs):
    """All contexts at the size ``T / num_contexts``."""
    law = _l1.cut_law(params.zipf_exponent, params.cutoff)
    size = jnp.maximum(jnp.round(params.num_samples / params.num_contexts), 1)
    return {"l1_error": _l1.error(law, size)}


MUTANTS = [
    Mutant(
        "tail term only",
        after=_two_terms("l1_error", root=0.0),
        control=_right_two_terms,
        outputs=("l1_error",),
    ),
    Mutant(
        "square-root term only",
        after=_single_ranks(_gaussian, 0.0),
        control=_single_ranks(_exact, 1.0),
        outputs=("l1_error",),
    ),
    Mutant("total variation", after=_total_variation),
    Mutant("missing mass only", after=_missing_only),
    Mutant("equal contexts", after=_mean_context_size, slow=True, control={"num_contexts": 1}),
    Mutant("no cut", at=lambda p: {"cutoff": np.inf}),
    Mutant("unseen contexts are right", after=_unseen_is_right, slow=True),
    Mutant(
        "sign of the bracket",
        after=_two_terms("l1_error_asymptotic", root=-1.0),
        control=_right_two_terms,
        outputs=("l1_error_asymptotic",),
    ),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "float32": (
            1e-4,
            "millions of tokens, from differences of nearly equal logarithms",
        ),
    },
)
