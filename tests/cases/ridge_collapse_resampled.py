"""Reference values of ``ridge-collapse`` on explicit spectra, and wrong versions of its theory."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from simulator.sampling.resampled import example
from simulator.studies.collapse.ridge_collapse.resampled import theory
from tests.cases import Case, Mutant, Tests
from tests.references import resampled as reference

GENERIC = {
    "num_samples": 31,
    "num_samples_generator": 23,
    "num_generations": 3,
    "ridge": 0.07,
    "ridge_generator": 0.03,
    "noise_scale": 0.6,
    "noise_scale_generator": 1.3,
}
SMALL = example(40, 5)

CASES = [
    Case(label, params, rtol=1e-8, atol=1e-13, program=reference.generations)
    for label, params in {
        "generic": GENERIC,
        "Gaussian rows": GENERIC | {"law": "gaussian"},
        "real rows": GENERIC | {"law": "features"},
        "another data set": GENERIC | SMALL,
        "no generation": GENERIC | {"num_generations": 0},
        "fewer rows than features": GENERIC | {"num_samples": 7, "num_samples_generator": 5},
        "hardly any penalty": GENERIC | {"ridge": 1e-9, "num_samples": 40},
    }.items()
]

FAR_APART = {"num_samples": 40, "num_samples_generator": 160, "num_generations": 2}


def _with_parts(change):
    """Outputs with some parts replaced and the sum made consistent."""

    def new(params, outputs):
        parts = {k: outputs[k] for k in ("bias", "variance", "generator_variance")}
        parts |= change(params, outputs)
        return parts | {"test_error": sum(parts.values())}

    return new


def _parts(name, change, right=lambda params, outputs: {}):
    """A mutant of some parts; the control is their sum, and parts that are computed anew."""
    return Mutant(name, after=_with_parts(change), control=_with_parts(right))


def _variance(order):
    """The variance with the degrees of freedom of some order; 2 is right."""

    def variance(params, outputs):
        df = outputs[f"df{order}"]
        noise = params.noise_scale**2 * np.mean(np.asarray(params.residuals) ** 2)
        return {"variance": noise * df / (params.num_samples - df)}

    return variance


def _arrays(name, change):
    """A mutant that sees other arrays; the control sees those of the data."""
    return Mutant(
        name,
        theory=lambda params: theory(replace(params, **change(params))),
        control=lambda params: theory(replace(params)),
    )


MUTANTS = [
    _parts(
        "bias without 1/(1 - df2/T)",
        lambda p, o: {"bias": o["bias"] * (1 - o["df2"] / p.num_samples)},
    ),
    _parts("df1 in place of df2", _variance(order=1), _variance(order=2)),
    Mutant("one generation too many", at=lambda p: {"num_generations": p.num_generations + 1}),
    Mutant("penalty doubled", at=lambda p: {"ridge": 2 * p.ridge}),
    Mutant(
        "samples of the labellers and of the model exchanged",
        at=lambda p: {
            "num_samples": p.num_samples_generator,
            "num_samples_generator": p.num_samples,
        },
        cells=[FAR_APART],
    ),
    Mutant("noise in units of the targets", at=lambda p: {"noise_scale": p.noise_scale * 5**0.5}),
    Mutant(
        "labellers as noisy as the model",
        at=lambda p: {"noise_scale_generator": p.noise_scale},
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

TESTS = Tests(cases=CASES, mutants=MUTANTS)
