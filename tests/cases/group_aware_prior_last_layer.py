"""``group-aware-prior.last-layer``: printed rows, the projected segment, and wrong heads."""

from scipy.stats import norm

from tests.cases import Case, Mutant, Tests
from tests.references import group_aware_prior as reference

GENERIC = {
    "num_samples": 150,
    "dim": 37,
    "core_strength": 1.2,
    "spurious_strength": 0.8,
    "minority_fraction": 0.13,
}
CASES = [
    Case(
        "defaults",
        {},
        {"worst_group_error": 0.2091347},
        rtol=0,
        atol=5.1e-8,
        monte_carlo={"worst_group_error": (0.209163, 0.000707)},
    ),
    Case(
        "few samples",
        {
            "num_samples": 200,
            "dim": 300,
            "core_strength": 1.5,
            "spurious_strength": 1.0,
            "minority_fraction": 0.2,
        },
        {"worst_group_error": 0.1469093},
        rtol=0,
        atol=5.1e-8,
        monte_carlo={"worst_group_error": (0.150171, 0.001111)},
    ),
    Case("generic", GENERIC, rtol=1e-9, program=reference.last_layer),
    Case(
        "the head at an end of the segment",
        GENERIC | {"num_samples": 40, "core_strength": 1.9, "spurious_strength": 0.5},
        rtol=1e-9,
        program=reference.last_layer,
    ),
    *(
        Case(f"spurious strength {strength}", GENERIC | {"spurious_strength": strength}, rtol=1e-9,
             program=reference.last_layer)
        for strength in (0.5, 0.6)  # just at an end, t = -1.17, and before it, t = -0.81
    ),
    Case(
        "at an end, more noise",
        GENERIC | {"num_samples": 20, "spurious_strength": 0.3},
        rtol=1e-9,
        program=reference.last_layer,
    ),
]  # fmt: skip


def inner(factor):
    """The inner formula with ``eta`` times a factor."""

    def wrong(p, o):
        c, minority = float(p.core_strength), float(p.minority_fraction)
        eta = p.dim / (4 * p.num_samples * minority * (1 - minority)) * factor(minority)
        return {"worst_group_error": norm.cdf(-c / (1 + eta / c**2) ** 0.5)}

    return wrong


INSIDE = {"dim": 32, "num_samples": 200, "minority_fraction": 0.1}
MUTANTS = [
    Mutant("all samples count", after=inner(lambda pi: 4 * pi * (1 - pi)),
           control=inner(lambda pi: 1), cells=[INSIDE]),
    Mutant("only minority samples count", after=inner(lambda pi: 4 * (1 - pi)),
           control=inner(lambda pi: 1), cells=[INSIDE]),
    Mutant("features without noise", after=lambda p, o: {"worst_group_error": o["minimax_error"]}),
    Mutant("a head that uses the core alone", at=lambda p: {"minority_fraction": 0.5}),
    Mutant("strengths exchanged", at=lambda p: {
        "core_strength": p.spurious_strength, "spurious_strength": p.core_strength
    }),
    Mutant("half the samples", at=lambda p: {"num_samples": p.num_samples / 2}),
    Mutant("twice the samples", at=lambda p: {"num_samples": 2 * p.num_samples}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={"inside the segment": INSIDE},
)
