"""``data-accumulation`` on explicit spectra, and wrong versions of its theory."""

from dataclasses import replace

import jax.numpy as jnp

from simulator.sampling.resampled import example
from simulator.studies.collapse.data_accumulation.resampled import theory
from tests.cases import Case, Mutant, Tests
from tests.references import data_accumulation_resampled as reference

GENERIC = {
    "num_samples": 31,
    "num_samples_synthetic": 23,
    "sample_growth": 0.4,
    "synthetic_weight": 0.6,
    "num_generations": 4,
    "ridge": 0.07,
    "noise_scale": 0.6,
    "noise_scale_synthetic": 1.3,
}
SMALL = example(40, 5)

CASES = [
    Case(label, params, rtol=1e-8, atol=1e-13, program=reference.generations)
    for label, params in {
        "accumulate": GENERIC,
        "equal weights": GENERIC | {"synthetic_weight": 1.0},
        "no weight": GENERIC | {"synthetic_weight": 0.0},
        "replace": GENERIC | {"policy": "replace"},
        "Gaussian rows": GENERIC | {"law": "gaussian"},
        "another data set": GENERIC | SMALL,
        "another data set, replaced": GENERIC | SMALL | {"policy": "replace"},
        "one generation": GENERIC | {"num_generations": 1},
        "fewer rows than features": GENERIC | {"num_samples": 7, "num_samples_synthetic": 5},
        "hardly any penalty": GENERIC | {"ridge": 1e-9, "num_samples": 40},
    }.items()
]

APART = {
    "num_samples": 40,
    "num_samples_synthetic": 80,
    "num_generations": 3,
    "ridge": 0.02,
    "noise_scale_synthetic": 1.5,
    "synthetic_weight": 0.4,
}


def _arrays(name, change):
    """A mutant that sees other arrays; the control sees those of the data."""
    return Mutant(
        name,
        theory=lambda params: theory(replace(params, **change(params))),
        control=lambda params: theory(replace(params)),
    )


MUTANTS = [
    Mutant("rows of equal weight", at=lambda p: {"synthetic_weight": 1.0}, cells=[APART]),
    Mutant("replaced", at=lambda p: {"policy": "replace"}, cells=[APART]),
    Mutant("penalty doubled", at=lambda p: {"ridge": 2 * p.ridge}),
    Mutant("noise in units of the targets", at=lambda p: {"noise_scale": p.noise_scale * 5**0.5}),
    Mutant("models as noisy as the data", at=lambda p: {"noise_scale_synthetic": p.noise_scale}),
    Mutant(
        "blocks of the real rows' size",
        at=lambda p: {"num_samples_synthetic": p.num_samples},
        cells=[APART],
    ),
    _arrays(
        "signal w_k^2, not lambda_k w_k^2",
        lambda p: {"teacher": p.teacher / jnp.sqrt(p.eigenvalues * len(p.eigenvalues))},
    ),
    _arrays(
        "isotropic, of the same variance",
        lambda p: {"eigenvalues": jnp.full_like(p.eigenvalues, jnp.mean(p.eigenvalues))},
    ),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "jumps": {"sample_growth": "sizes are rounded"},
        "no slope at ends": {"sample_growth": "sizes are rounded"},
    },
)
