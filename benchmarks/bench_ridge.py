"""Ridge regression: what a user would write in NumPy, SciPy or scikit-learn, and ours."""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial

import jax
import numpy as np
from jax import Array
from scipy.optimize import brentq
from sklearn.linear_model import Ridge

import simulator
from benchmarks.report import Row, seconds
from simulator.maths.resolvent import effective_penalty
from simulator.maths.spectra import compressed_power_law, signal_profile
from simulator.verdict import POWER_QUANTILE

DIM = 256
SAMPLES = 10 * DIM
RIDGES = np.geomspace(1e-3, 10, 16).astype(np.float32)
NOISE = 0.5
#: Replicates that carry the first four control variates.
FEW = 15
#: Ratios of times to a detectable error that we promise.
TARGETS = {
    "power_law": {0.01: 2000.0, 0.001: 20000.0},
    "isotropic": {0.01: 5000.0, 0.001: 50000.0},
}


def run() -> Iterator[Row]:
    """All rows; every task is one replicate at 16 ridges unless it says so."""
    for spectrum in TARGETS:
        yield from _ridge_grid(spectrum)
    yield from _flat_in_samples()
    yield from _effective_penalty()
    yield _one_compilation()


def _ridge_grid(spectrum: str) -> Iterator[Row]:
    eigen = np.ones(DIM) if spectrum == "isotropic" else np.arange(1, DIM + 1) ** -1.5
    eigen = eigen.astype(np.float32)
    signal = np.asarray(signal_profile(spectrum, DIM, 1.5, 0.5, 1.0), np.float32)
    rng = np.random.default_rng(0)

    def ours(method: str, replicates: int) -> tuple[float, Callable[[float], float]]:
        """Seconds per replicate of all ridges, and how many make an error detectable."""

        def simulate(replicates: int, seed: int = 0) -> simulator.SimulationResult:
            return simulator.simulate(
                "ridge-collapse",
                replicates=replicates,
                seed=seed,
                method=method,
                dtype="float32",
                spectrum=spectrum,
                num_generations=0,
                dim=DIM,
                num_samples=SAMPLES,
                ridge=RIDGES,
                noise_std=NOISE,
            )

        def spread(replicates: int, runs: int = 1) -> np.ndarray:
            """The relative error of one replicate, as so many of them would leave it."""
            errors = [simulate(replicates, seed)["test_error"] for seed in range(runs)]
            squares = np.mean([error.standard_error**2 for error in errors], axis=0)
            return np.sqrt(replicates * squares) / errors[0].mean

        # Few replicates use the first control variates only, from so many on all of them.
        few, all_controls = FEW, simulate(replicates)["test_error"].controls + FEW - 4
        some, sharp = spread(few, runs=32), spread(replicates)

        def needed(size: float) -> float:
            return min(
                max(_replicates_for(size, some), few),
                max(_replicates_for(size, sharp), all_controls),
            )

        return seconds(lambda: simulate(replicates).mean) / replicates, needed

    def theirs(fit: Callable) -> Callable[[], np.ndarray]:
        return lambda: _user_path(rng, eigen, signal, fit)

    # Isotropic inputs need no matrix when the average over the label noise is taken.
    matrices = spectrum != "isotropic"
    averaged, needed = ours("path", 64 if matrices else 512)
    own = ours("fast", 64)[0] if matrices else averaged
    task = f"{spectrum}, {len(RIDGES)} ridges, d = {DIM}, n = {SAMPLES}"
    fits = {
        "NumPy loop": _numpy_fit,
        "NumPy loop, one Gram": _numpy_fit_with_shared_gram(),
        "scikit-learn loop": _sklearn_fit,
    }
    for name, fit in fits.items():
        base = seconds(theirs(fit))
        errors = np.stack([theirs(fit)() for _ in range(20)])
        relative = errors.std(axis=0, ddof=1) / errors.mean(axis=0)
        yield Row(task, name, base, own)
        for size, target in TARGETS[spectrum].items():
            yield Row(
                f"{task}: time to a {100 * size:g} % detectable error",
                name,
                base * _replicates_for(size, relative),
                averaged * needed(size),
                (target if name == "NumPy loop" else 0.0),
            )


def _user_path(rng, eigen, signal, fit) -> np.ndarray:
    """One replicate as a user would write it: draw X and y, one solve per ridge, measure."""
    teacher = np.sqrt(signal / eigen)
    X = rng.standard_normal((SAMPLES, DIM), dtype=np.float32) * np.sqrt(eigen)
    y = X @ teacher + NOISE * rng.standard_normal(SAMPLES, dtype=np.float32)
    return np.array([eigen @ (fit(X, y, ridge) - teacher) ** 2 for ridge in RIDGES])


def _numpy_fit(X, y, ridge) -> np.ndarray:
    gram = X.T @ X / len(X)
    return np.linalg.solve(gram + ridge * np.eye(DIM, dtype=np.float32), X.T @ y / len(X))


