"""``strong-collapse.random-projections``: table, model-size curves, and wrong theories."""

import jax.numpy as jnp

from tests.cases import Case, Mutant, Tests
from tests.cases._strong_collapse_values import (
    EXPLICIT,
    GENERIC,
    MIXED,
    SMALL_NOISE,
    STEEP,
    edges,
    printed,
    table,
)
from tests.cases.strong_collapse import (
    linear_shift,
    parts,
    swapped_noise,
    with_parts,
    without_inflation,
)
from tests.references import strong_collapse as reference

D = {
    "dim": 150,
    "width": 90,
    "num_samples": 300,
    "synthetic_fraction": 0.5,
    "ridge": 0.01,
} | SMALL_NOISE
E = D | {"width": 400}
F = {
    "dim": 200,
    "width": 120,
    "num_samples": 100,
    "synthetic_fraction": 0.25,
    "ridge": 0.001,
    "synthetic_shift": 0.3,
    "spectrum": "power_law",
} | SMALL_NOISE
G = {
    "dim": 150,
    "width": 200,
    "num_samples": 250,
    "synthetic_fraction": 0.4,
    "ridge": 0.05,
    "synthetic_shift": 1.0,
    "weighting": "mixing",
    "mixing_weight": 0.2,
    "noise_std_real": 0.5,
    "noise_std_synthetic": 0.2,
}
TABLE = [
    table(
        "D",
        D,
        (0.70127317, 0.55851357, 0.00391257, 0.13884703, 0),
        ((0.69945, 4e-3), (0.5567, 3.5e-3), (0.00391, 3e-5), (0.13781, 1.1e-3)),
    ),
    table(
        "E",
        E,
        (0.25147111, 0.00041816, 0.00954898, 0.24150396, 0),
        ((0.25344, 1.4e-3), (0.000433, 6e-6), (0.00954, 7e-5), (0.24350, 1.4e-3)),
    ),
    table(
        "F",
        F,
        (0.04849566, 0.00972823, 0.00456517, 0.03420226, 0),
        ((0.04851, 5e-4), (0.00983, 9e-5), (0.00456, 5e-5), (0.03423, 5e-4)),
    ),
    table(
        "G",
        G,
        (0.47447154, 0.11524732, 0.17206758, 0.18715664, 0),
        (
            (0.47990, 2.8e-3),
            (0.11708, 1.3e-3),
            (0.17302, 1.2e-3),
            (0.18697, 1.5e-3),
            (0.0028, 1.3e-3),
        ),
    ),
]
PENALTIES = [
    printed(f"{output} {label}", params, output, text)
    for label, params, output, text in (
        ("D", D, "kappa", "0.72264439"),
        ("E", E, "kappa", "0.01177961"),
        ("F", F, "kappa", "0.00579881"),
        ("G", G, "kappa", "0.21419387"),
        ("G", G, "omega", "0.457945"),
    )
]

OVER = {
    "dim": 600,
    "num_samples": 500,
    "synthetic_fraction": 0.2,
    "ridge": 0.01,
} | SMALL_NOISE
WIDTHS = (100, 300, 400, 500, 600, 900, 2000, 6000)
OVER_PARAMETRISED = [
    printed(
        f"{output} c2 = {shift}, m = {width}",
        OVER | {"width": width, "synthetic_shift": shift},
        output,
        text,
    )
    for output, shift, texts in (
        ("test_error", 0.0, "1.0366 1.1280 1.0806 .8594 .6434 .3905 .2652 .2296"),
        ("test_error", 0.1, "1.0419 1.1519 1.1189 .9085 .6976 .4529 .3385 .3096"),
        ("test_error", 1.0, "1.0897 1.3668 1.4638 1.3504 1.1860 1.0140 .9983 1.0288"),
        ("synthetic_error", 1.0, ".0531 .2387 .3832 .4910 .5427 .6235 .7331 .7992"),
    )
    for width, text in zip(WIDTHS, texts.split(), strict=True)
]
PEAK = [
    printed(
        f"peak c2 = {shift}",
        OVER | {"width": 500, "ridge": 1e-6, "synthetic_shift": shift},
        "test_error",
        text,
    )
    for shift, text in ((0.0, "36.58"), (1.0, "70.96"))
]
UNDER_PARAMETRISED = [
    printed(
        f"under-parametrised c2 = {shift}, m = {width}",
        {
            "dim": 100,
            "num_samples": 500,
            "synthetic_fraction": 0.2,
            "ridge": 1e-6,
            "width": width,
            "synthetic_shift": shift,
        }
        | SMALL_NOISE,
        "test_error",
        text,
        slow=True,  # a program of its own
    )
    for shift, texts in (
        (0.0, ".9186 .7453 .5567 .2400 .0025"),
        (1.0, ".9266 .7693 .5967 .3040 .0825"),
        (5.0, ".9586 .8653 .7567 .5600 .4025"),
        (30.0, "1.1586 1.4653 1.7567 2.1600 2.4024"),
    )
    for width, text in zip((10, 30, 50, 80, 105), texts.split(), strict=True)
]

