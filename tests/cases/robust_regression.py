"""``robust-regression``: rows of independent programs, and wrong theories.

Monte-Carlo means are of 200,000 attacked samples.
"""

import numpy as np

from tests.cases import Case, Mutant, Tests, times
from tests.references import robust_regression as reference

C0 = np.sqrt(2 / np.pi)
NAMES = (
    *("risk_ground_truth", "risk_null", "risk_optimal", "free_lunch_threshold"),
    *("dual_norm_optimal", "risk_proxy_minimizer", "risk_proximal", "risk_shrinkage"),
    *("radius_low", "radius_high"),
)
POWER = {"dim": 200, "signal_exponent": 0.5, "attack_radius": 0.1}
B = POWER | {"excess_error_budget": 0.05}
C = POWER | {"signal_exponent": 1.5, "noise_std": 0.5}
D = {
    "dim": 100, "spectrum": "isotropic", "covariance_scale": 0.01, "signal": "sparse",
    "attack_norm": "linf", "attack_radius": 0.03,
}  # fmt: skip
E = {
    "dim": 200, "spectrum": "isotropic", "signal": "harmonic", "attack_norm": "linf",
    "attack_radius": 0.2, "excess_error_budget": 0.2,
}  # fmt: skip
F = {
    "dim": 50, "spectrum_exponent": 1.0, "signal": "dense", "attack_norm": "l1",
    "attack_radius": 1.0, "noise_std": 0.2,
}  # fmt: skip
G = {
    "dim": 50, "spectrum": "ar1", "signal": "harmonic", "attack_norm": "linf",
    "attack_radius": 0.3, "noise_std": 0.2,
}  # fmt: skip
H = {
    "dim": 100, "spectrum_exponent": 1.5, "attack_norm": "mahalanobis", "attack_radius": 0.5,
    "noise_std": 0.1,
}  # fmt: skip
I = {
    "dim": 100, "spectrum_exponent": 1.0, "attack_norm": "lp", "attack_p": 3.0,
    "attack_radius": 0.3, "noise_std": 0.3,
}  # fmt: skip
J = {
    "dim": 50, "spectrum": "ar1", "correlation": -0.7, "signal": "sparse", "attack_norm": "l1",
    "attack_radius": 0.5, "noise_std": 0.2,
}  # fmt: skip
K = {
    "dim": 20, "spectrum": "ar1", "signal": "harmonic", "attack_norm": "lp", "attack_p": 3.0,
    "attack_radius": 0.5, "noise_std": 0.2,
}  # fmt: skip
ROWS = [
    ("isotropic", {"dim": 100, "spectrum": "isotropic", "signal": "dense", "signal_scale": 0.1,
                   "attack_radius": 1.0},
     "1 1 0.8989422804 0.5 0.5 nan 0.8989422804 0.8989422804 0.7978845608 1.253314137",
     (0.89856, 0.0014)),
    ("power law", B,
     "0.2685925735 1.341252437 0.09360328932 0.1011569231 2.190965916 0.0937806429 0.09640462007 "
     "0.2685925735 0.008665925739 1.111400775", (0.093441, 0.000091)),
    ("free lunch", C,
     "0.4001374019 1.376733165 0.3692058118 0.09383570188 1.186510735 0.3693639347 0.3746842071 "
     "0.3947376216 0.02883180113 1.081534357", (0.36922, 0.00098)),
    ("sparse", D,
     "0.09 0.1 0.08469952154 0.1171645192 6.294932585 0.09 0.08511056958 0.08469952154 "
     "0.02523132522 0.03963327298", (0.084796, 0.00010)),
    ("harmonic", E,
     "1.382049913 1.639946546 0.6019222436 0.3845744564 2.167726173 0.6019871896 0.6023914724 "
     "1.329264484 0.05641895835 0.9786898681", (0.60060, 0.00090)),
    ("l1", F,
     "1.359153824 4.539205338 1.295389725 0.1280552763 0.9396288331 1.296815052 1.425413417 "
     "1.295389725 1.692419297 2.646706831", (1.29552, 0.00077)),
    ("ar1, linf", G,
     "2.292637958 3.269646715 1.509882574 0.5535452665 2.356090909 1.510299262 1.512570949 "
     "2.041177049 0.1916456725 0.960870766", (1.50912, 0.0022)),
    ("mahalanobis", H,
     "0.7371573547 1.6449839 0.6750607306 0.127397596 1.373153115 0.6773760928 0.7361691216 "
     "0.6941248039 0.5441685828 1.131527868", (0.67477, 0.00038)),
    ("lp", I,
     "8.85770777 2.502874099 1.723852936 0.8892993148 1.453208077 1.728837642 1.773929683 "
     "2.502874099 0.05639063324 0.8182261278", (1.72035, 0.0038)),
    ("ar1, l1", J,
     "0.4495769122 2.275451026 0.4316288097 0.08174126482 0.9431099119 0.4317656828 0.4431660528 "
     "0.4330275499 1.146422784 3.258069816", None),
    ("ar1, lp", K,
     "1.010170343 3.178237332 0.9514093533 0.1319943713 1.546899209 0.9524661085 1.023230646 "
     "0.955823735 0.8100197358 1.363396671", None),
]  # fmt: skip
CONSTRAINED = {"power law": 0.1088975551, "harmonic": 0.7118460539}


