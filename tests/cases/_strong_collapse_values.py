"""Reference values of ``strong-collapse``: the dossier's table and its figures' numbers."""

from decimal import Decimal

from tests.cases import Case
from tests.references import strong_collapse as reference


def printed(label, params, output, text, slow=False):
    """A case right to the last printed digit."""
    half_unit = 0.5 * 10.0 ** Decimal(text).as_tuple().exponent
    expected = {output: float(text)}
    return Case(label, params, expected, rtol=1e-12, atol=1.001 * half_unit, slow=slow)


def table(label, params, theory_values, monte_carlo, slow=False):
    """A row of the dossier's table: five errors to eight decimals, with Monte-Carlo values."""
    names = ("test_error", "bias", "variance", "synthetic_error", "cross_error")
    return Case(
        label,
        params,
        dict(zip(names, theory_values, strict=False)),
        rtol=0,
        atol=6e-9,
        monte_carlo=dict(zip(names, monte_carlo, strict=False)),
        slow=slow,
    )


SMALL_NOISE = {"noise_std_real": 0.1, "noise_std_synthetic": 0.1}
A = {"dim": 150, "num_samples": 450}
B = {
    "dim": 200,
    "num_samples": 100,
    "synthetic_fraction": 0.4,
    "ridge": 0.01,
    "synthetic_shift": 1.0,
} | SMALL_NOISE
C = {
    "dim": 150,
    "num_samples": 300,
    "synthetic_fraction": 0.1,
    "ridge": 0.001,
    "spectrum": "power_law",
    "shift_profile": "isotropic",
} | SMALL_NOISE
H = {
    "dim": 100,
    "num_samples": 200,
    "synthetic_fraction": 0.5,
    "ridge": 0.05,
    "spectrum": "power_law",
    "spectrum_exponent": 1.0,
    "shift_profile": "signal",
    "shift_correlation": -0.8,
}
TABLE = [
    table(
        "A",
        A,
        (0.14955321, 0.02058927, 0.08598721, 0.04297673, 0),
        ((0.15039, 7e-4), (0.02068, 1.3e-4), (0.08570, 5e-4), (0.04388, 4e-4)),
    ),
    table(
        "B",
        B,
        (0.81896955, 0.50009431, 0.00961716, 0.30925807, 0),
        ((0.81717, 3.7e-3), (0.4975, 2.1e-3), (0.00978, 1e-4), (0.30991, 2.9e-3)),
        slow=True,  # as A at another size, which is another program
    ),
    table(
        "C",
        C,
        (0.01790958, 0.00061670, 0.00230520, 0.01498768, 0),
        ((0.01799, 2e-4), (0.000617, 3e-6), (0.002316, 2e-5), (0.01507, 2e-4)),
    ),
    table(
        "H",
        H,
        (0.20876750, 0.03240921, 0.01866358, 0.10857067, 0.04912404),
        ((0.20583, 3.7e-3), (0.03284, 2e-4), (0.01859, 2e-4), (0.10525, 3.1e-3), (0.04915, 8e-4)),
    ),
]
KAPPA = [
    printed(f"kappa {label}", params, "kappa", text, slow=label == "B")
    for label, params, text in (
        ("A", A, "0.14125797"),
        ("B", B, "1.01980579"),
        ("C", C, "0.00139929"),
        ("H", H, "0.05957287"),
    )
]

PLATEAU = {"dim": 100, "ridge": 0.0, "synthetic_shift": 1.0} | SMALL_NOISE
PLATEAU_ERRORS = {
    0.0: (".00111235", ".00010102", "1.00101e-5", "1.0001e-6"),
    0.001: (".00122535", ".000112211", "1.20201e-5", "2.10101e-6"),
    0.01: (".00232232", ".00030201", ".000120019", ".000102"),
    0.1: (".021203", ".0110191", ".010101", ".0100101"),
    0.5: (".279142", ".252651", ".250263", ".250026"),
}
PLATEAUS = [
    printed(
        f"plateau n = {n}, p2 = {p2}",
        PLATEAU | {"num_samples": n, "synthetic_fraction": p2},
        "test_error",
        text,
    )
    for p2, texts in PLATEAU_ERRORS.items()
    for n, text in zip((10**3, 10**4, 10**5, 10**6), texts, strict=True)
] + [
    Case(
        f"floor p2 = {p2}",
        PLATEAU | {"synthetic_fraction": p2},
        {"plateau_error": p2**2},
        rtol=1e-12,
    )
    for p2 in PLATEAU_ERRORS
]

