"""Reference values of ``strong-collapse`` with known teacher and shift, and wrong versions."""

from dataclasses import replace

import jax.numpy as jnp

from simulator.sampling.resampled import example
from simulator.studies.collapse.strong_collapse.resampled import theory
from tests.cases import Case, Mutant, Tests
from tests.references import resampled as reference

GENERIC = {
    "num_samples": 31,
    "synthetic_fraction": 0.35,
    "ridge": 0.07,
    "noise_scale": 0.6,
    "noise_std_synthetic": 0.25,
}
SMALL = example(40, 5) | {"shift": (0.3, -0.2, 0.5, 0.1, -0.4)}

CASES = [
    Case(label, params, rtol=1e-8, atol=1e-13, program=reference.mixture)
    for label, params in {
        "generic": GENERIC,
        "Gaussian rows": GENERIC | {"law": "gaussian"},
        "real rows": GENERIC | {"law": "features"},
        "another data set": GENERIC | SMALL,
        "few rows": GENERIC | {"num_samples": 7},
        "hardly any penalty": GENERIC | {"ridge": 1e-7, "num_samples": 40},
    }.items()
]


def _with_parts(change):
    def new(params, outputs):
        names = ("bias", "variance", "synthetic_error", "cross_error")
        parts = {name: outputs[name] for name in names} | change(params, outputs)
        return parts | {"test_error": sum(parts.values())}

    return new


def _parts(name, change):
    """A mutant of some parts; the control is the sum of the right ones."""
    return Mutant(name, after=_with_parts(change), control=_with_parts(lambda p, o: {}))


MUTANTS = [
    _parts("bias without 1 + u", lambda p, o: {"bias": o["bias"] * (1 - o["df2"] / p.num_samples)}),
    _parts("no cross term", lambda p, o: {"cross_error": 0.0}),
    _parts("cross term of the other sign", lambda p, o: {"cross_error": -o["cross_error"]}),
    _parts(
        "share not squared",
        lambda p, o: {"synthetic_error": o["synthetic_error"] / p.synthetic_fraction},
    ),
    Mutant("penalty doubled", at=lambda p: {"ridge": 2 * p.ridge}),
    Mutant("shares exchanged", at=lambda p: {"synthetic_fraction": 1 - p.synthetic_fraction}),
    Mutant("synthetic labels without noise", at=lambda p: {"noise_std_synthetic": 0.0}),
    Mutant("noise of the residuals, unscaled", at=lambda p: {"noise_scale": 1.0}),
    Mutant(
        "shift of the labels, not of the weights",
        theory=lambda p: theory(
            replace(p, shift=p.shift / jnp.sqrt(p.eigenvalues * len(p.eigenvalues)))
        ),
        control=lambda p: theory(replace(p)),
    ),
]

TESTS = Tests(cases=CASES, mutants=MUTANTS)
