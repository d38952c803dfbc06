"""``strong-collapse.multi-step``: the dossier's two chains, and wrong recursions."""

import jax
import numpy as np

from simulator.maths.resolvent import ridge_fit
from simulator.studies.collapse.strong_collapse._model import (
    geometric_mean,
    shift_of,
    spectrum_of,
)
from tests.cases import Case, Mutant, Tests
from tests.cases._strong_collapse_values import EXPLICIT, GENERIC, STEEP
from tests.cases.strong_collapse import swapped_noise
from tests.references import strong_collapse as reference

NOISE = {"noise_std_real": 0.3, "noise_std_synthetic": 0.3, "synthetic_shift": 1.0}
LEAST_SQUARES = {
    "dim": 100,
    "num_samples": 300,
    "synthetic_fraction": 0.5,
    "ridge": 0.0,
} | NOISE
POWER_LAW = {
    "dim": 100,
    "num_samples": 150,
    "synthetic_fraction": 0.7,
    "ridge": 0.02,
    "spectrum": "power_law",
    "shift_correlation": -0.5,
    "num_steps": 4,
} | NOISE


def chain(label, params, values, means, errors):
    return Case(
        label,
        params,
        {"test_error": values},
        rtol=0,
        atol=5.1e-6,
        monte_carlo={"test_error": (means, errors)},
    )


CASES = [
    chain(
        "least squares",
        LEAST_SQUARES,
        (0.42, 0.2025, 0.12094, 0.09035, 0.07888, 0.07458, 0.07297),
        (0.4231, 0.2014, 0.1205, 0.0901, 0.0784, 0.0762, 0.0741),
        (0.004, 0.002, 0.002, 0.001, 0.001, 0.001, 0.001),
    ),
    chain(
        "power law",
        POWER_LAW,
        (0.11849, 0.06327, 0.05142, 0.04794, 0.04683),
        (0.12065, 0.06459, 0.05211, 0.04845, 0.04785),
        (0.0024, 0.0012, 0.0008, 0.0008, 0.0008),
    ),
    Case(
        "noise without ridge at n = d",
        LEAST_SQUARES | {"dim": 30, "num_samples": 31, "num_steps": 1},
        {"test_error": (float("inf"), float("inf"))},
    ),
    Case(
        "noise-free self-training at n = d returns its teacher",
        {
            "dim": 30,
            "num_samples": 30,
            "ridge": 0.0,
            "synthetic_fraction": 1.0,
            "noise_std_real": 0.0,
            "noise_std_synthetic": 0.0,
            "synthetic_shift": 0.6,
            "num_steps": 2,
        },
        {"test_error": (0.6, 0.6, 0.6)},
        rtol=1e-12,
    ),
    Case(
        "noise-free sources that disagree at n = d",
        {
            "dim": 30,
            "num_samples": 30,
            "ridge": 0.0,
            "synthetic_fraction": 0.5,
            "noise_std_real": 0.0,
            "noise_std_synthetic": 0.0,
            "synthetic_shift": 0.6,
            "num_steps": 1,
        },
        {"test_error": (float("inf"), float("inf"))},
    ),
    Case(
        "noise-free sources that agree at n = d",
        {
            "dim": 30,
            "num_samples": 30,
            "ridge": 0.0,
            "synthetic_fraction": 0.5,
            "noise_std_real": 0.0,
            "noise_std_synthetic": 0.0,
            "synthetic_shift": 0.0,
            "num_steps": 1,
        },
        {"test_error": (0.0, 0.0)},
    ),
]

# Against the independent program, at sizes that other cases have compiled.
CASES += [
    Case(label, GENERIC | params, rtol=1e-10, program=reference.theory_of_steps)
    for label, params in {
        "generic": {},
        "generic, explicit": EXPLICIT,
        "generic, power law": STEEP | {"num_steps": 4, "shift_profile": "whitened"},
        "only synthetic samples": {"synthetic_fraction": 1.0},
        "no synthetic sample": {"synthetic_fraction": 0.0},
        "no shift to correlate with": {"synthetic_shift": 0.0},
        "a ridge at n = d": {"num_samples": 100},
        "noisy self-training next to n = d": {
            "synthetic_fraction": 1.0,
            "num_samples": 101,
            "ridge": 0.0,
        },
        **{
            f"without ridge, n - d = {n - 100}": {"num_samples": n, "ridge": 0.0}
            for n in (60, 98, 99, 100, 101, 102)
        },
    }.items()
]


