"""Zipf tokens: a NumPy loop that draws them, against counts per cell; theory over a surface."""

from collections.abc import Callable, Iterator

import numpy as np

import simulator
from benchmarks.report import Row, seconds

BETA = 1.5
BATCH = 32


def run() -> Iterator[Row]:
    """Rows per replicate of ``tail-collapse``; the loop's cost grows with T, ours does not."""
    for t, target in ((1e4, 0.0), (1e5, 1.0), (1e6, 10.0), (1e7, 100.0), (1e8, 1000.0)):
        repeats = 1 if t > 1e6 else 3
        base = seconds(lambda t=t: _token_loop(int(t)), repeats)
        yield Row(
            f"tail-collapse, T = {t:.0e}", "NumPy tokens", base, seconds(_ours(t)) / BATCH, target
        )
    small, large = seconds(_ours(1e3)), seconds(_ours(1e12))
    yield Row(f"{BATCH} replicates, T = 1e12", "ours at T = 1e3", small, large, 0.5)

    samples = np.geomspace(10, 1e12, 100)
    fractions = np.geomspace(1e-4, 1, 100)

    def surface() -> object:
        return simulator.predict(
            "tail-collapse",
            num_samples=samples[:, None],
            real_fraction=fractions[None, :],
            cutoff=100.0,
            zipf_exponent=BETA,
        )

    points = len(samples) * len(fractions)
    base = seconds(lambda: _sum_over_ranks(samples[::20], fractions[::20]), 1) * 400
    own = seconds(surface)
    # Most of it is the exact variance: 128 x 128 pairs of frequent ranks at every point.
    yield Row(f"theory at {points} points", "NumPy sum over 1e6 ranks", base, own, 2.0)


def _ours(t: float) -> Callable[[], object]:
    return lambda: simulator.simulate(
        "tail-collapse", replicates=BATCH, num_samples=t, zipf_exponent=BETA, dtype="float32"
    )


_RNG = np.random.default_rng(0)


def _token_loop(t: int) -> float:
    """One replicate as a user would write it; a million tokens at a time, to fit in memory."""
    seen: set[int] = set()
    for start in range(0, t, 1_000_000):
        seen.update(np.unique(_RNG.zipf(BETA, min(1_000_000, t - start))).tolist())
    ranks = np.fromiter(seen, float)
    return 1 - float(np.sum(ranks**-BETA)) / 2.6123753486854883  # zeta(3/2)


def _sum_over_ranks(samples: np.ndarray, fractions: np.ndarray) -> list[float]:
    """The truncated sum a user would write (it also loses the tail)."""
    p = np.arange(1, 1_000_001.0) ** -BETA
    p /= p.sum()
    cut = np.where(np.arange(len(p)) < 100, p, 0.0)
    cut /= cut.sum()
    return [
        float(p @ np.exp(t * np.log1p(-(pi * p + (1 - pi) * cut))))
        for t in samples
        for pi in fractions
    ]
