"""Reference values of arXiv 2410.16073 (see the study) and wrong versions of its theory.

Monte-Carlo means are of 40 replicates at dim = 400 with independent solvers.
"""

import numpy as np

from tests.cases import Case, Mutant

NAMES = ("generalization_error", "adversarial_error", "m", "q", "P", "robust_train_loss")


def two_blocks(first, second):
    """Isotropic inputs and teacher, attack (1, 5), penalty (first, second)."""
    return [[0.5, 1.0, 1.0, 1.0, first], [0.5, 1.0, 1.0, 5.0, second]]


def _case(label, penalty, values, monte_carlo):
    return Case(
        label,
        {"regularization": 0.02, "spectrum": two_blocks(*penalty)},
        dict(zip(NAMES, values, strict=True)),
        rtol=1e-8,
        atol=6e-9,  # eight decimals are printed
        monte_carlo=dict(zip(NAMES, monte_carlo, strict=True)),
    )


CASES = [
    _case(
        "dual penalty (1, 5)",
        (1, 5),
        [0.28553061, 0.44860854, 1.52756343, 5.99393032, 9.34146509, 0.26101161],
        [(0.28484, 0.00194), (0.44813, 0.00202), (1.517, 0.018), (5.947, 0.065), (9.261, 0.062),
         (0.2644, 0.0033)],
    ),
    _case(
        "isotropic penalty",
        (1, 1),
        [0.26435592, 0.46161025, 2.10228302, 9.71423287, 21.04476489, 0.19916924],
        [(0.26426, 0.00151), (0.46097, 0.0015), (2.092, 0.017), (9.660, 0.046), (20.82, 0.18),
         (0.1990, 0.0036)],
    ),
    _case(
        "inverse penalty (1, 1/5)",
        (1, 0.2),
        [0.25685520, 0.47727831, 2.59528838, 14.07719559, 37.11285065, 0.17024153],
        [(0.25742, 0.00121), (0.47858, 0.00181), (2.592, 0.020), (14.13, 0.11), (37.7, 0.7),
         (0.1651, 0.0026)],
    ),
]  # fmt: skip

#: Smallest robust error over lambda in [1e-4, 10]: (alpha, eps) -> by Sigma_w = (1, 5), (1, 1),
#: (1, 1/5).
BEST_ADVERSARIAL_ERROR = {
    (1.0, 0.0): (0.2822, 0.2544, 0.2822),
    (1.0, 0.1): (0.3362, 0.3251, 0.3494),
    (1.0, 0.3): (0.4471, 0.4596, 0.4773),
    (1.0, 0.5): (0.5515, 0.5657, 0.5734),
    (0.3, 0.1): (0.4295, 0.4301, 0.4686),
    (0.3, 0.3): (0.5210, 0.5542, 0.6204),
}


def _spectrum(change):
    """Changed columns (weight, sigma_x, sigma_theta, sigma_delta, sigma_w)."""
    return lambda p: {"spectrum": np.stack(change(*np.asarray(p.spectrum).T)).T}


MUTANTS = [
    Mutant(
        "penalty without the half", at=lambda p: {"regularization": 2 * p.regularization}
    ),
    Mutant(
        "mean loss", at=lambda p: {"regularization": p.regularization * p.sample_ratio}
    ),
    Mutant("inverse penalty", at=_spectrum(lambda p, x, t, d, w: (p, x, t, d, 1 / w))),
    Mutant("inverse attack", at=_spectrum(lambda p, x, t, d, w: (p, x, t, 1 / d, w))),
    Mutant("isotropic attack", at=_spectrum(lambda p, x, t, d, w: (p, x, t, p @ d + 0 * d, w))),
    Mutant("isotropic inputs", at=_spectrum(lambda p, x, t, d, w: (p, p @ x + 0 * x, t, d, w))),
    Mutant("teacher and inputs swapped", at=_spectrum(lambda p, x, t, d, w: (p, t, x, d, w))),
    Mutant("equal blocks", at=_spectrum(lambda p, x, t, d, w: (1 / len(p) + 0 * p, x, t, d, w))),
    Mutant("noiseless labels", at=lambda p: {"noise_std": 0.0}),
    Mutant("P not squared", after=lambda p, o: {"P": np.sqrt(o["P"])}, outputs=("P",)),
]  # fmt: skip

FLOAT32_RTOL = 1e-4  # V and its conjugates: differences of rounded logarithms at the root
