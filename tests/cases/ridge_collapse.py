"""Reference values of arXiv 2402.07712 (see the study) and wrong versions of its theory.

Monte-Carlo means are from independent simulations with 600 to 1000 replicates.
"""

import math

import jax
import jax.numpy as jnp

from simulator.maths.resolvent import degrees_of_freedom, ridge_fit
from simulator.maths.spectra import named_spectrum
from tests.cases import Case, Mutant, Tests
from tests.references import ridge_collapse as reference


def _case(label, params, test_error, bias, variance, generator_variance, **more):
    names = ("test_error", "bias", "variance", "generator_variance")
    rows = dict(zip(names, (test_error, bias, variance, generator_variance), strict=True))
    return Case(
        label,
        params,
        {name: row[0] for name, row in rows.items()} | more,
        rtol=2e-7,
        atol=6e-9,  # eight decimals are printed
        monte_carlo={name: row[1:] for name, row in rows.items()},
    )


def _setting(d, t, t0, n, ridge, noise, noise0, **more):
    return {
        "dim": d,
        "num_samples": t,
        "num_samples_generator": t0,
        "num_generations": n,
        "ridge": ridge,
        "noise_std": noise,
        "noise_std_generator": noise0,
    } | more


POWER_LAW = {"spectrum": "power_law"}


CASES = [
    _case(
        "A",
        _setting(150, 450, 300, 5, 0.1, 0.5, 0.5),
        (1.07936352, 1.08076, 0.0052),
        (0.02058927, 0.020818, 0.00011),
        (0.08598721, 0.08649, 0.0005),
        (0.97278704, 0.97345, 0.0052),
        kappa=0.14125797,
        df1=131.433912,
        df2=115.165821,
        clean_test_error=0.10657648,
        collapse_slope=0.19455741,
    ),
    _case(
        "B",
        _setting(150, 75, 300, 10, 1.0, 0.5, 0.5),
        (1.13185650, 1.13273, 0.0040),
        (0.60355339, 0.60392, 0.0019),
        (0.05177670, 0.05211, 0.0004),
        (0.47652641, 0.47671, 0.0035),
    ),
    _case(
        "C (exact)",
        _setting(100, 250, 60, 3, 0.0, 0.2, 0.2),
        (0.93146102, 0.93392, 0.0023),
        (0.784, 0.78621, 0.0022),
        (0.02684564, 0.02703, 0.0002),
        (0.12061538, 0.12069, 0.0009),
    ),
    _case(
        "D (exact)",
        _setting(100, 250, 60, 3, 0.0, 0.2, 0.2, design="same"),
        (0.61146102, 0.61193, 0.0029),
        (0.4, 0.40095, 0.0022),
        (0.02684564, 0.02681, 0.0002),
        (0.18461538, 0.18417, 0.0018),
    ),
    _case(
        "E",
        _setting(200, 100, 400, 3, 0.02, 0.1, 0.2, **POWER_LAW),
        (0.02945131, 0.029448, 0.00023),
        (0.01364167, 0.01373, 0.00009),
        (0.00096075, 0.000958, 0.000013),
        (0.01484888, 0.01476, 0.0002),
    ),
    _case(
        "F",
        _setting(200, 300, 80, 4, 0.005, 0.1, 0.1, **POWER_LAW),
        (0.02839412, 0.02902, 0.00024),
        (0.01000821, 0.01016, 0.00004),
        (0.00085450, 0.00085, 0.000007),
        (0.01753140, 0.01801, 0.00024),
        kappa=0.00598992,
        kappa_generator=0.00223909,
    ),
    _case(
        "G",
        _setting(
            200, 120, 150, 6, 0.01, 0.2, 0.3, ridge_generator=0.02, source_exponent=1.0, **POWER_LAW
        ),
        (0.04958599, 0.04998, 0.0003),
        (0.03311957, 0.03350, 0.0001),
        (0.00511112, 0.00521, 0.00006),
        (0.01135530, 0.01127, 0.0003),
        kappa=0.01358238,
        kappa_generator=0.02360840,
    ),
    _case(
        "H",
        _setting(150, 225, 100, 5, 0.2, 0.3, 0.3, ridge_generator=0.1),
        (1.07450855, 1.07410, 0.0012),
        (0.92781066, 0.92820, 0.0010),
        (0.04788843, 0.04784, 0.0002),
        (0.09880946, 0.09806, 0.0006),
    ),
    Case(
        "infinite at the threshold",
        _setting(20, 20, 40, 2, 0.0, 0.3, 0.2),
        {"test_error": math.inf, "variance": math.inf, "bias": 0.0, "clean_test_error": math.inf},
    ),
    Case(
        "no noise, no divergence",
        _setting(20, 20, 19, 2, 0.0, 0.0, 0.0),
        {"variance": 0.0, "generator_variance": 0.0, "bias": 1 - 0.95**2},
        rtol=1e-10,
    ),
]

