"""``early-stopping``: printed rows with Monte-Carlo means, and wrong theories."""

import math

import numpy as np

from tests.cases import Case, Mutant, Tests, digits
from tests.cases.robust_regression import C0
from tests.references import early_stopping as reference

NAMES = ("risk_early_stopped", "risk_optimal", "suboptimality_ratio")
A = {"dim": 100, "spectrum": "isotropic", "signal": "dense", "signal_scale": 0.1,
     "attack_radius": 1.0}  # fmt: skip
B = {"times": (1.0, 10.0, 100.0, 1000.0)}
C = {
    "dim": 2, "spectrum": "isotropic", "signal": "custom", "signal_vector": (0.1, 1.0),
    "attack_norm": "mahalanobis", "attack_metric": "custom",
    "attack_metric_diagonal": (0.01, 100.0), "attack_radius": 1.0,
}  # fmt: skip
C_PLUS = C | {"preconditioner": "attack"}
D = {"dim": 100, "spectrum_exponent": 1.0, "signal": "harmonic", "attack_norm": "linf",
     "attack_radius": 0.15}  # fmt: skip
ROWS = [
    ("isotropic", A, "0.8989422804 0.8989422804 1", math.log(2), (0.8985, 0.0014)),
    ("power law", B, "0.0966988455 0.0936032893 1.033071020", 110.368, (0.09651, 0.00009)),
    ("plain descent fails", C, "0.9079317030 0.0356016745 25.5025", math.log(2), (0.90884, 0.0014)),
    ("its cure", C_PLUS, "0.0357618403 0.0356016745 1.004498829", 0.0461196, (0.035815, 0.000056)),
    ("linf", D, "0.227004854 0.18083413 1.255320854", 3.18353, (0.22698, 0.0002)),
]
PROXIES = {"power law": 0.0937806429, "plain descent fails": 0.0356016745, "linf": 0.181120025}


def _row(label, params, values, time, monte_carlo):
    expected = dict(zip(NAMES, map(float, values.split()), strict=True))
    if label in PROXIES:
        expected["risk_proxy_minimizer"] = PROXIES[label]
    slow = label in ("isotropic", "linf")
    return [
        Case(label, params, expected, rtol=2e-6 if "fails" in label else 2e-8,
             monte_carlo={"risk_early_stopped": monte_carlo}, slow=slow),
        Case(f"{label}: time", params, {"stopping_time": time}, rtol=5e-6, slow=slow),
    ]  # fmt: skip


_OFF = {
    "dim": 9, "spectrum_exponent": 0.9, "signal_exponent": 0.7, "covariance_scale": 1.4,
    "signal_scale": -0.8, "attack_radius": 0.8, "times": (0.3, 1.7, 12.0),
}  # fmt: skip
PROGRAMS = [
    ("off", {}, False),
    ("off, linf, whitened",
     {"attack_norm": "linf", "preconditioner": "whiten", "attack_radius": 0.3}, True),
    ("off, linf, whitened, better not trained",
     {"attack_norm": "linf", "preconditioner": "whiten"}, True),
    ("off, linf, matched", {"attack_norm": "linf", "preconditioner": "matched"}, False),
    ("off, lp", {"attack_norm": "lp", "attack_p": 3.0}, True),
    ("off, l1", {"attack_norm": "l1", "attack_radius": 1.6}, True),
    ("off, steps", {"step_size": 0.3}, False),
    ("off, overshooting steps", {"step_size": 1.3}, False),
    ("off, two overshooting steps", {"step_size": 0.9}, False),
    ("off, 96 steps", {"step_size": 0.01}, False),
    ("off, 87 steps", {"step_size": 0.011}, False),
    ("off, mahalanobis, steps", {"attack_norm": "mahalanobis", "preconditioner": "attack",
                                 "attack_metric_exponent": -0.5, "step_size": 0.4}, True),
]  # fmt: skip
CASES = [
    *(case for row in ROWS for case in _row(*row)),
    Case(
        "power law: path",
        B,
        {"risk_path": digits("0.458434534 0.143552272 0.0967537657 0.120143004")},
        rtol=1e-8,
    ),
    *(
        Case(label, _OFF | given, rtol=1e-8, program=reference.population, slow=slow)
        for label, given, slow in PROGRAMS
    ),
    Case(
        "matched, linf",
        D | {"preconditioner": "matched"},
        {"risk_early_stopped": 0.181003998},
        rtol=1e-8,
        slow=True,
    ),
    Case(
        "matched, linf: time",
        D | {"preconditioner": "matched"},
        {"stopping_time": 0.949866},
        rtol=2e-6,
        slow=True,
    ),
    Case(
        "never stop",
        _OFF | {"attack_radius": 0.01},
        {"stopping_time": math.inf, "suboptimality_ratio": 1.0},
        rtol=1e-12,
    ),
    Case(
        "never start",
        _OFF | {"attack_radius": 3.0},
        {"stopping_time": 0.0, "suboptimality_ratio": 1.0},
        rtol=1e-12,
    ),
    Case(
        "nothing to learn",
        _OFF | {"signal_scale": 0.0},
        {"risk_early_stopped": 0.0, "risk_optimal": 0.0, "suboptimality_ratio": 1.0,
         "stopping_time": 0.0, "risk_path": np.zeros(3)},
    ),
]  # fmt: skip


def path(cross):
    """The path's risk anew from its two sizes."""

    def wrong(p, o):
        a, exposed = np.sqrt(o["excess_risk_path"]), p.attack_radius * o["dual_norm_path"]
        return {"risk_path": a**2 + 2 * cross * a * exposed + exposed**2}

    return wrong


MUTANTS = [
    Mutant("no cross term", after=path(0.0), control=path(C0)),
    Mutant("Cauchy-Schwarz in place of the mean", after=path(1.0), control=path(C0)),
    Mutant("c0 = sqrt(pi/2)", after=path(np.sqrt(np.pi / 2)), control=path(C0)),
    Mutant("twice the gradient", at=lambda p: {"times": 2 * np.asarray(p.times),
                                               "step_size": 2 * p.step_size}),
    Mutant("squared attack radius", at=lambda p: {"attack_radius": p.attack_radius**2}),
    Mutant("proxy's guarantee as its risk", after=lambda p, o: {
        "risk_proxy_minimizer": 2 / (1 + C0) * o["risk_proxy_minimizer"]}),
    Mutant("early stopping's guarantee as its risk", after=lambda p, o: {
        "risk_early_stopped": 1.6859 * o["risk_early_stopped"]}),
    Mutant("the optimum at the least risk", after=lambda p, o: {
        "risk_optimal": o["risk_ground_truth"]}),
    Mutant("never stopped", after=lambda p, o: {"risk_early_stopped": o["risk_ground_truth"]}),
    Mutant("error decays with the rate, not twice", after=lambda p, o: {
        "excess_risk_path": o["excess_risk_path"] ** 0.5}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "jumps": {"step_size": "times are rounded to whole steps"},
        "no slope at ends": {"step_size": "times are rounded to whole steps"},
    },
)