@jax.jit
def ingredients(params):
    """What the recursion is made of; one program for all mutants."""
    spectrum, shift = spectrum_of(params), shift_of(params)
    fit = ridge_fit(spectrum.eigenvalues, params.num_samples, params.ridge)
    mixed = params.shift_correlation * geometric_mean(spectrum.signal, shift)
    return spectrum.signal, shift, mixed, fit.survival, fit.shrinkage, fit.spread_factor


def recursion(*, disagreement=1.0, power=2, cross=True, fresh=False, refitted=True):
    """The recursion, with what makes it right switched off."""

    def after(params, outputs):
        s, second, mixed, t1, f, spread = (np.asarray(x) for x in ingredients(params))
        p2 = params.synthetic_fraction
        noise = (1 - p2) * params.noise_std_real**2 + p2 * params.noise_std_synthetic**2
        v = t1**2 * spread * (1 if refitted else 0)
        errors = []
        for _ in range(params.num_steps + 1):
            following = -f * s + p2 * t1 * mixed
            used = (following if fresh else mixed) if cross else 0 * mixed
            second = (
                f**2 * s
                + v * np.sum(f**2 * s)
                + noise * t1**2 * spread
                - 2 * p2 * (f * t1 * used - v * np.sum(f**2 * used))
                + p2**power * (t1**2 * second + v * np.sum(f**2 * second))
                + disagreement * p2 * (1 - p2) * v * np.sum(second)
            )
            mixed = following
            errors.append(np.sum(second))
        return {"test_error": np.array(errors)}

    return after


def one_step_late(params, outputs):
    errors = outputs["test_error"]
    return {"test_error": np.concatenate([errors[:1], errors[:-1]])}


def frozen_teacher(params, outputs):
    """Every step sees the synthetic labels of step 0."""
    errors = outputs["test_error"]
    return {"test_error": np.full_like(errors, errors[0])}


MUTANTS = [
    Mutant("sources do not disagree", after=recursion(disagreement=0.0), control=recursion()),
    Mutant("shift decays like p2", after=recursion(power=1), control=recursion()),
    Mutant(
        "teacher's error is independent of the truth",
        after=recursion(cross=False),
        control=recursion(),
    ),
    Mutant(
        "new cross moment in the old one's place", after=recursion(fresh=True), control=recursion()
    ),
    Mutant("fits are their mean", after=recursion(refitted=False), control=recursion()),
    Mutant("one step late", after=one_step_late),
    Mutant("the first labels for ever", after=frozen_teacher),
    Mutant("noise of the sources swapped", at=swapped_noise),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={
        "small": {
            "dim": 32,
            "num_samples": 80,
            "synthetic_fraction": 0.55,
            "ridge": 0.05,
            "noise_std_real": 0.8,
            "noise_std_synthetic": 0.3,
            "synthetic_shift": 0.9,
            "signal_variance": 1.3,
            "shift_correlation": 0.5,
            "num_steps": 3,
        },
        "power law": {
            "dim": 96,
            "num_samples": 160,
            "synthetic_fraction": 0.6,
            "ridge": 0.02,
            "spectrum": "power_law",
            "spectrum_exponent": 1.2,
            "source_exponent": 0.15,
            "shift_profile": "signal",
            "shift_correlation": -0.5,
            "noise_std_real": 0.3,
            "noise_std_synthetic": 0.5,
            "num_steps": 3,
        },
        "least squares": {
            "dim": 64,
            "num_samples": 160,
            "synthetic_fraction": 0.45,
            "ridge": 0.0,
            "noise_std_real": 0.3,
            "noise_std_synthetic": 0.2,
            "num_steps": 3,
        },
    },
    ends={"few samples": {"dim": 12, "num_samples": 8, "ridge": 0.0, "num_steps": 2}},
    expected={
        "resolution": (0.1, "small sizes leave out more than that"),
        "float32": (5e-5, "n - df2 loses in single precision what df2 has of n"),
        "other methods": (0.05, "they draw teacher, shift and noise, a hundredfold variance"),
        "no slope at ends": {"synthetic_shift": "the cross term is a square root of it"},
    },
)
