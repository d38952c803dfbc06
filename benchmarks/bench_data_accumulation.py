"""Chains of models trained on their own data: a user's NumPy loop over rows, against ours."""

from collections.abc import Callable, Iterator

import numpy as np

import simulator
from benchmarks.report import Row, seconds

GENERATIONS = 5
BATCH = 32
_RNG = np.random.default_rng(0)


def run() -> Iterator[Row]:
    """Rows per replicate; the loops' cost grows with the rows of a block, ours does not."""
    for rows in (1e3, 1e5):
        base = seconds(lambda rows=rows: _regression(20, int(rows)), 2)
        own = seconds(_ours("data-accumulation", rows, dim=20)) / BATCH
        yield Row(f"data-accumulation, {rows:.0e} rows a block", "NumPy rows", base, own)
    for rows in (1e4, 1e6):
        base = seconds(lambda rows=rows: _tokens(1000, int(rows)), 2)
        own = seconds(_ours("data-accumulation.tokens", rows, policy="accumulate")) / BATCH
        yield Row(f"tokens, {rows:.0e} a block", "NumPy tokens", base, own)
    few, many = (
        seconds(_ours("data-accumulation.gaussian", rows, policy="accumulate"))
        for rows in (1e2, 1e9)
    )
    yield Row(f"{BATCH} Gaussian chains, 1e9 rows a block", "ours at 1e2", few, many)


def _ours(study: str, rows: float, **more: object) -> Callable[[], object]:
    return lambda: simulator.simulate(
        study,
        replicates=BATCH,
        num_samples=int(rows),
        num_samples_synthetic=int(rows),
        num_generations=GENERATIONS,
        dtype="float32",
        **more,
    )


def _regression(dim: int, rows: int) -> float:
    """Accumulated rows, fitted by their normal equations, as a user would write it."""
    truth = np.eye(dim)[0]
    weights, gram, right = truth, np.zeros((dim, dim)), np.zeros(dim)
    for _ in range(GENERATIONS):
        x = _RNG.standard_normal((rows, dim))
        y = x @ weights + 0.5 * _RNG.standard_normal(rows)
        gram, right = gram + x.T @ x, right + x.T @ y
        weights = np.linalg.solve(gram, right)
    return float(np.sum((weights - truth) ** 2))


def _tokens(vocabulary: int, rows: int) -> float:
    """Accumulated tokens, drawn one by one, as a user would write it."""
    law = np.arange(1, vocabulary + 1.0) ** -1.5
    law = frequencies = law / law.sum()
    counts = np.zeros(vocabulary)
    for _ in range(GENERATIONS):
        drawn = _RNG.choice(vocabulary, rows, p=frequencies)
        counts += np.bincount(drawn, minlength=vocabulary)
        frequencies = counts / counts.sum()
    return float(np.sum((frequencies - law) ** 2))
