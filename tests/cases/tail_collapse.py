"""Reference values of arXiv 2402.07043 (see the study) and wrong versions of its theory.

Monte-Carlo means are plain i.i.d. draws without truncation.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp

from simulator.maths import zipf
from simulator.studies.collapse.tail_collapse.main import STUDY, _covariances
from tests.cases import Case, Mutant, Tests
from tests.references import tail_collapse as reference


def _case(label, params, mean=None, **expected):
    return Case(
        label,
        params,
        expected,
        rtol=4e-8,  # eight digits are printed
        atol=5e-9,
        monte_carlo={} if mean is None else {"test_error": mean},
    )


GROKKING = {"cutoff": 50.0, "real_fraction": 0.01}
POISSON = {"sampling": "poisson"}


CASES = [
    _case(
        "clean 1.5",
        {"num_samples": 1000.0},
        (0.0941383, 6.7e-5),
        test_error=0.09413504,
        test_error_asymptotic=0.09415595,
    ),
    _case(
        "clean 2",
        {"zipf_exponent": 2.0, "num_samples": 200.0},
        (0.0488315, 6.2e-5),
        test_error=0.04876886,
        test_error_asymptotic=0.04886025,
    ),
    _case(
        "cut, early",
        {"num_samples": 200.0, "cutoff": 50.0},
        (0.16075, 1.8e-4),
        test_error=0.16085412,
        test_error_asymptotic=0.16102414,
    ),
    _case(
        "cut, plateau",
        {"num_samples": 5000.0, "cutoff": 50.0},
        (0.107744, 2.7e-6),
        test_error=0.10774546,
        plateau_error=0.10773167,
    ),
    Case(
        "all tokens are drawn",
        {"zipf_exponent": 1.05, "num_samples": 1e9, "cutoff": 2000.0},
        {"num_distinct_tokens": 2000.0},
        rtol=1e-13,
    ),
    _case(
        "narrowed",
        {"num_samples": 2000.0, "zipf_exponent_synthetic": 2.0},
        (0.117391, 9.8e-5),
        test_error=0.11750631,
        test_error_asymptotic=0.11751549,
    ),
    _case(
        "grokking 1e3",
        {**GROKKING, "num_samples": 1e3},
        (0.114165, 1.3e-4),
        test_error=0.11403608,
        test_error_asymptotic=0.11405129,
    ),
    _case(
        "grokking 3e4",
        {**GROKKING, "num_samples": 3e4},
        (0.099695, 7.8e-5),
        test_error=0.09984630,
        test_error_asymptotic=0.09984632,
    ),
    _case(
        "grokking 1e6",
        {**GROKKING, "num_samples": 1e6},
        (0.043719, 3.8e-5),
        test_error=0.04370324,
        test_error_asymptotic=0.04370325,
    ),
    _case("Heaps 1.5", {**POISSON, "num_samples": 1e3}, num_distinct_tokens=140.73393),
    _case(
        "Heaps 2",
        {**POISSON, "zipf_exponent": 2.0, "num_samples": 1e4},
        num_distinct_tokens=137.69766,
    ),
    _case(
        "Heaps, mixed, early",
        {**POISSON, "cutoff": 100.0, "real_fraction": 0.004, "num_samples": 3e4},
        num_distinct_tokens=109.112334,
    ),
    _case(
        "Heaps, mixed, late",
        {**POISSON, "cutoff": 100.0, "real_fraction": 0.004, "num_samples": 3e6},
        num_distinct_tokens=739.891917,
    ),
    _case(
        "Heaps, mixed, 1.7",
        {
            **POISSON,
            "zipf_exponent": 1.7,
            "cutoff": 50.0,
            "real_fraction": 0.1,
            "num_samples": 5e3,
        },
        num_distinct_tokens=71.121329,
    ),
    *(
        Case(
            f"closed form {beta}",
            {**POISSON, "zipf_exponent": beta, "num_samples": 1e8},
            {"test_error": value, "test_error_asymptotic": value},
            rtol=3e-8,  # the last digit is cut, not rounded
        )
        for beta, value in (
            (1.2, 0.051298855),
            (1.5, 0.0020285285),
            (2.0, 6.9098830e-5),
            (3.0, 1.9704264e-6),
        )
    ),
    # The standard deviation of one p_i, summed over all ranks with 18 digits.
    Case(
        "one token",
        {"num_samples": 1.0, "zipf_exponent": 1.3, "cutoff": 1e4},
        {"test_error_std": 0.1047735769899922},
        rtol=1e-9,
    ),
    # The printed value is the leading order, right to O(1/T); `test_tail_collapse` has the whole.
    Case("spread", {"num_samples": 1000.0}, {"test_error_std": 0.0042319}, rtol=5e-4),
]

# All outputs against the independent program, in each regime of the closed form. The spread of
# exactly T tokens is a series whose rest is O(T^-4).
GENERIC = {
    "zipf_exponent": 1.8,
    "num_samples": 150.0,
    "cutoff": 40.0,
    "zipf_exponent_synthetic": 2.1,
    "real_fraction": 0.1,
}
SAME = {"zipf_exponent_synthetic": 0.0}
UNCUT = {"cutoff": float("inf")}
CASES += [
    Case(label, GENERIC | params, rtol=5e-8, program=reference.theory)
    for label, params in {
        "generic": {},
        "generic, Poisson": POISSON,
        "cut and mixed": SAME,
        "cut": SAME | {"real_fraction": 0.0},
        "clean": SAME | UNCUT,
        "narrowed": UNCUT | {"real_fraction": 0.0},
        "narrowed and mixed": UNCUT,
        "narrowed and cut": {"real_fraction": 0.0},
        "exponent below the real one": {"zipf_exponent_synthetic": 1.7},
        "only real data": {"real_fraction": 1.0},
        "cut behind the head": {"zipf_exponent": 2.0, "cutoff": 30_000.0},
        "cut at the first token": {"cutoff": 1.0, "real_fraction": 0.0},
        # Behind the heads (128) the closed form has incomplete gamma functions: T p = 8, 170 there.
        "many tokens, cut": SAME | {"cutoff": 200.0, "num_samples": 9e4, **POISSON},
        "very many tokens, cut": SAME | {"cutoff": 200.0, "num_samples": 2e6, **POISSON},
        "cut at the first token, Poisson": {"cutoff": 1.0, **POISSON},
    }.items()
]


def _law(params):
    return zipf.training_law(
        params.zipf_exponent, params.cutoff, params.zipf_exponent_synthetic, params.real_fraction
    )


def _missed(params, q):
    t = params.num_samples
    return jnp.exp(t * jnp.log1p(-q) if params.sampling == "multinomial" else -t * q)


@jax.jit
def _truncated(params, outputs):
    ranks = jnp.arange(1, 10_001) * 1.0
    p = ranks**-params.zipf_exponent
    p = p / p.sum()
    return {"test_error": jnp.sum(p * _missed(params, p))}


def _tested_on(law):
    """On the law that is trained on, or the real one: ``law(p, q)``, and ``law(p, q, rare)``."""

    @jax.jit
    def after(params, outputs):
        t = params.num_samples
        ranks = zipf.rank_nodes(_law(params), t)
        return {"test_error": ranks.sum(lambda p, q: law(p, q) * _missed(params, q), law)}

    return after


@jax.jit
def _union_of_laws(params, outputs):
    """Real and synthetic parts of the mixture taken at full size each."""
    real = STUDY.theory(replace(params, real_fraction=1.0))["test_error"]
    fake = STUDY.theory(replace(params, real_fraction=0.0))["test_error"]
    share = params.real_fraction
    return {"test_error": share * real + (1 - share) * fake}


def _spread(of_presences):
    """Of presences, which exclude each other's places; or of independent counts."""

    @jax.jit
    def after(params, outputs):
        t = params.num_samples
        ranks = zipf.rank_nodes(_law(params), t)

        def term(p, q):
            missed = _missed(params, q)
            return p**2 * missed * (1 - missed if of_presences else 1.0)

        variance = ranks.sum(term, correction=lambda rare: of_presences * t * rare.ppq)
        if of_presences and params.sampling == "multinomial":
            variance += _covariances(ranks, t, lambda q: jnp.log(_missed(params, q)))
        return {"test_error_std": jnp.sqrt(variance)}

    return after