MIXING = {
    "dim": 100,
    "synthetic_fraction": 0.5,
    "weighting": "mixing",
    "ridge": 0.0,
    "noise_std_real": 1.0,
    "noise_std_synthetic": 0.5,
    "synthetic_shift": 1.0,
}
MIXING_ERRORS = [
    printed(
        f"mixing n = {n}, alpha = {alpha}",
        MIXING | {"num_samples": n, "mixing_weight": alpha},
        "test_error",
        text,
    )
    for n, alpha, text in (
        (2000, 0.083485, "0.100151"),
        (20000, 0.0097828, "0.01000024"),
        (200000, 0.00099776, "0.00100000"),
        (2000, 0.5, "0.296053"),
        (20000, 0.5, "0.254397"),
        (200000, 0.5, "0.250438"),
    )
]

LEAST_SQUARES = Case(
    "exact least squares by hand",
    {
        "dim": 3,
        "num_samples": 8,
        "synthetic_fraction": 0.25,
        "ridge": 0.0,
        "noise_std_real": 0.6,
        "noise_std_synthetic": 1.2,
        "synthetic_shift": 1.4,
        "spectrum": "power_law",
        "shift_correlation": 0.3,
    },
    {
        # sigma^2 = .75 .36 + .25 1.44 = .63;  D = 5 6/(10 4) = .75;  n1 = 6, n2 = 2
        "variance": 0.63 * 3 / 4,
        "synthetic_error": 1.4 * (2 * 1 + 6 * 2 * 0.75) / (8 * 7),
        "bias": 0,
        "cross_error": 0,
    },
    rtol=1e-13,
)

# At a size that other cases have compiled.
INFINITE = [
    Case(
        "as many real samples as features, up to rounding; the others have no weight",
        MIXING | {"num_samples": 1000, "synthetic_fraction": 0.9, "mixing_weight": 0.0},
        {
            "variance": float("inf"),
            "synthetic_error": 0,
            "cross_error": 0,
            "kappa": 0,
            "omega": 0,
            "variance_inflation": float("inf"),
        },
        atol=0,
    ),
]
INFINITE += [
    Case(
        "noise at n = d without ridge",
        {"dim": 100, "num_samples": n, "ridge": 0.0, "synthetic_shift": 0.0},
        {
            "variance": float("inf"),
            "test_error": float("inf"),
            "synthetic_error": 0,
            "cross_error": 0,
        },
    )
    for n in (99, 100, 101)
] + [
    Case(
        "disagreeing sources at n = d without ridge",
        {
            "dim": 100,
            "num_samples": 100,
            "ridge": 0.0,
            "noise_std_real": 0.0,
            "noise_std_synthetic": 0.0,
        },
        {"variance": 0, "bias": 0, "synthetic_error": float("inf"), "test_error": float("inf")},
    ),
    Case(
        "one synthetic source, noise-free, at n = d without ridge",
        {
            "dim": 100,
            "num_samples": 100,
            "ridge": 0.0,
            "synthetic_fraction": 1.0,
            "noise_std_synthetic": 0.0,
            "synthetic_shift": 0.7,
            "shift_correlation": 0.5,
        },
        {"variance": 0, "bias": 0, "cross_error": 0, "synthetic_error": 0.7, "test_error": 0.7},
        rtol=1e-12,
    ),
    Case(
        "no active source",
        {
            "dim": 100,
            "num_samples": 30,
            "synthetic_fraction": 0.0,
            "weighting": "mixing",
            "mixing_weight": 1.0,
            "signal_variance": 1.7,
        },
        {
            "test_error": 1.7,
            "bias": 1.7,
            "plateau_error": 1.7,
            "variance": 0,
            "synthetic_error": 0,
            "cross_error": 0,
            "kappa": float("inf"),
            "df1": 0,
            "df2": 0,
            "omega": 0,
            "variance_inflation": 0,
        },
        rtol=1e-12,
    ),
]


