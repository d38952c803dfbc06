"""Gaussian mixtures: NumPy loops that draw every row, against turned rows; theory on a grid."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import simulator
from benchmarks.report import Row, on_cores, seconds

DIM = 100
ROWS = 100 * DIM
_RNG = np.random.default_rng(0)

_PRIOR = {"group_prior_weight": (0.01, 10.0), "perturbation_radius": (0.0, 0.5)}
_ANGLES = {"generator_angle": (0.1, 3.0), "verifier_angle": (0.1, 3.0)}
#: All studies of Gaussian mixtures with a theory: what is given, and a grid of 10,000 points.
GRIDS: dict[str, tuple[dict[str, Any], dict[str, tuple[float, float]]]] = {
    "verified-synthesis": ({}, {"generator_accuracy": (0.01, 0.99), "ridge": (1e-3, 10.0)}),
    "verified-synthesis.halfspace": ({}, _ANGLES),
    "verified-synthesis.retraining": ({}, _ANGLES),
    "verified-synthesis.best-of-k": (
        {},
        {"generator_accuracy": (0.01, 0.99), "score_gap": (0.0, 4.0)},
    ),
    "verified-synthesis.eigenvalues": (
        {},
        {"keep_correct": (0.01, 1.0), "keep_incorrect": (0.01, 1.0)},
    ),
    "robust-pruning": ({}, {"density": (0.0001, 1.0)}),
    "robust-pruning, ssp": ({"pruner": "ssp"}, {"density": (0.0001, 1.0)}),
    "robust-pruning.finite-sample": ({}, {"density": (0.0001, 1.0)}),
    "robust-pruning.finite-sample, plug_in": (
        {"estimator": "plug_in"},
        {"density": (0.0001, 1.0)},
    ),
    "robust-pruning.high-dim": ({}, {"density": (0.0001, 1.0)}),
    "group-aware-prior": (
        {},
        {"group_prior_weight": (0.01, 100.0), "spurious_strength": (0.1, 3.0)},
    ),
    "group-aware-prior.population": ({}, _PRIOR),
    "group-aware-prior.population, logistic": ({"loss": "logistic"}, _PRIOR),
    "group-aware-prior.last-layer": (
        {},
        {"minority_fraction": (0.01, 0.5), "spurious_strength": (0.1, 3.0)},
    ),
}


def run() -> Iterator[Row]:
    """Replicates with N = 100 d rows, and theory on 10^4 points in float64 (promised: a second).

    Theory on a grid uses all cores, and so does its row.
    """
    studies = (("verified-synthesis", _selected, 20.0), ("group-aware-prior", _grouped, 12.0))
    for name, loop, target in studies:  # the second computes its control variates too
        for replicates in (16, 512):
            yield Row(
                f"{name}, d = {DIM}, N = {ROWS}, {replicates} replicates",
                "NumPy rows",
                seconds(loop, 3),
                seconds(_ours(name, replicates)) / replicates,
                target,
            )
    for name, (given, grid) in GRIDS.items():
        yield Row(
            f"theory of {name} at 10000 points, all cores",
            "one second",
            1.0,
            _theory(name, given, grid),
            1.0,
        )


def _ours(name: str, replicates: int) -> Callable[[], object]:
    sizes = {
        "dim": DIM,
        {"verified-synthesis": "num_samples_synthetic"}.get(name, "num_samples"): ROWS,
    }
    return lambda: simulator.simulate(name, replicates=replicates, dtype="float32", **sizes)


def _theory(label: str, given: dict[str, Any], grid: dict[str, tuple[float, float]]) -> float:
    points = round(10_000 ** (1 / len(grid)))
    axes = [np.linspace(*ends, points) for ends in grid.values()]
    mesh = dict(zip(grid, np.meshgrid(*axes, sparse=True), strict=True))
    with on_cores(os.cpu_count() or 1):
        return seconds(lambda: simulator.predict(label.partition(",")[0], **given, **mesh), 3)


def _selected() -> float:
    """One replicate of ``verified-synthesis`` as a user would write it."""
    y = _RNG.choice([-1.0, 1.0], ROWS)
    x = _RNG.standard_normal((ROWS, DIM))
    x[:, 0] += 1.5 * y
    right = _RNG.uniform(size=ROWS) < 0.6
    labels = np.where(right, y, -y)
    kept = _RNG.uniform(size=ROWS) < np.where(right, 0.9, 0.3)
    return _ridge(x[kept], labels[kept], np.full(kept.sum(), 1 / kept.sum()), 0.1)


def _grouped() -> float:
    """One replicate of ``group-aware-prior``."""
    train, group = ROWS, 100
    minority = np.r_[_RNG.uniform(size=train) < 0.05, np.arange(group) % 2 == 0]
    y = _RNG.choice([-1.0, 1.0], train + group)
    x = _RNG.standard_normal((train + group, DIM))
    x[:, 0] += y
    x[:, 1] += 1.5 * np.where(minority, -y, y)
    return _ridge(x, y, np.r_[np.full(train, 1 / train), np.full(group, 1 / group)], 0.01)


def _ridge(x: np.ndarray, y: np.ndarray, weights: np.ndarray, ridge: float) -> float:
    weighted = x.T * weights
    w = np.linalg.solve(weighted @ x + ridge * np.eye(DIM), weighted @ y)
    return float(w[0] / np.linalg.norm(w))