def _row(label, params, values, monte_carlo):
    expected = dict(zip(NAMES, map(float, values.split()), strict=True))
    expected = {name: value for name, value in expected.items() if not np.isnan(value)}
    if label in CONSTRAINED:
        expected["risk_constrained"] = CONSTRAINED[label]
    means = {} if monte_carlo is None else {"risk_optimal": monte_carlo}
    slow = label not in ("power law", "l1")  # every norm is a program
    return Case(label, params, expected, rtol=1e-9, monte_carlo=means, slow=slow)


_OFF = {
    "covariance_scale": 1.7, "signal_scale": -0.8, "noise_std": 0.25, "attack_radius": 0.4,
    "spectrum_exponent": 0.9, "signal_exponent": 0.7, "excess_error_budget": 0.12,
}  # fmt: skip
_GIVEN = {
    "spectrum": "custom", "eigenvalues": (0.7, 1.9, 0.2, 1.1), "signal": "custom",
    "signal_vector": (0.6, -1.3, 0.0, 0.9),
}  # fmt: skip
PROGRAMS = [
    ("off, linf", {"dim": 13, "attack_norm": "linf"}),
    ("off, l1", {"dim": 9, "attack_norm": "l1"}),
    ("off, lp", {"dim": 7, "attack_norm": "lp", "attack_p": 1.4}),
    ("off, mahalanobis", {"dim": 9, "attack_norm": "mahalanobis", "attack_metric_exponent": -0.6}),
    ("off, ar1, l2", {"dim": 9, "spectrum": "ar1", "correlation": 0.6}),
    ("off, ar1, mahalanobis", {"dim": 8, "spectrum": "ar1", "attack_norm": "mahalanobis",
                               "correlation": -0.4}),
    ("off, ar1, lp", {"dim": 6, "spectrum": "ar1", "correlation": -0.5, "attack_norm": "lp",
                      "attack_p": 1.4}),
    ("off, ar1, steep lp", {"dim": 6, "spectrum": "ar1", "correlation": 0.8, "attack_norm": "lp",
                            "attack_p": 7.0}),
    ("off, ar1, l1", {"dim": 8, "spectrum": "ar1", "correlation": 0.7, "attack_norm": "l1"}),
    ("off, ar1, linf", {"dim": 8, "spectrum": "ar1", "correlation": -0.7, "attack_norm": "linf"}),
    ("given", _GIVEN | {"attack_norm": "linf"}),
    ("given metric", _GIVEN | {"attack_norm": "mahalanobis", "attack_metric": "custom",
                               "attack_metric_diagonal": (0.4, 2.0, 1.3, 0.9)}),
    ("no noise", {"dim": 9, "noise_std": 0.0, "attack_radius": 0.6, "attack_norm": "linf"}),
]  # fmt: skip
CASES = [
    *(_row(*row) for row in ROWS),
    *(
        Case(
            label,
            _OFF | given,
            rtol=1e-8,
            program=reference.population,
            slow=label not in ("off, linf", "off, ar1, l1"),
        )
        for label, given in PROGRAMS
    ),
    Case(
        "no attack",
        _OFF | {"dim": 5, "attack_radius": 0.0},
        {"free_lunch_threshold": 0.0}
        | dict.fromkeys(("risk_optimal", "risk_proximal", "risk_ground_truth"), 0.0625),
    ),
    Case(
        "w0 is optimal",
        {"dim": 6, "spectrum": "isotropic", "signal": "sparse", "sparsity": 4,
         "attack_norm": "linf", "attack_radius": 0.39},
        {"risk_optimal": 16 * 0.39**2, "risk_proxy_minimizer": 16 * 0.39**2,
         "free_lunch_threshold": 0.0, "dual_norm_optimal": 4.0},
    ),
    Case(
        "0 is optimal",
        {"dim": 6, "spectrum": "isotropic", "signal": "sparse", "sparsity": 3,
         "attack_norm": "linf", "attack_radius": 0.75, "noise_std": 0.1},
        {"risk_optimal": 3.01, "risk_null": 3.01, "dual_norm_optimal": 0.0},
    ),
]  # fmt: skip


