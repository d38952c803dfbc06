"""``early-stopping.finite-sample``: printed rows with Monte-Carlo means, and wrong laws."""

import numpy as np

from tests.cases import Case, Mutant, Tests, digits
from tests.cases.robust_regression import C0
from tests.references import early_stopping as reference

NAMES = ("excess_risk_path", "dual_norm_path", "risk_path")
E = {
    "dim": 200, "spectrum": "isotropic", "signal": "sparse", "sparsity": 20,
    "signal_scale": 20**-0.5, "attack_norm": "linf", "attack_radius": 0.15, "noise_std": 0.5,
    "num_samples": 400, "times": (0.3, 1.0, 4.0),
}  # fmt: skip
F = {
    "dim": 200, "spectrum_exponent": 1.0, "attack_radius": 0.2, "noise_std": 0.5,
    "num_samples": 100, "times": (0.5, 5.0, 50.0),
}  # fmt: skip
G = F | {"attack_norm": "linf", "attack_radius": 0.05, "num_samples": 400}
ROWS = {
    "isotropic": (E, (
        "0.602376556 0.307931996 0.182161530", "2.83572043 5.71032172 8.01675385",
        "1.31012180 1.80009594 2.44720734")),
    "few samples": (F, (
        "1.56876104 0.514797487 0.291132150", "0.497891387 1.85571333 3.77638863",
        "1.77770436 1.07748587 1.51188867")),
    "many samples": (G, (
        "1.55695206 0.445395458 0.120650784", "1.87173272 11.0265604 38.3034649",
        "1.75205714 1.33651338 4.85009605")),
}  # fmt: skip
OFF = {
    "dim": 14, "spectrum_exponent": 0.9, "signal_exponent": 0.7, "covariance_scale": 1.4,
    "signal_scale": -0.8, "attack_radius": 0.8, "noise_std": 0.5, "num_samples": 33,
    "times": (0.3, 2.1, 30.0),
}  # fmt: skip
PROGRAMS = [
    ("off", {}, False),
    ("off, nothing to learn", {"signal_scale": 0.0}, False),
    ("off, few samples, linf", {"num_samples": 9, "attack_norm": "linf"}, True),
    ("off, lp", {"attack_norm": "lp", "attack_p": 3.0}, True),
    ("off, l1", {"attack_norm": "l1", "attack_radius": 1.6}, True),
    ("off, mahalanobis, steps", {"attack_norm": "mahalanobis", "preconditioner": "attack",
                                 "attack_metric_exponent": -0.5, "step_size": 0.15}, True),
    ("off, whitened, steps", {"preconditioner": "whiten", "step_size": 0.3}, True),
    ("off, times between steps", {"step_size": 0.4, "times": (0.9, 2.1, 5.1)}, True),
    ("off, overshooting steps", {"preconditioner": "whiten", "step_size": 0.6,
                                 "times": (0.6, 3.0, 30.0)}, True),
]  # fmt: skip
CASES = [
    *(
        Case(
            label,
            params,
            {name: digits(row) for name, row in zip(NAMES, rows, strict=True)},
            rtol=1e-7,
            slow=label != "few samples",
        )
        for label, (params, rows) in ROWS.items()
    ),
    *(
        Case(label, OFF | given, rtol=1e-7, program=reference.finite_sample, slow=slow)
        for label, given, slow in PROGRAMS
    ),
    Case(
        "at once",
        OFF | {"times": (0.0,)},
        {
            "dual_norm_path": np.zeros(1),
            "risk_path": 1.4 * 0.64 * np.sum(np.arange(1, 15.0) ** -1.6, keepdims=True),
        },
        rtol=1e-12,
    ),
]  # fmt: skip


def anew(cross):
    """The risk from its two sizes."""

    def wrong(p, o):
        a, exposed = np.sqrt(o["excess_risk_path"]), p.attack_radius * o["dual_norm_path"]
        return {"risk_path": a**2 + 2 * cross * a * exposed + exposed**2}

    return wrong


MUTANTS = [
    Mutant("no cross term", after=anew(0.0), control=anew(C0)),
    Mutant("Cauchy-Schwarz in place of the mean", after=anew(1.0), control=anew(C0)),
    Mutant("infinitely many samples", at=lambda p: {"num_samples": 10**9}),
    Mutant("no label noise", at=lambda p: {"noise_std": 0.0}),
    Mutant("sum for mean of the loss", at=lambda p: {"times": 2 * np.asarray(p.times)}),
    Mutant("noisy targets", after=lambda p, o: {
        "excess_risk_path": o["excess_risk_path"] + p.noise_std**2}),
    Mutant("squared attack radius", at=lambda p: {"attack_radius": p.attack_radius**2}),
    Mutant("norm of the mean", after=lambda p, o: {"dual_norm_path": o["dual_norm_path"] * 0.8}),
    Mutant("signal exponent of w0, not of its square", at=lambda p: {
        "signal_exponent": 2 * p.signal_exponent,
        "sparsity": 2 * p.sparsity}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={
        "small": {
            "dim": 16, "spectrum_exponent": 0.6, "signal_exponent": 0.4, "covariance_scale": 1.2,
            "signal_scale": 0.8, "attack_radius": 0.3, "noise_std": 0.6, "num_samples": 32,
            "times": (0.7, 3.0),
        }
    },
    expected={
        "float32": (1e-3, "sums along a contour on which terms exceed their sum"),
        "jumps": {"step_size": "times are rounded to whole steps"},
        "no slope at ends": {"step_size": "times are rounded to whole steps"},
    },
)  # fmt: skip
