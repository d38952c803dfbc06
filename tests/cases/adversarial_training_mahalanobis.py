"""Reference values of arXiv 2410.16073 (see the study) and wrong versions of its theory.

Monte-Carlo means are of 40 replicates at dim = 400 with independent solvers.
"""

import math

import numpy as np

from tests.cases import Case, Mutant, Tests
from tests.references import adversarial_training as reference

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

OFF = {
    "sample_ratio": 1.3, "attack_radius_train": 0.4, "attack_radius_test": 0.25,
    "regularization": 0.12, "noise_std": 0.5,
    "spectrum": [[0.3, 0.7, 1.6, 2.2, 0.9], [0.7, 1.3, 0.8, 0.6, 1.4]],
}  # fmt: skip

#: All outputs, by the independent program; the weights vanish from a radius of 1.4339079 on.
CASES += [
    Case(
        "generic",
        OFF,
        {
            "generalization_error": 0.30204829088,
            "adversarial_error": 0.389064109569,
            "boundary_error": 0.0870158186887,
            "robust_train_loss": 0.40883876007,
            "robust_train_error": 0.124510646165,
            "m": 0.844805917654,
            "q": 1.60039248232,
            "P": 1.10190821006,
            "V": 2.234798093,
            "m_hat": 0.358965016341,
            "q_hat": 0.15952749707,
            "V_hat": 0.172876939493,
            "P_hat": 0.0784467165417,
        },
        rtol=1e-10,
        program=reference.theory_of_blocks,
    ),
    Case(
        "just below the threshold",
        OFF | {"attack_radius_train": 1.42},
        {
            "generalization_error": 0.333761102919,
            "adversarial_error": 0.405800498733,
            "boundary_error": 0.0720393958141,
            "robust_train_loss": 0.693096761655,
            "robust_train_error": 0.498103915425,
            "m": 0.0089938297944,
            "q": 0.000247388143198,
            "P": 0.000120560288773,
            "V": 0.0189690678888,
            "m_hat": 0.453809456458,
            "q_hat": 0.324967231775,
            "V_hat": 0.323449438528,
            "P_hat": 42.0277823304,
        },
        rtol=1e-10,
        program=reference.theory_of_blocks,
    ),
    Case(
        "just beyond the threshold",
        OFF | {"attack_radius_train": 1.45},
        {
            "generalization_error": 0.5,
            "adversarial_error": 0.5,
            "boundary_error": 0.0,
            "robust_train_loss": 0.69314718056,
            "robust_train_error": 0.5,
            "m": 0.0,
            "q": 0.0,
            "P": 0.0,
            "V": 0.0,
            "m_hat": 0.452434522139,
            "q_hat": 0.325,
            "V_hat": 0.325,
            "P_hat": math.inf,
        },
        rtol=1e-10,
        program=reference.theory_of_blocks,
    ),
]

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

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "resolution": (0.1, "convex problems: finer takes a minute"),
        "float32": (
            1e-4,
            "V and its conjugates: differences of rounded logarithms at the root",
        ),
    },
)
