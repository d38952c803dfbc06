"""``strong-collapse``: reference values, and wrong theories."""

from tests.cases import Mutant, Tests
from tests.cases._strong_collapse_values import CASES


def summed(outputs):
    """The test error of altered parts."""
    parts = ("bias", "variance", "synthetic_error", "cross_error")
    return outputs | {"test_error": sum(outputs[name] for name in parts)}


def with_parts(change):
    """Some parts replaced, and their sum with them."""
    return lambda p, o: summed({**o, **change(p, o)})


def parts(name, change, right=lambda params, outputs: {}, **others):
    """A mutant of some parts; the control is their sum, and parts that are computed anew."""
    return Mutant(name, after=with_parts(change), control=with_parts(right), **others)


def swapped_noise(params):
    return {
        "noise_std_real": params.noise_std_synthetic,
        "noise_std_synthetic": params.noise_std_real,
    }


def finite_least_squares(limit):
    """The errors of least squares: exact, or with d/(n - d) for d/(n - d - 1), the limit."""

    def parts(params, outputs):
        n, d, p2 = params.num_samples, params.dim, params.synthetic_fraction
        noise = (1 - p2) * params.noise_std_real**2 + p2 * params.noise_std_synthetic**2
        if limit:
            share = diagonal = d / (n - d)
            same, others = p2**2, p2 * (1 - p2)
        else:
            share = d / (n - d - 1)
            diagonal = (d + 2) * (n - 2) / ((n + 2) * (n - d - 1))
            same, others = p2 * (n * p2 - 1) / (n - 1), n * p2 * (1 - p2) / (n - 1)
        found = {
            "variance": noise * share,
            "synthetic_error": params.synthetic_shift * (same + others * diagonal),
        }
        here = params.ridge == 0 and params.weighting == "uniform" and n >= d + 2
        return found if here else {}

    return parts


def without_disagreement(params, outputs):
    if params.weighting != "uniform":
        return {}
    mixed = params.synthetic_fraction * (1 - params.synthetic_fraction)
    lost = mixed * outputs["variance_inflation"] * params.synthetic_shift
    return {"synthetic_error": outputs["synthetic_error"] - lost}


def linear_shift(params, outputs):
    return {"synthetic_error": outputs["synthetic_error"] / params.synthetic_fraction}


def without_inflation(params, outputs):
    return {"bias": outputs["bias"] / (1 + outputs["variance_inflation"])}


MUTANTS = [
    parts("shift enters linearly in p2", linear_shift, outputs=("synthetic_error",)),
    parts(
        "sources do not disagree (no p1 p2 u)",
        without_disagreement,
        outputs=("synthetic_error",),
    ),
    parts("bias is not inflated", without_inflation, outputs=("bias",)),
    Mutant("noise of the sources swapped", at=swapped_noise),
    Mutant("penalty on the summed loss", at=lambda p: {"ridge": p.ridge / 2}),
    Mutant(
        "sign of the correlation",
        at=lambda p: {"shift_correlation": -p.shift_correlation},
        outputs=("cross_error",),
        slow=True,
    ),
    Mutant("weights ignored", at=lambda p: {"weighting": "uniform"}, slow=True),
    Mutant("profile ignored", at=lambda p: {"shift_profile": "whitened"}, slow=True),
    parts(
        "limit for finite least squares",
        finite_least_squares(limit=True),
        finite_least_squares(limit=False),
    ),
]

#: At an end of the mixing weight, that is, if those that are left are fewer than the features.
ABSENT = "rows of weight 0 are absent: of the fit of smallest norm, too"

WITHOUT_THEM = ("test_error", "synthetic_error", "variance", "variance_inflation", "omega")

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={
        "small": {
            "dim": 32,
            "num_samples": 80,
            "synthetic_fraction": 0.3,
            "ridge": 0.15,
            "noise_std_real": 0.6,
            "noise_std_synthetic": 0.4,
            "signal_variance": 1.4,
            "synthetic_shift": 0.8,
        },
        "least squares": {
            "dim": 12,
            "num_samples": 24,
            "synthetic_fraction": 0.375,
            "ridge": 0.0,
            "spectrum": "power_law",
            "noise_std_real": 0.3,
            "noise_std_synthetic": 0.7,
            "synthetic_shift": 1.3,
        },
        "mixing": {
            "dim": 96,
            "num_samples": 240,
            "synthetic_fraction": 0.4,
            "ridge": 0.02,
            "spectrum": "power_law",
            "spectrum_exponent": 1.2,
            "source_exponent": 0.15,
            "shift_profile": "signal",
            "shift_correlation": -0.9,
            "weighting": "mixing",
            "mixing_weight": 0.25,
            "noise_std_real": 0.3,
            "noise_std_synthetic": 0.2,
        },
    },
    ends={
        "least squares": {"dim": 10, "num_samples": 30, "ridge": 0.0},
        "double root": {
            "dim": 12,
            "num_samples": 24,
            "synthetic_fraction": 0.375,
            "ridge": 0.02,
        },
        "few samples": {
            "dim": 12,
            "num_samples": 8,
            "ridge": 0.0,
            "shift_correlation": 0.4,
        },
        "mixed": {"dim": 12, "num_samples": 40, "ridge": 0.0, "weighting": "mixing"},
    },
    expected={
        "float32": (5e-5, "1 - df/n and its like lose the digits that n - df has less"),
        "other methods": (0.05, "they draw teacher, shift and noise, a hundredfold variance"),
        "jumps at ends": {
            "ridge": "exact without, asymptotic with ridge",
            "mixing_weight": ABSENT,
        },
        "no slope at ends": {
            "synthetic_shift": "the cross term is a square root of it",
            "synthetic_fraction: plateau_error": "any share of infinitely many samples has all "
            "its weight",
        }
        | {f"mixing_weight: {output}": ABSENT for output in WITHOUT_THEM},
    },
)