# At a size that other cases have compiled.
INFINITE = [
    Case(
        "m = n < d without ridge: nothing is finite",
        {
            "dim": 150,
            "width": 100,
            "num_samples": n,
            "ridge": 0.0,
            "noise_std_real": 0.0,
            "noise_std_synthetic": 0.0,
            "synthetic_shift": 0.4,
            "shift_correlation": 0.5,
        },
        {
            "test_error": float("inf"),
            "bias": float("inf"),
            "synthetic_error": float("inf"),
            "variance": 0,
            "cross_error": float("nan"),
        },
    )
    for n in (99, 100, 101)
] + [
    Case(
        "n = d < m without ridge: the noise and the disagreement",
        {"dim": 150, "width": 250, "num_samples": 150, "ridge": 0.0},
        {
            "test_error": float("inf"),
            "bias": 0,
            "synthetic_error": float("inf"),
            "variance": float("inf"),
            "cross_error": 0,
        },
    ),
    Case(
        "one sample, two features: nothing is finite",
        {"dim": 150, "width": 2, "num_samples": 1, "ridge": 0.0, "synthetic_fraction": 0.0},
        {
            "test_error": float("inf"),
            "bias": float("inf"),
            "variance": float("inf"),
            "synthetic_error": 0,
        },
    ),
    Case(
        "n = d < m without ridge: a source without rows has no noise",
        {
            "dim": 150,
            "width": 250,
            "num_samples": 150,
            "ridge": 0.0,
            "synthetic_fraction": 0.0,
            "noise_std_real": 0.0,
            "noise_std_synthetic": 0.2,
        },
        {"test_error": 0, "variance": 0, "variance_inflation": float("inf")},
    ),
    Case(
        "m = n < d without ridge: no direction has both a teacher and a shift",
        {
            "dim": 6,
            "width": 4,
            "num_samples": 4,
            "ridge": 0.0,
            "teacher": (1.0, 0.0, 0.5, 0.0, 0.3, 0.0),
            "shift": (0.0, 0.4, 0.0, 0.2, 0.0, 0.1),
        },
        {"test_error": float("inf"), "synthetic_error": float("inf"), "cross_error": 0},
        slow=True,
    ),
    Case(
        "no active source",
        {
            "dim": 150,
            "width": 7,
            "num_samples": 30,
            "synthetic_fraction": 1.0,
            "weighting": "mixing",
            "mixing_weight": 0.0,
            "signal_variance": 1.7,
        },
        {"test_error": 1.7, "bias": 1.7, "plateau_error": 1.7, "kappa": float("inf"), "omega": 0},
        rtol=1e-12,
    ),
]