# All outputs against the independent program, at sizes that other cases have compiled: off special
# points, then on both sides of each edge.
GENERIC = {
    "dim": 100,
    "num_samples": 180,
    "synthetic_fraction": 0.25,
    "ridge": 0.06,
    "noise_std_real": 0.6,
    "noise_std_synthetic": 0.35,
    "signal_variance": 1.7,
    "synthetic_shift": 0.8,
    "shift_correlation": 0.3,
}
#: Arrays in place of the named spectrum, and of the law of teacher and shift.
EXPLICIT = {
    "dim": 8,
    "num_samples": 21,
    "eigenvalues": (2.3, 1.7, 1.1, 0.9, 0.4, 0.25, 0.1, 0.03),
    "teacher": (0.4, -0.9, 0.2, 1.1, -0.3, 0.6, 0.8, -1.2),
    "shift": (0.1, 0.5, -0.4, 0.2, 0.3, -0.2, -0.7, 0.9),
}
MIXED = {"weighting": "mixing", "mixing_weight": 0.4}
STEEP = {
    "spectrum": "power_law",
    "spectrum_exponent": 1.2,
    "source_exponent": 0.4,
    "shift_profile": "signal",
}


def amplified(**params):
    """Where as many samples are active as there are directions: all but what is 0 or infinite."""
    values = reference.theory(**params)
    return {name: values[name] for name in values if name not in ("omega", "variance_inflation")}


def edges(generic, ranks, share=1.0):
    """Without ridge, with active samples two to none above or below what can be fitted.

    A share of the samples is active.
    """
    return [
        Case(
            f"without ridge, {ranks + gap} active samples for {ranks} directions",
            generic | {"num_samples": round((ranks + gap) / share), "ridge": 0.0},
            rtol=1e-10,
            program=reference.theory if gap else amplified,
        )
        for gap in (-2, -1, 0, 1, 2)
    ]


PROGRAMMED = [
    *(
        Case(label, GENERIC | params, rtol=1e-10, program=reference.theory)
        for label, params in {
            "generic": {},
            "generic, power law": STEEP,
            "generic, mixing": MIXED,
            "generic, explicit": EXPLICIT,
            "generic, explicit, mixing": EXPLICIT | MIXED,
            "generic, power law, mixing": STEEP | MIXED,
            "generic, shift like the inputs": STEEP | {"dim": 150, "shift_profile": "isotropic"},
            "few samples without ridge": {"num_samples": 60, "ridge": 0.0},
            "few weighted samples without ridge": MIXED | {"num_samples": 60, "ridge": 0.0},
            "weighted least squares": MIXED | {"num_samples": 360, "ridge": 0.0},
            "no synthetic sample": MIXED | {"synthetic_fraction": 0.0},
            "no shift to correlate with": {"synthetic_shift": 0.0},
            "only synthetic samples": {"synthetic_fraction": 1.0},
            "synthetic samples without weight": MIXED | {"mixing_weight": 0.0},
            "real samples without weight": MIXED | {"mixing_weight": 1.0},
        }.items()
    ),
    *edges(GENERIC, 100),
    *edges(GENERIC | STEEP, 100),
    *edges(GENERIC | MIXED, 100),
    *edges(GENERIC | MIXED | {"mixing_weight": 0.0}, 100, share=0.75)[::4],
]

CASES = [*TABLE, *KAPPA, *PLATEAUS, *MIXING_ERRORS, LEAST_SQUARES, *INFINITE, *PROGRAMMED]
