"""Sums over a finite corpus by NumPy, with all covariances, and wrong versions of the theory."""

import math

from tests.cases import Case, Mutant, Tests
from tests.references import resampled as reference

LONG = tuple(3000 // rank + 1 for rank in range(1, 400))
SHORT = (17, 9, 9, 4, 3, 1)

CASES = [
    Case(label, params, rtol=1e-9, program=reference.corpus)
    for label, params in {
        "cut and mixed": {"num_samples": 300, "cutoff": 37, "real_fraction": 0.08},
        "cut": {"num_samples": 90, "cutoff": 60},
        "clean": {"num_samples": 25},
        "one token": {"num_samples": 1, "cutoff": 3, "real_fraction": 0.4},
        "many tokens": {"num_samples": 7000, "cutoff": 20, "real_fraction": 0.02},
        "six kinds": {"counts": SHORT, "num_samples": 9, "cutoff": 4, "real_fraction": 0.3},
        "one kind is left": {"counts": SHORT, "num_samples": 4, "cutoff": 1, "real_fraction": 0.5},
        "one kind alone": {"counts": SHORT, "num_samples": 4, "cutoff": 1},
        "more than the head": {"counts": LONG, "num_samples": 500, "cutoff": 333},
        "cut beyond the head": {
            "counts": LONG, "num_samples": 4000, "cutoff": 150, "real_fraction": 0.2,
        },
    }.items()
]  # fmt: skip


def _wrong(**switches):
    def outputs_of(params, outputs):
        return reference.corpus(
            params.counts, params.num_samples, params.cutoff, params.real_fraction, **switches
        )

    return outputs_of


def _mutant(name, **options):
    """A mutant by a switch of the independent program, which is the control without it."""
    switches = {k: options.pop(k) for k in list(options) if k not in ("outputs", "cells")}
    return Mutant(name, after=_wrong(**switches), control=_wrong(), **options)


MUTANTS = [
    _mutant("cut law not renormalised", renormalised=False),
    _mutant("tested on the training law", tested_on="q", outputs=("test_error",)),
    _mutant(
        "Poisson for a fixed number of tokens",
        sampling="poisson",
        outputs=("test_error",),
        cells=[{"counts": SHORT, "num_samples": 6.0}],
    ),
    _mutant("presences independent", correlated=False, outputs=("test_error_std",)),
    Mutant("no cut", at=lambda p: {"cutoff": math.inf}),
    Mutant("no real data", at=lambda p: {"real_fraction": 0.0}),
    Mutant("shares exchanged", at=lambda p: {"real_fraction": 1 - p.real_fraction}),
    Mutant("half the tokens", at=lambda p: {"num_samples": p.num_samples // 2}),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={"other methods": (0.02, "a standard deviation, from tokens one by one")},
)
