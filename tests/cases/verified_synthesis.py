"""``verified-synthesis``: table of the sharp limit with Monte-Carlo means, and wrong theories."""

import numpy as np

from tests.cases import Case, Mutant, Tests
from tests.references import verified_synthesis as reference


def row(label, params, rates, accuracy, monte_carlo):
    """Printed to eight decimals; ``rates`` are keep rate, label accuracy and breakdown error."""
    names = ("keep_rate", "kept_label_accuracy", "breakdown_error")
    return Case(
        label,
        {"dim": 100, "num_samples_synthetic": 1000, "signal_norm": 1.5, "ridge": 0.1} | params,
        dict(zip(names, rates, strict=True)) | {"test_accuracy": accuracy},
        rtol=0,
        atol=5.1e-9,
        monte_carlo={"test_accuracy": monte_carlo},
    )


def rates(p, phi, psi):
    return {"generator_accuracy": p, "keep_correct": phi, "keep_incorrect": psi}


WIDE = {"num_samples_synthetic": 400, "dim": 200, "signal_norm": 2.0} | rates(0.8, 0.7, 0.2)
TABLE = [
    row("no selection", rates(0.6, 1, 1), (1, 0.6, 0.5), 0.66899001, (0.66630, 0.00178)),
    row(
        "a weak verifier",
        rates(0.6, 0.9, 0.3),
        (0.66, 0.8181818182, 0.75),
        0.84185701,
        (0.84163, 0.00085),
    ),
    row("an oracle", rates(0.6, 1, 0), (0.6, 1, 1), 0.91106099, (0.91104, 0.00019)),
    row("p = 0.3", rates(0.3, 0.9, 0.3), (0.48, 0.5625, 0.75), 0.57415501, (0.57476, 0.002)),
    row(
        "p = 0.2",
        rates(0.2, 0.9, 0.3),
        (0.42, 0.4285714286, 0.75),
        0.42160025,
        (0.42250, 0.00197),
    ),
    row(
        "few samples",
        WIDE | {"ridge": 1e-3},
        (0.6, 0.9333333333, 0.7777777778),
        0.68849391,
        (0.69084, 0.00214),
    ),
    row(
        "few samples, large ridge",
        WIDE | {"ridge": 1e3},
        (0.6, 0.9333333333, 0.7777777778),
        0.96157015,
        (0.96155, 0.00013),
    ),
    row(
        "many samples",
        rates(0.6, 0.9, 0.3) | {"num_samples_synthetic": 100_000},
        (0.66, 0.8181818182, 0.75),
        0.93211538,
        (0.93217, 0.00002),
    ),
    row(
        "a strict verifier, no ridge",
        rates(0.6, 0.1, 0.04) | {"ridge": 0.0},
        (0.076, 0.7894736842, 0.7142857143),
        0.59141518,
        (0.59247, 0.00082),
    ),
]

GENERIC = {"dim": 37, "num_samples_synthetic": 150, "signal_norm": 1.3} | rates(0.55, 0.85, 0.35)
PROGRAMMED = [
    Case(label, GENERIC | params, rtol=1e-11, program=reference.independent)
    for label, params in {
        "generic": {},
        "worse than chance": {"generator_accuracy": 0.15, "ridge": 0.7},
        "more dimensions than samples, no ridge": {"num_samples_synthetic": 40, "ridge": 0.0},
        "more samples than dimensions, no ridge": {"ridge": 0.0},
        "at the threshold, no ridge": {
            "num_samples_synthetic": 64,
            "dim": 16,
            "ridge": 0.0,
            **rates(0.5, 0.375, 0.125),
        },
        "at the breakdown": {**rates(0.25, 0.9, 0.3)},
        "right labels are never given": {**rates(0.0, 0.8, 0.3)},
        "wrong labels are never given": {**rates(1.0, 0.8, 0.3)},
    }.items()
]


def lost(p, outputs, factor):
    """The accuracy with the noise's share of the squared norm times ``factor``."""
    m = 2 * outputs["kept_label_accuracy"] - 1
    gamma = p.dim / (p.num_samples_synthetic * outputs["keep_rate"])
    kappa = reference.effective_ridge(gamma, p.ridge)
    t1 = p.signal_norm**2 / (1 + kappa)
    d = gamma / (1 + kappa) ** 2
    along = m * t1 / (1 + t1) / p.signal_norm
    noise = d * (1 - m**2 + m**2 / (1 + t1) ** 2 + 0 * d)
    noise = ((along**2 + noise) / (1 - d) - along**2) * factor(m, d)
    normal = p.signal_norm * along / np.sqrt(along**2 + noise)
    return {"test_accuracy": reference.ndtr(normal)}


def selected(p, outputs):
    """The selection arithmetic again."""
    right = p.generator_accuracy * p.keep_correct
    kept = right + (1 - p.generator_accuracy) * p.keep_incorrect
    return {"keep_rate": kept, "kept_label_accuracy": right / kept}


MUTANTS = [
    Mutant(
        "samples counted before selection",
        at=lambda p: {
            "num_samples_synthetic": round(
                p.num_samples_synthetic
                / (
                    p.generator_accuracy * p.keep_correct
                    + (1 - p.generator_accuracy) * p.keep_incorrect
                )
            )
        },
        outputs=("test_accuracy",),
    ),
    Mutant(
        "selection does not change the labels",
        at=lambda p: {"keep_incorrect": p.keep_correct},
        outputs=("test_accuracy",),
    ),
    Mutant(
        "rates of keeping swapped",
        at=lambda p: {"keep_correct": p.keep_incorrect, "keep_incorrect": p.keep_correct},
        outputs=("test_accuracy",),
    ),
    Mutant(
        "p is the error",
        at=lambda p: {"generator_accuracy": 1 - p.generator_accuracy},
        outputs=("test_accuracy",),
    ),
    Mutant(
        "breakdown of the other rate",
        after=lambda p, o: {"breakdown_error": 1 - o["breakdown_error"]},
    ),
    Mutant(
        "label accuracy of the generator",
        after=lambda p, o: {"kept_label_accuracy": p.generator_accuracy},
        control=selected,
        outputs=("kept_label_accuracy",),
    ),
    Mutant(
        "keep rate of the right labels",
        after=lambda p, o: {"keep_rate": p.keep_correct},
        control=selected,
        outputs=("keep_rate",),
    ),
    Mutant(
        "infinitely many samples",
        after=lambda p, o: {"test_accuracy": o["test_accuracy_infinite_data"]},
    ),
    Mutant(
        "no noise from the fit's own labels",
        after=lambda p, o: lost(p, o, lambda m, d: 1 - d),
        control=lambda p, o: lost(p, o, lambda m, d: 1),
    ),
]

TESTS = Tests(
    cases=[*TABLE, *PROGRAMMED],
    mutants=MUTANTS,
    cells={
        "near the threshold": {
            "dim": 16,
            "num_samples_synthetic": 40,
            "signal_norm": 2.1,
            "ridge": 0.02,
        }
        | rates(0.8, 0.7, 0.2),
        "some data": {"dim": 32, "num_samples_synthetic": 400},
        "few data": {
            "dim": 32,
            "num_samples_synthetic": 60,
            "signal_norm": 2.1,
            "ridge": 0.001,
        }
        | rates(0.8, 0.7, 0.2),
        "mostly wrong": {
            "dim": 32,
            "num_samples_synthetic": 500,
            "generator_accuracy": 0.2,
            "ridge": 1.3,
        },
    },
    expected={"other methods": (0.05, "up to 40,000 rows, one by one")},
)
