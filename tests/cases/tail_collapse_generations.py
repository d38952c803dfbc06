"""Reference values of arXiv 2402.07043 (see the study) and wrong versions of its theory."""

import jax
import jax.numpy as jnp

from simulator.maths import zipf
from simulator.studies.collapse.tail_collapse.generations import effective_samples
from simulator.studies.collapse.tail_collapse.main import clean_closed_form
from tests.cases import Case, Mutant, Tests
from tests.references import tail_collapse as reference


def _case(label, params, poisson=None, multinomial=None, **expected):
    """One row for either sampling: the theory is the same, the Monte-Carlo is not."""
    return [
        Case(
            f"{label}, {sampling}",
            {**params, "sampling": sampling},
            expected,
            rtol=4e-8,  # eight digits are printed
            atol=5e-9,
            monte_carlo={} if means is None else means,
            slow=sampling == "multinomial" and label != "5 generations",
        )
        for sampling, means in (("poisson", poisson), ("multinomial", multinomial))
    ]


CUT = {"num_generations": 4, "num_samples_generator": 300.0, "num_samples": 800.0, "cutoff": 20.0}

CASES = [
    *_case(
        "5 generations",
        {},
        {"test_error": (0.138902, 2.9e-4)},
        {"test_error": (0.138608, 2.0e-4)},
        test_error=0.13881165,
        num_samples_effective=312.07971,
    ),
    *_case(
        "20 generations",
        {"num_generations": 20},
        {"test_error": (0.208872, 6.8e-4)},
        None,  # 0.208136 +- 4.7e-4: the formula's error O(n / T) shows
        test_error=0.20883903,
        num_samples_effective=91.644970,
    ),
    *_case(
        "cut",
        CUT,
        {"test_error": (0.19637, 2.4e-4), "num_distinct_tokens": (16.093, 0.029)},
        {"test_error": (0.19571, 2.4e-4), "num_distinct_tokens": (16.186, 0.028)},
        test_error=0.19583718,
        num_distinct_tokens=16.161231,
        num_samples_effective=136.28413,
    ),
    *_case(
        "two stages",
        {"num_generations": 2, "num_samples": 1e5},
        None,
        {"test_error": (0.0941168, 9.5e-5)},
        test_error=0.09415595,
        num_samples_effective=1000.0,
    ),
    *(
        Case(
            f"s_{n - 1}",
            {"num_generations": n, "num_samples": 1.0, "num_samples_generator": 1.0},
            {"num_samples_effective": value},
            rtol=3e-6,  # six digits are printed
            slow=n in (3, 11, 101),
        )
        for n, value in (
            (2, 0.632121),
            (3, 0.468536),
            (6, 0.268077),
            (11, 0.158235),
            (101, 0.0193529),
            (1001, 0.00199183),
        )
    ),
]

# All outputs against the independent program.
GENERIC = {
    "zipf_exponent": 1.6,
    "num_samples": 700.0,
    "num_samples_generator": 250.0,
    "num_generations": 4,
}
CASES += [
    Case(label, GENERIC | params, rtol=2e-9, program=reference.theory_of_generations)
    for label, params in {
        "generic": {},
        "generic, Poisson": {"sampling": "poisson"},
        "generic, cut": {"cutoff": 30.0},
        "cut behind the head": {"zipf_exponent": 2.0, "cutoff": 30_000.0},
        "cut at the first token": {"cutoff": 1.0},
        # Behind the heads (128) the sums are incomplete gamma functions: T p = 8, 18 and 180 there.
        "many tokens": {"num_generations": 1, "num_samples": 4.3e4},
        "more tokens, cut": {"num_generations": 1, "num_samples": 1e5, "cutoff": 200.0},
        "very many tokens": {"num_generations": 1, "num_samples": 1e6},
        "one generation": {"num_generations": 1},
        "two generations, cut": {"num_generations": 2, "cutoff": 30.0},
        "three generations": {"num_generations": 3},
        "few tokens": {"num_samples": 3.0, "num_samples_generator": 2.0},
    }.items()
]


def _at(t_eff, renormalised=True):
    """The theory with another effective sample size, or cut laws that are not renormalised."""

    def change(params, outputs):
        beta, k = params.zipf_exponent, params.cutoff
        plateau = zipf.tail_mass(beta, k)
        rate = t_eff(params) / (1 - plateau if renormalised else 1)
        error = zipf.unseen_mass(beta, rate) - zipf.unseen_mass(beta, rate, k) + plateau
        distinct = zipf.distinct_ranks(beta, rate) - zipf.distinct_ranks(beta, rate, k)
        return {"test_error": error, "num_distinct_tokens": distinct}

    return jax.jit(change)


_right = _at(effective_samples)


@jax.jit
def _linear(params, outputs):
    return {"test_error": outputs["test_error_upper_bound"]}


@jax.jit
def _cut_each_time(params, outputs):
    """The lost mass added once per generation."""
    lost = zipf.tail_mass(params.zipf_exponent, params.cutoff)
    return {"test_error": outputs["test_error"] + (params.num_generations - 1) * lost}


def _bound(every_generation):
    """The last generation's term alone, or one of each and what the cut costs."""

    @jax.jit
    def change(params, outputs):
        bound = clean_closed_form(params.zipf_exponent, params.num_samples)
        if every_generation:
            earlier = clean_closed_form(params.zipf_exponent, params.num_samples_generator)
            bound += (params.num_generations - 1) * earlier
            bound += zipf.tail_mass(params.zipf_exponent, params.cutoff)
        return {"test_error_upper_bound": bound}

    return change


MUTANTS = [
    Mutant("linear degradation", after=_linear, outputs=("test_error",)),
    Mutant(
        "smallest sample counts",
        after=_at(lambda p: jnp.minimum(p.num_samples, p.num_samples_generator)),
        control=_right,
    ),
    Mutant(
        "harmonic sum of sizes",
        after=_at(
            lambda p: 1 / (1 / p.num_samples + (p.num_generations - 1) / p.num_samples_generator)
        ),
        control=_right,
    ),
    Mutant("one generation more", at=lambda p: {"num_generations": p.num_generations + 1}),
    Mutant("last sample alone", after=_at(lambda p: p.num_samples), control=_right),
    Mutant(
        "cut law not renormalised",
        after=_at(effective_samples, renormalised=False),
        control=_right,
        outputs=("test_error",),
    ),
    Mutant("plateau lost at every cut", after=_cut_each_time),
    Mutant(
        "bound without the earlier generations",
        after=_bound(every_generation=False),
        control=_bound(every_generation=True),
        outputs=("test_error_upper_bound",),
    ),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
)
