"""``strong-collapse.two-covariances``: the dossier's three rows, and wrong theories."""

import jax
import jax.numpy as jnp

from simulator.studies.collapse.strong_collapse._model import (
    fractions_of,
    noise_of,
    sample_weights,
    shift_of,
    spectrum_of,
)
from simulator.studies.collapse.strong_collapse._two_covariances_fit import two_covariances_fit
from simulator.studies.collapse.strong_collapse.two_covariances import _covariances
from tests.cases import Case, Mutant, Tests
from tests.cases._strong_collapse_values import EXPLICIT, GENERIC, MIXED
from tests.cases.strong_collapse import swapped_noise
from tests.references import strong_collapse as reference

I = {
    "dim": 120,
    "spectrum_synthetic": "power_law",
    "spectrum_exponent_synthetic": 1.0,
    "num_samples": 360,
    "synthetic_fraction": 0.3,
    "ridge": 0.05,
}
J = {
    "dim": 120,
    "spectrum": "power_law",
    "spectrum_exponent": 1.0,
    "covariance_scale_synthetic": 0.5,
    "num_samples": 300,
    "synthetic_fraction": 0.4,
    "ridge": 0.02,
}
K = {
    "dim": 120,
    "spectrum": "power_law",
    "spectrum_exponent": 1.0,
    "spectrum_synthetic": "power_law",
    "spectrum_exponent_synthetic": 2.0,
    "num_samples": 240,
    "synthetic_fraction": 0.5,
    "ridge": 0.01,
    "weighting": "mixing",
    "mixing_weight": 0.25,
}
NAMES = ("test_error", "bias", "variance", "synthetic_error")


def row(label, params, values, monte_carlo):
    return Case(
        label,
        params,
        dict(zip(NAMES, values, strict=True)),
        rtol=0,
        atol=6e-9,
        monte_carlo=dict(zip(NAMES, monte_carlo, strict=True)),
    )


def threshold(num_samples, fraction, variance, shift, **params):
    total = variance + shift
    return Case(
        f"without ridge at n = {num_samples}, d = 30",
        {
            "dim": 30,
            "num_samples": num_samples,
            "ridge": 0.0,
            "synthetic_fraction": fraction,
            "spectrum_synthetic": "power_law",
            "synthetic_shift": 0.6,
        }
        | params,
        {"bias": 0, "variance": variance, "synthetic_error": shift, "test_error": total},
        rtol=1e-12,
    )


INFINITY = float("inf")
NOISE_FREE = {"noise_std_real": 0.0, "noise_std_synthetic": 0.0}
CASES = [
    row(
        "I",
        I,
        (0.16747621, 0.01763048, 0.14726465, 0.00258108),
        ((0.16663, 1.1e-3), (0.01762, 1.6e-4), (0.14645, 1.1e-3), (0.00257, 4e-5)),
    ),
    row(
        "J",
        J,
        (0.30847228, 0.00591127, 0.01951577, 0.28304524),
        ((0.30953, 1.1e-3), (0.00598, 6e-5), (0.01946, 2.1e-4), (0.28409, 1.1e-3)),
    ),
    row(
        "K",
        K,
        (0.09186358, 0.01300845, 0.07726449, 0.00159064),
        ((0.09236, 6e-4), (0.01304, 1e-4), (0.07768, 6e-4), (0.00164, 3e-5)),
    ),
    threshold(30, 0.4, INFINITY, INFINITY),
    threshold(30, 0.4, 0, INFINITY, **NOISE_FREE),
    threshold(30, 1.0, 0, 0.6, **NOISE_FREE),
    threshold(60, 0.5, 0, 0.6, weighting="mixing", mixing_weight=1.0, **NOISE_FREE),
]

# Against the independent program, at sizes that other cases have compiled.
OWN = {name: value for name, value in GENERIC.items() if name != "shift_correlation"} | {
    "dim": 120,
    "spectrum_synthetic": "power_law",
    "spectrum_exponent_synthetic": 0.7,
    "covariance_scale_synthetic": 2.3,
}
REAL_LAW = {"spectrum": "power_law", "spectrum_exponent": 1.2, "source_exponent": 0.4}
CASES += [
    Case(label, OWN | params, rtol=1e-9, program=reference.theory_of_two_covariances)
    for label, params in {
        "generic": {},
        "generic, explicit": EXPLICIT
        | {"eigenvalues_synthetic": (0.6, 1.9, 0.2, 3.1, 0.8, 1.4, 0.05, 0.7)},
        "generic, real power law": REAL_LAW | {"spectrum_synthetic": "isotropic"},
        "generic, two power laws, mixing": REAL_LAW | MIXED,
        "no synthetic sample": {"synthetic_fraction": 0.0},
        "only synthetic samples": {"synthetic_fraction": 1.0},
        "synthetic samples without weight": REAL_LAW | MIXED | {"mixing_weight": 0.0},
        "real samples without weight": REAL_LAW | MIXED | {"mixing_weight": 1.0},
        "few samples without ridge": {"dim": 30, "num_samples": 18, "ridge": 0.0},
        "few weighted samples without ridge": {"dim": 30, "num_samples": 18, "ridge": 0.0} | MIXED,
        **{
            f"many weighted samples without ridge, p2 = {share}, weight {weight}": {
                "dim": 30, "num_samples": 300, "ridge": 0.0, "synthetic_fraction": share,
                "weighting": "mixing", "mixing_weight": weight,
            }
            for share, weight in ((0.1, 0.999), (0.9, 0.001))
        },
        **{
            f"without ridge, p2 = {share}": {
                "dim": 30, "num_samples": 57, "ridge": 0.0, "synthetic_fraction": share
            }
            for share in (0.0, 1.0)
        },
        **{
            f"without ridge, n - d = {gap}": {"dim": 30, "num_samples": 30 + gap, "ridge": 0.0}
            for gap in (-2, -1, 0, 1, 2)
        },
        **{
            f"without ridge nor noise, n - d = {gap}": {
                "dim": 30, "num_samples": 30 + gap, "ridge": 0.0, **NOISE_FREE
            }
            for gap in (-1, 0, 1)
        },
    }.items()
]  # fmt: skip


