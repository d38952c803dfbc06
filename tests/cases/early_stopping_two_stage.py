"""``early-stopping.two-stage``: printed rows with Monte-Carlo means, and wrong laws.

The printed values of ``linf`` are sums over 6001 nodes of a kinked integrand, right to about 2e-8;
the theory is in closed form.
"""

import numpy as np

from tests.cases import Case, Mutant, Tests
from tests.references import early_stopping as reference

E = {
    "dim": 200, "spectrum": "isotropic", "signal": "sparse", "sparsity": 20,
    "signal_scale": 20**-0.5, "attack_norm": "linf", "attack_radius": 0.15, "noise_std": 0.5,
    "num_samples": 400,
}  # fmt: skip
G = {
    "dim": 200, "spectrum_exponent": 1.0, "attack_norm": "linf", "attack_radius": 0.05,
    "noise_std": 0.5, "num_samples": 400,
}  # fmt: skip
RANK = np.arange(1, 201)
EXPONENTIAL = {
    "dim": 200, "spectrum": "custom", "signal": "custom", "attack_norm": "linf", "noise_std": 0.5,
    "eigenvalues": tuple(-np.log(1 - (RANK - 0.5) / 200)),
    "signal_vector": tuple(np.where(RANK % 20 == 10, 0.32355181, 0.0)),
}  # fmt: skip
NUMBERS = (300, 500, 1000, 4000)
TABLE = {
    0.05: ((0.687031, 0.288873, 0.150597, 0.069300), 0.026171),
    0.2: ((0.480311, 0.407305, 0.375142, 0.358934), 0.356628),
    0.5: ((0.888351, 0.856355, 0.844219, 0.837423), 0.829258),
}
OFF = {
    "dim": 9, "spectrum_exponent": 0.9, "signal_exponent": 0.7, "covariance_scale": 1.4,
    "signal_scale": -0.8, "attack_radius": 0.8, "noise_std": 0.6, "num_samples": 40,
}  # fmt: skip
LAST = 1 / np.sqrt(np.sum(np.arange(1, 10.0) ** 0.9 / 1.4))  # radius up to which w0 is the proxy's
NEARLY = OFF | {
    "attack_norm": "linf",
    "noise_std": 1e-3,
    "num_samples": 5010,
    "attack_radius": LAST,
}
SPOILT = 1e-3 * np.sqrt(9 / 5000)  # a of least squares
OF_TRUTH = LAST * 0.8 * np.sum(np.arange(1, 10.0) ** -0.35)  # r b
CASES = [
    # Thresholds of all sizes do equally well: none is taken.
    Case("last radius of the ground truth", NEARLY,
         {"risk_two_stage": SPOILT**2 + 2 * np.sqrt(2 / np.pi) * SPOILT * OF_TRUTH + OF_TRUTH**2}),
    Case("roundings beyond it, hardly any noise",
         NEARLY | {"noise_std": 1e-5, "attack_radius": LAST * (1 + 8 * np.finfo(float).eps)},
         {"risk_two_stage": (SPOILT / 100) ** 2
          + 2 * np.sqrt(2 / np.pi) * SPOILT / 100 * OF_TRUTH + OF_TRUTH**2}, rtol=1e-9),
    Case("isotropic", E,
         {"risk_two_stage": 0.638264969, "risk_two_stage_exact": 0.627914564, "risk_optimal": 0.45},
         rtol=5e-8,
         monte_carlo={"risk_two_stage": (0.6364, 0.001), "risk_two_stage_exact": (0.6257, 0.001)}),
    Case("power law", G,
         {"risk_two_stage": 0.924594751, "risk_two_stage_exact": 0.918463480,
          "risk_optimal": 0.894307079},
         rtol=5e-8, slow=True,
         monte_carlo={"risk_two_stage": (0.9247, 0.0005),
                      "risk_two_stage_exact": (0.9181, 0.0004)}),
    *(
        Case(
            f"exponential spectrum, r = {radius:g}, n = {number}",
            EXPONENTIAL | {"attack_radius": radius, "num_samples": number},
            {"risk_two_stage": value, "risk_optimal": optimal},
            rtol=2e-5,
            slow=True,
        )
        for radius, (values, optimal) in TABLE.items()
        for number, value in zip(NUMBERS, values, strict=True)
    ),
    *(
        Case(f"off, {kind}", OFF | {"attack_norm": kind, "attack_metric_exponent": -0.5}, rtol=1e-7,
             program=reference.two_stage, slow=kind == "mahalanobis")
        for kind in ("l2", "linf", "mahalanobis")
    ),
    # Just inside of the radii from which on the second stage moves, and has forgotten all.
    *(
        Case(f"off, {kind}, r = {radius:g}",
             OFF | {"attack_norm": kind, "attack_metric_exponent": -0.5, "attack_radius": radius},
             rtol=1e-7, program=reference.second_stages, slow=kind == "mahalanobis")
        for kind, radii in (("l2", (0.62, 0.96)), ("mahalanobis", (0.36, 0.9)))
        for radius in radii
    ),
    Case("no noise, n = inf", EXPONENTIAL | {"attack_radius": 0.2, "noise_std": 0.0},
         {"risk_two_stage": 0.359808, "risk_two_stage_exact": 0.356628}, rtol=2e-6, slow=True),
    Case("no attack", OFF | {"attack_radius": 0.0},
         {"risk_two_stage": 0.36 * 9 / 30, "risk_two_stage_exact": 0.36 * 9 / 30,
          "risk_optimal": 0.0}),
    Case("large inputs, strong attack",
         OFF | {"attack_norm": "linf", "covariance_scale": 14.0, "attack_radius": 2.5}, rtol=1e-9,
         program=reference.two_stage),
    *(
        Case(f"nothing to learn, {kind}",
             OFF | {"attack_norm": kind, "attack_radius": radius, "signal_scale": 0.0}, rtol=1e-7,
             program=reference.second_stages)
        for kind, radius in (("l2", 0.6), ("linf", 0.8))
    ),
    Case("nothing to learn, no noise", OFF | {"signal_scale": 0.0, "noise_std": 0.0},
         {"risk_two_stage": 0.0, "risk_two_stage_exact": 0.0, "risk_optimal": 0.0}),
    Case("too strong an attack", OFF | {"attack_radius": 9.0},
         {"risk_two_stage": 1.4 * 0.64 * np.sum(np.arange(1, 10.0) ** -1.6)}, rtol=1e-12),
]  # fmt: skip

MUTANTS = [
    Mutant("the proxy's rule for the risk's", after=lambda p, o: {
        "risk_two_stage_exact": o["risk_two_stage"]}, slow=True),
    Mutant("as good as the optimum", after=lambda p, o: {"risk_two_stage": o["risk_optimal"]}),
    Mutant("as good as the optimum, exactly", after=lambda p, o: {
        "risk_two_stage_exact": o["risk_optimal"]}),
    Mutant("no label noise", at=lambda p: {"noise_std": 0.0}),
    Mutant("noise not squared", at=lambda p: {"noise_std": np.sqrt(p.noise_std)}),
    Mutant("variance 1/n", at=lambda p: {"num_samples": p.num_samples + p.dim + 1}),
    Mutant("noise of the covariance for its inverse",
           at=lambda p: {"noise_std": p.noise_std * p.covariance_scale
                         * np.sqrt(2 if p.spectrum == "isotropic" else 0.3)}),
    Mutant("squared attack radius", at=lambda p: {"attack_radius": p.attack_radius**2}),
    Mutant("noisy targets", after=lambda p, o: {
        "risk_two_stage": o["risk_two_stage"] + p.noise_std**2}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "float32": (1e-4, "sizes at a root"),
    },
)  # fmt: skip