def _numpy_fit_with_shared_gram() -> Callable:
    """A careful user's loop: the Gram matrix once per data set, not once per ridge."""
    cached: dict[str, object] = {}

    def fit(X, y, ridge) -> np.ndarray:
        if cached.get("design") is not X:
            cached.update(design=X, gram=X.T @ X / len(X), moment=X.T @ y / len(X))
        return np.linalg.solve(
            cached["gram"] + ridge * np.eye(DIM, dtype=np.float32), cached["moment"]
        )

    return fit


def _sklearn_fit(X, y, ridge) -> np.ndarray:
    return Ridge(alpha=len(X) * ridge, fit_intercept=False).fit(X, y).coef_


def _replicates_for(size: float, relative: np.ndarray) -> float:
    """Replicates at which 5 sigma and 95 % power detect such an error, at the worst ridge.

    ``relative`` is the standard deviation of one replicate over its mean, for each ridge.
    """
    return float(np.max(relative) * (5 + POWER_QUANTILE) / size) ** 2


def _flat_in_samples() -> Iterator[Row]:
    """The cost of a replicate does not depend on the sample size: 1e9 against 1e3."""

    def simulate(n: int) -> Callable[[], object]:
        return lambda: simulator.simulate(
            "ridge-collapse",
            replicates=64,
            num_samples=n,
            num_samples_generator=n,
            ridge_generator=0.01,
            num_generations=2,
            dim=100,
            dtype="float32",
        )

    small, large = seconds(simulate(1000)), seconds(simulate(10**9))
    yield Row("64 replicates, 3 fits each, n = 1e9", "ours at n = 1e3", small, large, 0.8)


def _effective_penalty() -> Iterator[Row]:
    """With all eigenvalues of a power law, and with the few that stand for them, found anew."""
    for dim, count, promised in ((1000, 256, 10.0), (10**6, 32, 100.0)):
        eigen, ridges = np.arange(1, dim + 1) ** -1.3, np.geomspace(1e-6, 1.0, count)
        theirs = partial(_brentq_penalties, eigen, dim / 2, ridges)
        with jax.enable_x64(True):
            solve = jax.jit(partial(_penalties, num_samples=dim / 2))
            if dim == 1000:
                ours = partial(solve, *jax.device_put((eigen, None, ridges)))
            else:
                ours = partial(_few_penalties, solve, dim, jax.device_put(ridges))
            error = np.max(np.abs(np.asarray(ours()) / theirs() - 1))
            own = seconds(ours, repeats=101)
        if error > 1e-9:
            raise AssertionError(f"the two solvers differ by {error:.1e}")
        yield Row(
            f"effective penalty, d = {dim:g}, {count} ridges, float64",
            "SciPy brentq",
            seconds(theirs, repeats=5 if dim == 1000 else 1),
            own,
            promised,
        )


def _few_penalties(solve: Callable, dim: int, ridges: Array) -> Array:
    law = compressed_power_law(dim, 1.3, 0.5, 1.0)
    return solve(law.eigenvalues, law.multiplicity, ridges)


def _penalties(eigen: Array, weights: Array, ridges: Array, num_samples: float) -> Array:
    # lax.map over small batches lets finished lanes stop.
    return jax.lax.map(
        lambda ridge: effective_penalty(eigen, num_samples, ridge, weights), ridges, batch_size=16
    )


def _brentq_penalties(eigen: np.ndarray, num_samples: float, ridges: np.ndarray) -> list[float]:
    def excess(log_kappa: float, ridge: float) -> float:
        kappa = math.exp(log_kappa)
        return kappa * (1 - np.sum(eigen / (eigen + kappa)) / num_samples) - ridge

    bound = eigen.sum() / num_samples
    return [
        math.exp(brentq(excess, math.log(1e-12), math.log(r + bound), (r,), xtol=1e-14))
        for r in ridges
    ]


def _one_compilation() -> Row:
    """A sweep over n, p2, width and ridge: first call (one compilation) against the second."""

    def sweep(seed: int) -> None:
        simulator.sweep(
            "strong-collapse.random-projections",
            {
                "num_samples": [60, 100],
                "synthetic_fraction": [0.1, 0.5],
                "width": [30, 90],
                "ridge": [0.01, 0.1],
            },
            replicates=4,
            dim=50,
            seed=seed,
        )

    events: list[str] = []

    def listener(event: str, duration: float, **_: object) -> None:
        if event.endswith("backend_compile_duration"):
            events.append(event)

    start = time.perf_counter()
    sweep(0)
    first = time.perf_counter() - start
    jax.monitoring.register_event_duration_secs_listener(listener)
    start = time.perf_counter()
    sweep(1)
    second = time.perf_counter() - start
    jax.monitoring.unregister_event_duration_listener(listener)
    if events:
        raise AssertionError(f"{len(events)} programs were compiled again")
    return Row("sweep over n, p2, width, ridge: no compilation", "its first run", first, second)