# All outputs against the independent program, at sizes that other cases have compiled: off special
# points, then on both sides of each edge in the samples and in the width.
WIDE = GENERIC | {"dim": 150, "width": 190}
NARROW = GENERIC | {"dim": 150, "width": 110}
PROGRAMMED = [
    *(
        Case(label, params, rtol=1e-10, program=reference.theory)
        for label, params in {
            "generic, wide": WIDE,
            "generic, narrow": NARROW,
            "generic, narrow, explicit": NARROW | EXPLICIT | {"width": 5},
            "generic, wide, mixing": WIDE | MIXED,
            "generic, narrow, mixing": NARROW | MIXED,
            "generic, narrow, power law": NARROW
            | STEEP
            | {"dim": 200, "shift_profile": "whitened"},
            "generic, wide, power law, mixing": WIDE | STEEP | MIXED,
            "no ridge, n < m < d": NARROW | {"num_samples": 70, "ridge": 0.0},
            "no ridge, n < d < m": WIDE | {"num_samples": 70, "ridge": 0.0},
            "no ridge, m < n < d": NARROW | {"num_samples": 130, "ridge": 0.0},
            "no ridge, m < d < n": NARROW | {"ridge": 0.0},
            "no ridge, d < n < m": WIDE | {"ridge": 0.0},
            "no ridge, d < m < n": WIDE | {"num_samples": 230, "ridge": 0.0},
            "no ridge, m < d < n, mixing": NARROW | MIXED | {"ridge": 0.0},
            "no ridge, d < m < n, mixing": WIDE | MIXED | {"num_samples": 230, "ridge": 0.0},
        }.items()
    ),
    *edges(NARROW, 110),
    *edges(WIDE, 150),
    *(
        case
        for width in (149, 150, 151)
        for case in edges(GENERIC | {"dim": 150, "width": width}, min(width, 150))
    ),
    *edges(NARROW | MIXED, 110)[::2],
    *edges(WIDE | MIXED, 150)[::2],
    *edges(NARROW | {"shift_correlation": 0.0}, 110)[1:4],
    *edges(NARROW | {"synthetic_shift": 0.0}, 110)[1:4],
    *edges(NARROW | {"synthetic_fraction": 0.0}, 110)[1:4],
]

CASES = [
    *TABLE, *PENALTIES, *OVER_PARAMETRISED, *PEAK, *UNDER_PARAMETRISED, *INFINITE, *PROGRAMMED
]  # fmt: skip


def without_spread(params, outputs):
    """t2 = t1^2: the projection keeps no spread (q = 0)."""
    if params.spectrum != "isotropic":
        return {}
    t1 = outputs["df1"] / params.dim
    n = params.num_samples
    u = outputs["df2"] / (n - outputs["df2"])
    noise = (
        1 - params.synthetic_fraction
    ) * params.noise_std_real**2 + params.synthetic_fraction * params.noise_std_synthetic**2
    return {
        "bias": (1 + u) * params.signal_variance * jnp.square(1 - t1),
        "variance": u * noise,
    }


MUTANTS = [
    Mutant(
        "no projection",  # so wide a model is the classical one, at penalty / gamma
        at=lambda p: {"width": 10**8, "ridge": p.ridge * 10**8 / p.dim},
    ),
    Mutant(
        "projection of variance 1/m",
        at=lambda p: {"ridge": p.ridge * p.dim / p.width},
    ),
    Mutant(
        "no spread from the projection",
        after=with_parts(without_spread),
        control={"width": 10**13},  # of which nothing is left in so wide a model
    ),
    parts("shift enters linearly in p2", linear_shift, outputs=("synthetic_error",)),
    parts("bias is not inflated", without_inflation, outputs=("bias",)),
    Mutant("noise of the sources swapped", at=swapped_noise),
    Mutant("weights ignored", at=lambda p: {"weighting": "uniform"}, slow=True),
    Mutant(
        "sign of the correlation",
        at=lambda p: {"shift_correlation": -p.shift_correlation},
        outputs=("cross_error",),
        slow=True,
    ),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={
        "narrow": {
            "dim": 64,
            "width": 32,
            "num_samples": 120,
            "synthetic_fraction": 0.3,
            "ridge": 0.05,
            "noise_std_real": 0.7,
            "noise_std_synthetic": 0.4,
            "signal_variance": 1.4,
            "shift_profile": "signal",
        },
        "wide": {
            "dim": 64,
            "width": 128,
            "num_samples": 110,
            "synthetic_fraction": 0.4,
            "ridge": 0.05,
            "spectrum": "power_law",
            "spectrum_exponent": 1.2,
            "weighting": "mixing",
            "mixing_weight": 0.2,
            "synthetic_shift": 1.2,
            "shift_correlation": -0.9,
            "noise_std_real": 0.4,
            "noise_std_synthetic": 0.2,
        },
    },
    ends={
        "narrow": {"dim": 12, "num_samples": 30, "width": 7, "ridge": 0.0},
        "wide, few samples": {"dim": 12, "num_samples": 8, "width": 20, "ridge": 0.0},
    },
    expected={
        "float32": (5e-5, "1 - df/n and its like lose the digits that n - df has less"),
        "other methods": (0.05, "they draw teacher, shift and noise, a hundredfold variance"),
        "no slope at ends": {
            "synthetic_shift": "the cross term is a square root of it",
            "synthetic_fraction: plateau_error": "any share of infinitely many samples has all "
            "its weight",
        },
    },
)