def noise(p):
    return float(p.noise_std)


def anew(cross):
    """The optimal risk from where the optimum is."""

    def wrong(p, o):
        s2 = o["free_lunch_threshold"] ** 2 + noise(p) ** 2
        exposed = p.attack_radius * o["dual_norm_optimal"]
        return {"risk_optimal": s2 + 2 * cross * np.sqrt(s2) * exposed + exposed**2}

    return wrong


MUTANTS = [
    Mutant("c0 = sqrt(pi/2)", after=anew(np.sqrt(np.pi / 2)), control=anew(C0)),
    Mutant("no cross term", after=anew(0.0), control=anew(C0)),
    Mutant("Cauchy-Schwarz in place of the mean", after=anew(1.0), control=anew(C0)),
    Mutant("ground truth without its cross term", after=lambda p, o: {
        "risk_ground_truth": noise(p) ** 2 + (o["risk_ground_truth"] - noise(p) ** 2) * 0.8}),
    Mutant("the proxy's guarantee as its risk", after=times(
        2 / (1 + C0), "risk_proxy_minimizer")),
    Mutant("the proximal guarantee as its risk", after=times(
        1 + C0, "risk_proximal")),
    Mutant("squared attack radius", at=lambda p: {"attack_radius": p.attack_radius**2}),
    Mutant("no label noise", at=lambda p: {"noise_std": 0.0}),
    Mutant("noise in the budget", at=lambda p: {
        "excess_error_budget": np.sqrt(max(p.excess_error_budget**2 - p.noise_std**2 / 4, 1e-4))},
        outputs=("risk_constrained",)),
    Mutant("budget of the squared error", at=lambda p: {
        "excess_error_budget": p.excess_error_budget**2}, outputs=("risk_constrained",)),
    Mutant("signal exponent of w0, not of its square",
           at=lambda p: {"signal_exponent": 2 * p.signal_exponent}),
    Mutant("standard deviations in place of eigenvalues",
           at=lambda p: {"spectrum_exponent": p.spectrum_exponent / 2}),
    Mutant("scale of the covariance in the standard deviations",
           at=lambda p: {"covariance_scale": p.covariance_scale**2}),
    Mutant("shrinkage is optimal", after=lambda p, o: {"risk_optimal": o["risk_shrinkage"]}),
    Mutant("shrinkage is the better end", after=lambda p, o: {
        "risk_shrinkage": np.minimum(o["risk_null"], o["risk_ground_truth"])}),
    Mutant("noise of null not squared", after=lambda p, o: {
        "risk_null": o["risk_null"] + noise(p) - noise(p) ** 2}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "float32": (1e-4, "the optimum is found as a root, whose dual norm and distance are flat"),
    },
)