@jax.jit
def parts_of(params, feedback, same_inputs, response):
    """The theory's parts, with what makes them right switched on or off; one program for all."""
    spectrum, shift = spectrum_of(params), shift_of(params)
    covariances = _covariances(params)
    covariances = jnp.where(same_inputs, covariances[0], covariances)
    real, synthetic = covariances
    p = fractions_of(params)
    weights = sample_weights(p, params.weighting, params.mixing_weight)
    fit = two_covariances_fit(covariances, params.num_samples, p, weights, params.ridge)
    G, h = fit.resolvent, fit.h
    T = jnp.where(feedback, fit.traces, covariances @ (real * G**2) / params.num_samples)
    second = jnp.where(feedback, fit.second, G**2 * (real + (p * h**2 * T) @ covariances))
    bias = fit.ridge**2 * jnp.sum(spectrum.signal / real * second)
    variance = jnp.sum(p * h**2 * noise_of(params) ** 2 * T)
    coupling = jnp.where(response, 2 * h[1] * T[1] * G, 0)
    inherited = p[1] ** 2 * h[1] ** 2 * synthetic**2 * (second - coupling)
    shift_error = jnp.sum(shift / real * (inherited + p[1] * h[1] ** 2 * T[1] * synthetic))
    return {
        "test_error": bias + variance + shift_error,
        "bias": bias,
        "variance": variance,
        "synthetic_error": shift_error,
    }


def rebuilt(*, feedback=True, same_inputs=False, response=True):
    return lambda params, outputs: parts_of(params, feedback, same_inputs, response)


def shift_divided_by(share):
    def after(params, outputs):
        shift = outputs["synthetic_error"] / share(params)
        return {
            "synthetic_error": shift,
            "test_error": outputs["bias"] + outputs["variance"] + shift,
        }

    return after


MUTANTS = [
    Mutant(
        "both inputs like the real ones",
        after=rebuilt(same_inputs=True),
        control=rebuilt(),
    ),
    Mutant(
        "no feedback of the fluctuations (T = t)",
        after=rebuilt(feedback=False),
        control=rebuilt(),
    ),
    Mutant(
        "shift without its response term",
        after=rebuilt(response=False),
        control=rebuilt(),
    ),
    Mutant(
        "shift enters linearly in p2",
        after=shift_divided_by(lambda p: p.synthetic_fraction),
        control=shift_divided_by(lambda p: 1.0),
    ),
    Mutant("noise of the sources swapped", at=swapped_noise),
    Mutant("weights ignored", at=lambda p: {"weighting": "uniform"}, slow=True),
    Mutant(
        "scale of the inputs for their variance",
        at=lambda p: {"covariance_scale_synthetic": p.covariance_scale_synthetic**2},
    ),
    Mutant(
        "source sizes exchanged",
        at=lambda p: {"synthetic_fraction": 1 - p.synthetic_fraction},
    ),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={
        "small": {
            "dim": 32,
            "num_samples": 80,
            "synthetic_fraction": 0.3,
            "ridge": 0.05,
            "spectrum_synthetic": "power_law",
            "spectrum_exponent_synthetic": 0.8,
            "covariance_scale_synthetic": 4.0,
            "noise_std_real": 0.4,
            "noise_std_synthetic": 0.6,
            "signal_variance": 1.4,
            "synthetic_shift": 0.9,
        },
        "two power laws": {
            "dim": 96,
            "num_samples": 160,
            "synthetic_fraction": 0.45,
            "ridge": 0.03,
            "spectrum": "power_law",
            "spectrum_exponent": 0.7,
            "spectrum_synthetic": "power_law",
            "spectrum_exponent_synthetic": 1.3,
            "covariance_scale_synthetic": 4.0,
            "shift_profile": "isotropic",
            "weighting": "mixing",
            "mixing_weight": 0.3,
            "noise_std_synthetic": 0.3,
        },
        "least squares": {
            "dim": 64,
            "num_samples": 160,
            "synthetic_fraction": 0.45,
            "ridge": 0.0,
            "spectrum_synthetic": "power_law",
            "spectrum_exponent_synthetic": 0.6,
            "covariance_scale_synthetic": 2.0,
            "noise_std_real": 0.3,
            "noise_std_synthetic": 0.5,
        },
        "interpolation": {
            "dim": 64,
            "num_samples": 40,
            "synthetic_fraction": 0.4,
            "ridge": 0.0,
            "spectrum_synthetic": "power_law",
            "spectrum_exponent_synthetic": 0.6,
            "covariance_scale_synthetic": 2.0,
            "noise_std_real": 0.3,
            "noise_std_synthetic": 0.5,
        },
    },
    expected={
        "resolution": (0.1, "small sizes leave out more than that"),
        "float32": (5e-5, "n - df2 loses in single precision what df2 has of n"),
        "other methods": (0.05, "they draw teacher, shift and noise, a hundredfold variance"),
    },
)
