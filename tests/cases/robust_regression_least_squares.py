"""``robust-regression.least-squares``: printed rows with Monte-Carlo means, and wrong laws."""

from tests.cases import Case, Mutant, Tests, times
from tests.cases.robust_regression import C0, C, G
from tests.references import robust_regression as reference

OFF = {
    "dim": 9, "spectrum_exponent": 0.9, "signal_exponent": 0.7, "covariance_scale": 1.4,
    "signal_scale": -0.8, "attack_radius": 0.6, "noise_std": 0.6, "num_samples": 30,
}  # fmt: skip
L = {
    "dim": 50, "spectrum_exponent": 1.0, "attack_norm": "lp", "attack_p": 3.0,
    "attack_radius": 0.1, "noise_std": 0.5, "num_samples": 150,
}  # fmt: skip
ROWS = [
    ("Euclidean", C | {"num_samples": 600}, 21.24799675, (21.374, 0.15)),
    ("autoregressive", G | {"num_samples": 150}, 2.513100537, (2.5224, 0.0055)),
    ("lp", L, 1.621901315, (1.62133, 0.00098)),
]
PROGRAMS = [
    ("off, linf", {"attack_norm": "linf"}, False),
    ("off, lp", {"attack_norm": "lp", "attack_p": 1.3}, False),
    ("off, mahalanobis", {"attack_norm": "mahalanobis", "attack_metric_exponent": -0.7}, True),
    ("off, ar1, l2", {"spectrum": "ar1", "correlation": -0.6}, True),
    ("off, ar1, lp", {"spectrum": "ar1", "attack_norm": "lp", "attack_p": 2.6}, True),
]
CASES = [
    *(
        Case(
            label,
            params,
            {"risk_least_squares": value},
            rtol=1e-9,
            monte_carlo={"risk_least_squares": monte_carlo},
            slow=label != "Euclidean",
        )
        for label, params, value, monte_carlo in ROWS
    ),
    *(
        Case(label, OFF | given, rtol=1e-8, program=reference.least_squares, slow=slow)
        for label, given, slow in PROGRAMS
    ),
    Case(
        "without noise it is the ground truth",
        OFF | {"attack_norm": "linf", "noise_std": 0.0, "signal": "harmonic"},
        {
            "risk_least_squares": (0.6 * 0.8 * 2.828968253968254) ** 2,
            "risk_ground_truth": (0.6 * 0.8 * 2.828968253968254) ** 2,
            "standard_risk_least_squares": 0.0,
        },
        rtol=1e-12,
    ),
]


def anew(cross, learned=True):
    """The risk from its two sizes, or from those of the ground truth."""

    def wrong(p, o):
        params = vars(p)
        s, b = reference.sizes_of_least_squares(params)
        problem = reference.Problem(params)
        exposed = p.attack_radius * (b if learned else problem.dual(problem.w0))
        return {"risk_least_squares": s**2 + 2 * cross * s * exposed + exposed**2}

    return wrong


STANDARD = "standard_risk_least_squares"
MUTANTS = [
    Mutant("fixed design", after=times(
        lambda p, o: (1 + p.dim / p.num_samples) * (p.num_samples - p.dim - 1)
        / (p.num_samples - 1), STANDARD)),
    Mutant("without the test label's noise", after=times(
        lambda p, o: p.dim / (p.num_samples - 1), STANDARD)),
    Mutant("training error", after=times(
        lambda p, o: (p.num_samples - p.dim) * (p.num_samples - p.dim - 1)
        / (p.num_samples * (p.num_samples - 1)), STANDARD)),
    Mutant("exposed like the ground truth", after=anew(C0, learned=False), control=anew(C0)),
    Mutant("as accurate as the ground truth", after=lambda p, o: {
        "risk_least_squares": o["risk_ground_truth"]}),
    Mutant("no cross term", after=anew(0.0), control=anew(C0)),
    Mutant("full cross term", after=anew(1.0), control=anew(C0)),
    Mutant("half of the samples", at=lambda p: {"num_samples": p.dim + 2 + p.num_samples // 4}),
    Mutant("covariance for its inverse", at=lambda p: {
        "spectrum_exponent": 0.2 * p.spectrum_exponent}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={
        "small": {
            "dim": 16, "spectrum_exponent": 0.6, "signal_exponent": 0.4, "covariance_scale": 0.8,
            "signal_scale": 1.3, "attack_radius": 0.3, "noise_std": 0.7, "num_samples": 48,
        }
    },
)  # fmt: skip