def _slower(params):
    """The kept tokens are not sampled more often."""
    kept = 1 - zipf.tail_mass(params.zipf_exponent, params.cutoff)
    return {"num_samples": float(params.num_samples * kept)}


MUTANTS = [
    Mutant(
        "truncated and renormalised",
        after=_truncated,
        outputs=("test_error",),
        control=UNCUT | SAME | {"zipf_exponent": 6.0, "real_fraction": 0.0},
    ),
    Mutant("cut law not renormalised", at=_slower, outputs=("test_error", "num_distinct_tokens")),
    Mutant(
        "tested on the training law",
        after=_tested_on(lambda p, q: q),
        control=_tested_on(lambda p, q: p),
        outputs=("test_error",),
    ),
    Mutant(
        "mixture of errors",
        after=_union_of_laws,
        outputs=("test_error",),
        control={"real_fraction": 1.0},
        slow=True,
    ),
    Mutant("no narrowing", at=lambda p: {"zipf_exponent_synthetic": p.zipf_exponent}),
    Mutant("no real data", at=lambda p: {"real_fraction": 0.0}),
    Mutant("no cut", at=lambda p: {"cutoff": jnp.inf}),
    Mutant(
        "Poisson for a fixed number of tokens",
        at=lambda p: {"sampling": "poisson"},
        outputs=("test_error",),
        slow=True,
    ),
    Mutant(
        "variance of counts, not presences",
        after=_spread(of_presences=False),
        control=_spread(of_presences=True),
        outputs=("test_error_std",),
    ),
    Mutant(
        "distinct tokens of the real law",
        at=lambda p: {"real_fraction": 1.0},
        outputs=("num_distinct_tokens",),
    ),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    ends={
        "cut": {"cutoff": 50.0},
        "cut, other exponent": {
            "cutoff": 50.0,
            "num_samples": 1e6,
            "zipf_exponent_synthetic": 2.0,
        },
        "other exponent": {"zipf_exponent_synthetic": 2.0, "sampling": "poisson"},
    },
    expected={
        "other methods": (0.02, "a standard deviation, from tokens one by one"),
        "no slope at ends": {
            "real_fraction: test_error_std": "the root of a variance that begins at 0: of many "
            "synthetic samples none misses a token",
        },
    },
)