# All outputs against the independent program: off special points, then on both sides of each edge.
GENERIC = _setting(20, 31, 13, 3, 0.07, 0.6, 0.35, ridge_generator=0.03, signal_variance=1.7)
STEEP = POWER_LAW | {"spectrum_exponent": 1.2, "source_exponent": 0.4}
SHARED = {"design": "same", "ridge_generator": 0.0}
EXPLICIT = {
    "dim": 6,
    "eigenvalues": (2.1, 1.4, 0.8, 0.3, 0.1, 0.02),
    "teacher": (0.5, -1.1, 0.3, 0.9, -0.7, 1.6),
}
PROGRAMMED = {
    "generic, explicit": GENERIC | EXPLICIT,
    "generic, explicit, without ridge": GENERIC
    | EXPLICIT
    | {"num_samples": 4, "ridge": 0.0, "ridge_generator": 0.0},
    "generic, explicit eigenvalues alone": GENERIC
    | {"dim": 6, "eigenvalues": EXPLICIT["eigenvalues"]},
    "generic, isotropic": GENERIC,
    "generic, power law": GENERIC | STEEP,
    "generic, same design": GENERIC | SHARED,
    "as few samples as one": GENERIC | {"num_samples": 1, "num_samples_generator": 1},
    "no generation": GENERIC | {"num_generations": 0},
    "no generation, same design": GENERIC | SHARED | {"num_generations": 0},
    "one generation, same design": GENERIC | SHARED | {"num_generations": 1},
    **{
        f"last fit without ridge, T - d = {n - 20}": GENERIC | {"num_samples": n, "ridge": 0.0}
        for n in (18, 19, 20, 21, 22)
    },
    **{
        f"generators without ridge, power law, T0 - d = {n - 20}": GENERIC
        | STEEP
        | {"num_samples_generator": n, "ridge_generator": 0.0}
        for n in (18, 19, 20, 21, 22)
    },
    **{
        f"generators without ridge, same design, T0 - d = {n - 20}": GENERIC
        | SHARED
        | {"num_samples_generator": n}
        for n in (18, 19, 20, 21, 22)
    },
    "generators without noise at their threshold": GENERIC
    | {"num_samples_generator": 20, "ridge_generator": 0.0, "noise_std_generator": 0.0},
}
CASES += [
    Case(label, params, rtol=1e-11, atol=1e-13, program=reference.theory)
    for label, params in PROGRAMMED.items()
]


def _rebuild(params, **parts):
    """Outputs with some parts replaced and the sum made consistent."""
    total = parts["bias"] + parts["variance"] + parts["generator_variance"]
    return parts | {"test_error": total}


def _with_parts(change):
    def new(params, outputs):
        parts = {k: outputs[k] for k in ("bias", "variance", "generator_variance")}
        return _rebuild(params, **(parts | change(params, outputs)))

    return jax.jit(new)


def _parts(name, change, right=lambda params, outputs: {}, **others):
    """A mutant of some parts; the control is their sum, and parts that are computed anew."""
    return Mutant(name, after=_with_parts(change), control=_with_parts(right), **others)


def _bias_without_inflation(params, outputs):
    """The clean bias without its factor 1 / (1 - df2/T), at every generation."""
    return {"bias": outputs["bias"] * (1 - outputs["df2"] / params.num_samples)}


def _variance_with_df(order):
    def variance(params, outputs):
        spectrum = named_spectrum(
            params.spectrum,
            params.dim,
            params.spectrum_exponent,
            params.source_exponent,
            params.signal_variance,
        )
        fit = ridge_fit(spectrum.eigenvalues, params.num_samples, params.ridge)
        df = degrees_of_freedom(spectrum.eigenvalues, fit.kappa, order)
        variance = params.noise_std**2 * df / (params.num_samples - df)
        # Least squares has exact errors.
        return {"variance": jnp.where(params.ridge > 0, variance, outputs["variance"])}

    return variance


def _noise_not_squared(params, outputs):
    return {"variance": outputs["variance"] / jnp.maximum(params.noise_std, 1e-30)}


MUTANTS = [
    _parts("bias without 1/(1 - df2/T)", _bias_without_inflation),
    _parts("df1 in place of df2 in the variance", _variance_with_df(1), _variance_with_df(2)),
    _parts("noise level not squared", _noise_not_squared),
    Mutant(
        "one generation too many",
        at=lambda p: {"num_generations": p.num_generations + 1},
    ),
    Mutant(
        "generators see d fewer samples",
        at=lambda p: {"num_samples_generator": p.num_samples_generator - 1},
        cells=[_setting(12, 31, 17, 3, 0.0, 0.3, 0.5)],
    ),
    Mutant("penalty not divided by T", at=lambda p: {"ridge": 2 * p.ridge}),
    Mutant(
        "signal on the eigenvalues, not on the weights",
        at=lambda p: {"source_exponent": p.source_exponent + 0.5},
        slow=True,
    ),
    Mutant(
        "same design taken as independent",
        at=lambda p: {"design": "independent"},
    ),
    _parts(
        "the paper's T0 - d in place of the exact T0 - d - 1",
        lambda p, o: {
            "generator_variance": o["generator_variance"]
            * (p.num_samples_generator - p.dim - 1)
            / (p.num_samples_generator - p.dim)
        },
        cells=[_setting(12, 31, 26, 3, 0.0, 0.3, 0.5)],
    ),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={
        "small": {
            "dim": 48,
            "num_generations": 3,
            "num_samples": 144,
            "num_samples_generator": 96,
            "noise_std": 0.6,
            "noise_std_generator": 0.4,
            "signal_variance": 1.7,
            "ridge_generator": 0.03,
        },
        "one design": {
            "dim": 24,
            "num_generations": 3,
            "num_samples": 17,
            "num_samples_generator": 14,
            "ridge": 0.0,
            "design": "same",
            "noise_std": 0.5,
            "noise_std_generator": 0.4,
        },
    },
    ends={
        "clean labels": {"dim": 10, "num_samples": 30, "num_generations": 0},
        "few samples": {"dim": 10, "num_samples": 6, "num_samples_generator": 7},
        "power law": {
            "dim": 10,
            "num_samples": 30,
            "num_generations": 2,
            "spectrum": "power_law",
        },
    },
    expected={
        "other methods": (0.05, "they draw the label noise of all fits"),
        "jumps at ends": {
            "ridge": "exact without one, asymptotic with it",
            "ridge_generator": "exact without one, asymptotic with it",
        },
    },
)
