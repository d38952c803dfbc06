"""A decision for a data set: which penalty, how much error, how much synthetic data, and how sure.

>>> from simulator.advice import advise
>>> from simulator.data import load, population
>>> print(advise(population(load("my.csv", "price"))))

All errors are shares of the target's variance. The *excess* error is what a fit loses against the
best linear fit of the features; what that leaves is added for the error of a prediction.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from simulator import api
from simulator.data.checks import number, whole_number
from simulator.data.loading import Table
from simulator.data.population import Population, labeller_shift, population
from simulator.equality import ByValue
from simulator.search import NoSolution

RESOLUTION = 0.1  # beyond the accuracy: a plan is no finer
RIDGE, STRONG = "ridge-collapse.resampled", "strong-collapse.resampled"
SIZES = (1, 2, 4)  # times the rows of the data
LABELLERS = 9  # of which the typical one is taken: a few rows may make a lucky model
GROUPS = 10  # of rows that are left out in turn: what that moves is the uncertainty


@dataclass(frozen=True)
class AtSize:
    """What theory says of fits to some number of rows, at the penalty that is best for them.

    ``uncertainty`` is the standard error of ``excess_error`` that finitely many rows of data leave
    (jackknife); how wrong Gaussian theory is on these data is told by `Decision.deviation`.
    """

    num_samples: int
    ridge: float
    excess_error: float
    uncertainty: float
    prediction_error: float


@dataclass(frozen=True, eq=False)
class Decision(ByValue):
    """What to do with a data set.

    Attributes
    ----------
    name : str
    num_rows, num_features : int
    linear_share : float
        R² of the best linear fit, in sample: optimistic, for its weights were fitted to these rows.
    linear_share_adjusted : float
        Without that optimism (adjusted R²); its noise is what the errors below are computed with.
    sizes : tuple of AtSize
        For n, 2n and 4n rows.
    tolerable_share : float
        The largest synthetic share among n labels that raises the excess error by at most
        ``tolerated``, with labels of a model fitted to ``labeller_rows`` rows.
    tolerated : float
    labeller_rows : int
    labeller_error : float
        The excess error of that model, the typical one of several.
    status : {"agrees", "disagrees", "inconclusive"}
        Of theory against fits to n rows drawn with replacement, at the best penalty.
    deviation, deviation_error : float
        Their excess error over the theory's, less 1.
    replicates, missing : int
        Experiments that were run, and how many more would settle an inconclusive verdict.
    """

    name: str
    num_rows: int
    num_features: int
    linear_share: float
    linear_share_adjusted: float
    sizes: tuple[AtSize, ...]
    tolerable_share: float
    tolerated: float
    labeller_rows: int
    labeller_error: float
    status: str
    deviation: float
    deviation_error: float
    replicates: int
    missing: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        first = self.sizes[0]
        lines = [
            f"{self.name}: {self.num_rows} rows, {self.num_features} features",
            f"linear share of the target: R² = {self.linear_share:.3f} in sample, which is "
            f"optimistic; {self.linear_share_adjusted:.3f} adjusted for {self.num_features} fitted "
            "weights",
            f"best penalty for {first.num_samples} rows: {first.ridge:.3g} (loss: mean square + "
            "penalty ‖w‖², features of total variance 1)",
            "     rows   penalty  excess error (± uncertainty)  prediction error",
        ]
        lines += [
            f"{size.num_samples:>9}  {size.ridge:>8.2g}  {size.excess_error:>12.4f} ± "
            f"{size.uncertainty:<13.4f}  {size.prediction_error:>16.4f}"
            for size in self.sizes
        ]
        share = (
            f"up to {self.tolerable_share:.0%} of the labels"
            if self.tolerable_share < 1
            else "all of the labels"
        )
        lines.append(
            f"synthetic labels: {share} may come from a model fitted to {self.labeller_rows} rows "
            f"(excess error {self.labeller_error:.3f}) before the excess error grows by "
            f"{self.tolerated:.0%}"
        )
        lines.append(
            f"experiments on these rows {self.status_in_words()}: they are {self.deviation:+.1%} ± "
            f"{self.deviation_error:.1%} off the theory ({self.replicates} fits to "
            f"{first.num_samples} rows drawn with replacement)"
        )
        return "\n".join(lines)

    def status_in_words(self) -> str:
        """What became of the theory, and what to do."""
        if self.status == "agrees":
            return "agree with the theory"
        if self.status == "disagrees":
            return "disagree with the theory: correct its errors by the deviation, at this size"
        return f"are inconclusive (about {self.missing} more would settle it)"


def advise(
    data: Population,
    *,
    tolerated: float = 0.1,
    labeller_rows: int | None = None,
    replicates: int = 1000,
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> Decision:
    """A decision for a data set, from theory, and what experiments on its rows say of that.

    Parameters
    ----------
    data : Population
    tolerated : float > 0
        Relative rise of the excess error that synthetic labels may cost.
    labeller_rows : int, optional
        Rows that the synthetic labeller is fitted to; a quarter of all unless given.
    replicates : int >= 2
        Experiments against which the theory is tested.
    seed : int
    progress : function of a line of text
        Called at the beginning of every stage.
    """
    tolerated = number("tolerated", tolerated, 1e-6)
    rows = whole_number(
        "labeller_rows", max(2, data.num_rows // 4) if labeller_rows is None else labeller_rows, 2
    )
    replicates = whole_number("replicates", replicates, 2)
    seed = whole_number("seed", seed, 0)
    counts = [size * data.num_rows for size in SIZES]
    noise = _optimism(data)
    progress(f"the best penalties for {', '.join(map(str, counts))} rows")
    ridges, excess = _best(data, counts, noise)
    progress(f"the same without a tenth of the rows, {GROUPS} times")
    spread = _jackknife(data, counts, noise, seed)
    residual = (noise * data.noise_std) ** 2
    sizes = tuple(
        AtSize(count, float(ridge), float(error), float(std), residual + float(error))
        for count, ridge, error, std in zip(counts, ridges, excess, spread, strict=True)
    )
    progress("how many synthetic labels can be borne")
    labeller_ridge = float(_best(data, [rows], noise)[0][0])
    shift = _typical_labeller(data, rows, labeller_ridge, seed)
    share = _tolerable_share(data, sizes[0], noise, shift, 1 + tolerated)
    progress(f"{replicates} experiments on {counts[0]} rows")
    fit: dict[str, Any] = {
        "num_samples": counts[0],
        "num_generations": 0,
        "ridge": sizes[0].ridge,
        **data.parameters(),
    }
    verdict = api.check(
        RIDGE, replicates=replicates, tolerance=RESOLUTION, dtype="float32", seed=seed, **fit
    )
    found = verdict.worst("test_error")
    return Decision(
        name=data.name,
        num_rows=data.num_rows,
        num_features=data.dim,
        linear_share=1 - data.noise_std**2,
        linear_share_adjusted=1 - residual,
        sizes=sizes,
        tolerable_share=share,
        tolerated=tolerated,
        labeller_rows=rows,
        labeller_error=float(np.sum(data.eigenvalues * shift**2)),
        status=found.status,
        deviation=found.mean / found.theory - 1,
        deviation_error=found.standard_error / found.theory,
        replicates=found.replicates,
        missing=found.missing,
    )


def _optimism(data: Population) -> float:
    """The noise over its estimate in sample: ``d`` weights and a mean were fitted."""
    return math.sqrt(data.num_rows / (data.num_rows - data.dim - 1))


def _best(data: Population, counts: list[int], noise: float) -> tuple[np.ndarray, np.ndarray]:
    """The best penalty for each number of rows, and the excess error there."""
    low = 1e-4 * max(data.eigenvalues[-1], 1e-6 * data.eigenvalues[0])
    over = {"ridge": (low, 10 * data.eigenvalues[0], "log")}
    given: dict[str, Any] = {
        "num_samples": counts,
        "num_generations": 0,
        "noise_scale": noise,
        **data.parameters(),
    }
    found = api.optimise(RIDGE, "test_error", over=over, **given)
    return found["ridge"].values, found["test_error"].values


def _jackknife(data: Population, counts: list[int], noise: float, seed: int) -> np.ndarray:
    """Standard error of the excess error, by leaving out groups of rows."""
    order = np.random.default_rng(seed).permutation(data.num_rows)
    size = data.num_rows // GROUPS
    targets = data.rows @ data.teacher + data.residual
    found = []
    for group in range(GROUPS):
        kept = np.delete(order, slice(group * size, (group + 1) * size))
        table = Table(data.rows[kept], targets[kept], data.name)
        found.append(_best(population(table, standardise=False), counts, noise)[1])
    deviations = np.array(found) - np.mean(found, axis=0)
    return np.sqrt((GROUPS - 1) / GROUPS * np.sum(deviations**2, axis=0))


def _typical_labeller(data: Population, rows: int, ridge: float, seed: int) -> np.ndarray:
    """The shift of the labeller whose error is the median of `LABELLERS`."""
    shifts = [labeller_shift(data, rows, ridge, seed=seed + i) for i in range(LABELLERS)]
    errors = [np.sum(data.eigenvalues * shift**2) for shift in shifts]
    return shifts[int(np.argsort(errors)[LABELLERS // 2])]


def _tolerable_share(
    data: Population, size: AtSize, noise: float, shift: np.ndarray, factor: float
) -> float:
    """The largest synthetic share at which the error is at most ``factor`` times the clean one."""
    given: dict[str, Any] = {
        "num_samples": size.num_samples,
        "ridge": size.ridge,
        "noise_scale": noise,
        "shift": shift,
        **data.parameters(),
    }
    clean = float(api.predict(STRONG, synthetic_fraction=0.0, **given)["test_error"])
    try:
        found = api.solve(
            STRONG,
            "test_error",
            equals=factor * clean,
            over={"synthetic_fraction": (0.0, 1.0)},
            which="smallest",
            **given,
        )
    except NoSolution:
        return 1.0
    return float(found["synthetic_fraction"])
