"""Reference values of arXiv 1903.08560 (see the study) and wrong versions of its theory."""

from tests.cases import Case, Mutant, Tests
from tests.references import ridge_regression as reference

GENERIC = {
    "dim": 20,
    "num_samples": 31,
    "ridge": 0.07,
    "noise_std": 0.6,
    "signal_variance": 1.7,
}
STEEP = {"spectrum": "power_law", "spectrum_exponent": 1.2, "source_exponent": 0.4}
EXPLICIT = {
    "dim": 6,
    "eigenvalues": (2.1, 1.4, 0.8, 0.3, 0.1, 0.02),
    "teacher": (0.5, -1.1, 0.3, 0.9, -0.7, 1.6),
}
PROGRAMMED = {
    "generic": GENERIC,
    "generic, power law": GENERIC | STEEP,
    "generic, explicit": GENERIC | EXPLICIT,
    "generic, explicit, few samples": GENERIC | EXPLICIT | {"num_samples": 4, "ridge": 0.001},
    "few samples, power law": GENERIC | STEEP | {"num_samples": 9, "ridge": 0.003},
    **{
        f"without ridge, n - d = {n - 20}": GENERIC | {"num_samples": n, "ridge": 0.0}
        for n in (11, 18, 19, 20, 21, 22, 40)
    },
    **{
        f"without ridge, power law, n - d = {n - 20}": GENERIC
        | STEEP
        | {"num_samples": n, "ridge": 0.0}
        for n in (11, 18, 19, 20, 22)
    },
    "without noise, at the threshold": GENERIC
    | {"num_samples": 20, "ridge": 0.0, "noise_std": 0.0},
}
CASES = [
    Case(
        "by hand: least squares",
        {"dim": 10, "num_samples": 21, "ridge": 0.0, "noise_std": 0.5},
        {"bias": 0.0, "variance": 0.25, "train_error": 0.25 * 11 / 21, "kappa": 0.0, "df1": 10.0},
    ),
    Case(
        "by hand: isotropic interpolation",
        {"dim": 21, "num_samples": 10, "ridge": 0.0, "noise_std": 0.5, "signal_variance": 2.1},
        {"bias": 1.1, "variance": 0.25, "train_error": 0.0, "df1": 10.0},
    ),
    *(
        Case(label, params, rtol=1e-10, atol=1e-13, program=reference.theory)
        for label, params in PROGRAMMED.items()
    ),
]


def _with_parts(change):
    def new(params, outputs):
        parts = {name: outputs[name] for name in ("bias", "variance")} | change(params, outputs)
        return parts | {"test_error": parts["bias"] + parts["variance"]}

    return new


def _parts(name, change, right=lambda params, outputs: {}, **others):
    """A mutant of bias or variance; the control is their sum, and a part that is computed anew."""
    return Mutant(name, after=_with_parts(change), control=_with_parts(right), **others)


def _variance_with(df):
    def variance(params, outputs):
        return {"variance": params.noise_std**2 * outputs[df] / (params.num_samples - outputs[df])}

    return variance


def _left(params, outputs):
    return 1 - outputs["df1"] / params.num_samples


def _train_error(noise):
    """By the test error, ``noise`` times the noise of the labels added."""

    def train_error(params, outputs):
        inflated = outputs["test_error"] + noise * params.noise_std**2
        return {"train_error": _left(params, outputs) ** 2 * inflated}

    return train_error


MUTANTS = [
    _parts(
        "bias without 1/(1 - df2/n)",
        lambda p, o: {"bias": o["bias"] * (1 - o["df2"] / p.num_samples)},
    ),
    _parts(
        "df1 in place of df2 in the variance",
        _variance_with("df1"),
        _variance_with("df2"),
    ),
    _parts("noise level not squared", lambda p, o: {"variance": o["variance"] / p.noise_std}),
    Mutant(
        "the noise of new labels counted in the test error",
        after=lambda p, o: {"test_error": o["test_error"] + p.noise_std**2},
    ),
    Mutant(
        "train error without the labels' own noise",
        after=_train_error(0),
        control=_train_error(1),
    ),
    Mutant(
        "train error with 1 - df1/n to the first power",
        after=lambda p, o: {"train_error": o["train_error"] / _left(p, o)},
    ),
    Mutant("penalty of the sum of squares", at=lambda p: {"ridge": p.ridge / p.num_samples}),
    _parts(
        "n - d in place of the exact n - d - 1",
        lambda p, o: {
            "variance": o["variance"] * (p.num_samples - p.dim - 1) / (p.num_samples - p.dim)
        },
        cells=[{"dim": 12, "num_samples": 17, "ridge": 0.0, "noise_std": 0.6}],
    ),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={
        "many samples": {  # the first of the study's own: control variates say nearly all there
            "dim": 32,
            "num_samples": 640,
            "ridge": 0.07,
            "noise_std": 0.7,
            "signal_variance": 1.6,
        },
        "power law, few samples": {
            "dim": 96,
            "num_samples": 40,
            "ridge": 0.02,
            "noise_std": 0.4,
            "spectrum": "power_law",
            "spectrum_exponent": 1.2,
            "source_exponent": 0.4,
            "signal_variance": 1.6,
        },
        "least squares": {"dim": 40, "num_samples": 90, "ridge": 0.0, "noise_std": 0.8},
    },
    ends={
        "few samples": {"dim": 10, "num_samples": 6},
        "power law": {"dim": 10, "num_samples": 30, "spectrum": "power_law"},
    },
    expected={
        "other methods": (0.05, "they draw the noise, a hundredfold variance"),
        "jumps at ends": {"ridge": "exact without one, asymptotic with it"},
        "no slope at ends": {
            "ridge: train_error": "the square of the ridge where n < d: differences are rounding"
        },
    },
)
