"""Does the simulation agree with the theory? A falsification test that could fail.

Every comparison is a z-test (Student's t turned into the normal quantile of equal probability)
against one threshold that covers the whole family of comparisons of a run: 5 standard errors
serve some 1,700 comparisons at a family-wise error rate of 1e-3, and more comparisons raise it.
A test that cannot see a small error proves nothing, so each one states its *resolution*: the
smallest relative error of the theory that this many replicates would have caught with 95 %
power. Coarser than the tolerance is *inconclusive*, never *agrees*.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import scipy

from simulator import checks
from simulator.equality import ByValue
from simulator.study import Output, Relation, Study
from simulator.sweep import sizes
from simulator.sweep.cells import Values, product_cells
from simulator.sweep.moments import BLOCK, Summary
from simulator.sweep.predict import theory_of_cells
from simulator.sweep.progress import replicates_bar
from simulator.sweep.results import estimates
from simulator.sweep.run import Replicates

Theories = Mapping[int, Mapping[str, np.ndarray]]  # by the position of a simulated cell
Status = Literal["agrees", "disagrees", "inconclusive", "not tested"]
LADDER = (0.25, 0.5, 1.0)
PILOT = 512
ROUNDS = 4  # a pilot's variance is uncertain, more so under heavy tails: look again
POWER_QUANTILE = NormalDist().inv_cdf(0.95)  # 95 % power
HEAVY_TAIL = 0.1  # relative uncertainty of the standard error beyond which it is not believed
BATCHES = 25
ROUNDING = 1e3  # units in the last place, of the cell's largest output, that are no discrepancy
SMALL_ENTRY = 0.1  # entries of an array below this share of its largest need no resolution


@dataclass(frozen=True, eq=False)
class Comparison(ByValue):
    """One output in one cell (for an array output: its worst entry).

    Attributes
    ----------
    output, relation : str
    cell : mapping of parameters
    theory, mean, standard_error : float
        At the largest size of the ladder, for asymptotic relations.
    z : float
        Standard errors between theory and simulation; signed, one-sided for bounds.
    resolution : float
        Smallest relative error caught with 95 % power.
    status : {"agrees", "disagrees", "inconclusive", "not tested"}
    replicates, missing : int
        Replicates used, and how many more would reach the tolerance.
    note : str
    """

    output: str
    relation: str
    cell: Mapping[str, Any]
    theory: float
    mean: float
    standard_error: float
    z: float
    resolution: float
    status: Status
    replicates: int
    missing: int = 0
    note: str = ""


@dataclass(frozen=True, eq=False)
class Verdict(ByValue):
    """All comparisons of a run and what they amount to.

    Attributes
    ----------
    status : {"agrees", "disagrees", "inconclusive"}
    comparisons : tuple of Comparison
    threshold : float
        Standard errors beyond which a comparison disagrees.
    family_wise_error : float
        Bound on the probability that a right theory is rejected anywhere in the run.
    tolerance : float
        Resolution that was asked for.
    """

    study: str
    method: str
    seed: int
    status: Literal["agrees", "disagrees", "inconclusive"]
    comparisons: tuple[Comparison, ...]
    threshold: float
    family_wise_error: float
    tolerance: float

    def worst(self, output: str) -> Comparison:
        """The comparison of ``output`` that decides: by status, then by |z|."""
        order = {"disagrees": 3, "inconclusive": 2, "agrees": 1, "not tested": 0}
        mine = [c for c in self.comparisons if c.output == output]
        return max(mine, key=lambda c: (order[c.status], abs(c.z)))

    def __str__(self) -> str:
        names = list(dict.fromkeys(c.output for c in self.comparisons))
        width = max((len(name) for name in names), default=6)
        lines = [
            f"{'output':<{width}}  {'theory':>11}  {'simulation ± error':>22}  {'z':>6}  "
            f"{'detectable':>10}  verdict (relation)"
        ]
        for name in names:
            c = self.worst(name)
            simulated = f"{c.mean:.5g} ± {c.standard_error:.1g}"
            note = f": {c.note}" if c.note else ""
            more = f", {c.missing} replicates missing" if c.status == "inconclusive" else ""
            lines.append(
                f"{name:<{width}}  {c.theory:>11.6g}  {simulated:>22}  {c.z:>+6.1f}  "
                f"{c.resolution:>10.2%}  {c.status}{more} ({c.relation}{note})"
            )
        tested = sum(c.status != "not tested" for c in self.comparisons)
        lines.append(
            f"{self.study}: theory {VERBS[self.status]} the {self.method} simulation "
            f"({tested} comparisons, threshold {self.threshold:.2f} standard errors, family-wise "
            f"error rate {self.family_wise_error:.1g}, tolerance {self.tolerance:.1%}, "
            f"seed {self.seed})"
        )
        return "\n".join(lines)


VERBS = {
    "agrees": "AGREES with",
    "disagrees": "DISAGREES with",
    "inconclusive": "is INCONCLUSIVE against",
}


@dataclass(frozen=True)
class Rung:
    """One size of one cell: its parameters and what was simulated there."""

    size: float
    values: Values
    position: int


@dataclass(frozen=True)
class Evidence:
    """Simulations of cells along their ladders; a theory is judged against it."""

    run: Replicates
    ladders: tuple[tuple[Rung, ...], ...]


def check_study(
    study: Study,
    grid: Mapping[str, Sequence[Any]] | None = None,
    *,
    replicates: int | None = None,
    max_replicates: int = 2**18,
    seed: int = 0,
    method: str | None = None,
    dtype: str | None = None,
    tolerance: float | None = None,
    family_wise_error: float = 1e-3,
    allow_large: bool = False,
    **params: Any,
) -> Verdict:
    """Test the theory of a study against its simulation.

    Parameters
    ----------
    grid : mapping parameter -> list of values, optional
        Cells to test; the study's own ``check_cells`` unless a grid or ``params`` are given.
        Asymptotic outputs run at three sizes, the given one being the largest.
    replicates : int, optional
        Per cell and size. Unless given, a pilot run finds the number that reaches the tolerance,
        at most ``max_replicates``.
    tolerance : float, optional
        Resolution (relative error detected with 95 % power) that *agrees* requires; the study's
        own, 1 % unless declared otherwise.
    family_wise_error : float
        Probability that a right theory is rejected anywhere in this run.
    seed, method, dtype, allow_large, **params
        As in :func:`simulator.simulate`.

    Raises
    ------
    TypeError, ValueError
        For a bad argument, or if the study has nothing to compare.
    """
    if study.theory is None or not study.methods():
        side = "theory" if study.theory is None else "simulation"
        raise ValueError(f"{study.name} has no {side}: there is nothing to compare")
    family_wise_error = checks.number("family_wise_error", family_wise_error, above=0, below=1)
    if tolerance is None:
        tolerance = study.tolerance
    tolerance = checks.number("tolerance", tolerance, above=0)
    if replicates is not None:
        replicates = checks.whole("replicates", replicates, 1)
    grid = checks.grid({} if grid is None else grid)
    with sizes.allowing(allow_large):
        if grid or params:
            sizes.check_points(study, math.prod(map(len, grid.values())))
            cells = product_cells(study, grid, params)[1]
        else:
            cells = [study.canonical(cell) for cell in study.check_cells]
        evidence = gather(
            study,
            cells,
            replicates=replicates,
            max_replicates=checks.whole("max_replicates", max_replicates, 1),
            seed=seed,
            method=method,
            dtype=dtype,
            tolerance=tolerance,
        )
        return judge(study, evidence, tolerance=tolerance, family_wise_error=family_wise_error)


def gather(
    study: Study,
    cells: Sequence[Values],
    *,
    replicates: int | None = None,
    max_replicates: int = 2**18,
    seed: int = 0,
    method: str | None = None,
    dtype: str | None = None,
    tolerance: float,
) -> Evidence:
    """Simulate the cells, each along its ladder of sizes if an asymptotic output needs one."""
    flat: list[Values] = []
    ladders = []
    for cell in cells:
        rungs = []
        for size in LADDER if _needs_ladder(study, cell) else (1.0,):
            values = cell if size == 1.0 else _resized(study, cell, size)
            rungs.append(Rung(size, values, len(flat)))
            flat.append(values)
        ladders.append(tuple(rungs))
    evidence = Evidence(
        Replicates(study, flat, seed=seed, method=method, dtype=dtype), tuple(ladders)
    )
    run = evidence.run
    first = min(PILOT, max_replicates) if replicates is None else replicates
    with replicates_bar(first * len(flat), f"{study.name}: pilot") as progress:
        run.extend(first, progress)
    theories = _theories(study, evidence) if replicates is None else {}
    for _ in range(ROUNDS if replicates is None else 0):
        needs = _needs(study, evidence, theories, tolerance, max_replicates)
        if needs == run.counts:
            break
        with replicates_bar(sum(needs) - sum(run.counts), study.name) as progress:
            run.extend(needs, progress)
    return evidence


def _needs(
    study: Study, evidence: Evidence, theories: Theories, tolerance: float, most: int
) -> list[int]:
    """Replicates per simulated cell that the comparisons so far ask for."""
    needs = list(evidence.run.counts)
    comparisons = _compare(study, evidence, theories, threshold=5.0, tolerance=tolerance)
    for ladder, mine in zip(evidence.ladders, comparisons, strict=True):
        factor = max(((c.replicates + c.missing) / c.replicates for c in mine), default=1.0)
        for rung in ladder:
            # A tenth more than the variance asks for, which is itself uncertain.
            wanted = math.ceil(1.1 * factor * needs[rung.position]) if factor > 1 else 0
            needs[rung.position] = min(max(wanted, needs[rung.position]), most)
    return needs


def judge(
    study: Study,
    evidence: Evidence,
    *,
    tolerance: float,
    family_wise_error: float = 1e-3,
    theories: Theories | None = None,
) -> Verdict:
    """Compare the study's theory, or the values given as ``theories``, with the evidence."""
    theories = _theories(study, evidence) if theories is None else theories
    count = sum(len(mine) for mine in _compare(study, evidence, theories, 5.0, tolerance))
    threshold = max(5.0, float(-scipy.special.ndtri(family_wise_error / (2 * max(count, 1)))))
    compared = _compare(study, evidence, theories, threshold, tolerance)
    comparisons = tuple(c for mine in compared for c in mine)
    tested = [c.status for c in comparisons if c.status != "not tested"]
    if not tested:
        raise ValueError(f"{study.name}: no output has both a theory and a simulation to compare")
    found: Any = next((s for s in ("disagrees", "inconclusive") if s in tested), "agrees")
    return Verdict(
        study=study.name,
        method=evidence.run.method,
        seed=evidence.run.seed,
        status=found,
        comparisons=comparisons,
        threshold=threshold,
        family_wise_error=min(1.0, count * 2 * float(scipy.special.ndtr(-threshold))),
        tolerance=tolerance,
    )


def _needs_ladder(study: Study, cell: Values) -> bool:
    params = study.params(**cell)
    relations = [o.relation_at(params) for o in study.outputs if o.in_theory]
    return any(r.kind == "exponent" or r.rate is not None for r in relations)


def _resized(study: Study, cell: Values, size: float) -> Values:
    if study.resize is None:
        raise ValueError(f"{study.name} declares an asymptotic output but no `resize`")
    params = study.resize(study.params(**cell), size)
    return study.canonical({name: getattr(params, name) for name in study.declarations})


# --------------------------------------------------------------------------------------------
# Comparisons
# --------------------------------------------------------------------------------------------
def _theories(study: Study, evidence: Evidence) -> Theories:
    positions = [rung.position for ladder in evidence.ladders for rung in ladder]
    outputs = theory_of_cells(study, [evidence.run.cells[i] for i in positions])
    return dict(zip(positions, outputs, strict=True))


def _compare(
    study: Study, evidence: Evidence, theories: Theories, threshold: float, tolerance: float
) -> list[list[Comparison]]:
    """Comparisons of every cell, ladder by ladder."""
    run = evidence.run
    summaries = {position: run.summary(position) for position in theories}
    found = []
    for ladder in evidence.ladders:
        mine = []
        for output in study.outputs:
            if not output.in_theory:
                continue
            relation = output.relation_at(study.params(**ladder[-1].values))
            simulated = study.output(relation.of or output.name)
            if relation.kind == "none" or not simulated.in_simulation:
                continue
            points = [
                _point(study, output, simulated, theories[r.position], summaries[r.position], run)
                for r in ladder
            ]
            mine.append(_compare_one(output, relation, ladder, points, threshold, tolerance))
        found.append(mine)
    return found


@dataclass(frozen=True)
class Point:
    """Theory and simulation of one output at one size, flattened over its entries."""

    theory: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray
    scale: float
    floor: float
    replicates: int
    note: str


def _point(
    study: Study,
    output: Output,
    simulated: Output,
    theory: Mapping[str, np.ndarray],
    summary: Mapping[str, Summary],
    run: Replicates,
) -> Point:
    mean, error, count = estimates(study, summary)[simulated.name]
    note = ""
    if simulated.dispersion is None:
        mean, error, note = _robust(simulated, theory, summary[simulated.name], mean, error)
    values = np.atleast_1d(theory[output.name]).ravel()
    mean, error = (np.broadcast_to(np.ravel(a), values.shape) for a in (mean, error))
    comparable = [
        np.ravel(theory[o.name]) for o in study.outputs if o.in_theory and o.in_simulation
    ]
    finite = np.abs(np.concatenate([*comparable, values]))
    scale = float(np.max(finite, initial=0.0, where=np.isfinite(finite))) or 1.0
    floor = ROUNDING * float(np.finfo(run.dtype).eps) * scale
    return Point(values, mean, error, scale, floor, count, note)


def _robust(
    simulated: Output, theory: Mapping[str, np.ndarray], summary: Summary, mean: Any, error: Any
) -> tuple[Any, Any, str]:
    """Mean and error that stand heavy tails: the model's own error, or a median of batches."""
    kurtosis = np.max(summary.kurtosis, initial=0.0)
    heavy = math.sqrt(max(kurtosis - 1, 0) / max(summary.count, 1)) / 2 >= HEAVY_TAIL
    if simulated.model_std is not None:
        model_error = theory[simulated.model_std] / math.sqrt(summary.count)
        unseen = (np.asarray(error) == 0) & (model_error > 0)  # a rare event that never came
        if summary.count < 2 or not (heavy or np.any(unseen)):
            return mean, error, ""
        # Rare events are not normal either. For values in [0, 1] Bernstein's inequality,
        # P(deviation > t) <= exp(-t^2 / 2 / (error^2 + t / 3n)), stands in for the normal tail.
        deviation = np.abs(mean - theory[simulated.name])
        floor = np.maximum(model_error, error)
        error = np.sqrt(floor**2 + deviation / (3 * summary.count))
        return mean, error, "heavy tails: model-based error"
    if summary.count < 2 or not heavy:
        return mean, error, ""
    blocks = summary.block_means
    if len(blocks) < BATCHES:
        # Too few for medians: leave the verdict to the replicates that are missing.
        return mean, np.where(error > 0, np.inf, error), "heavy tails"
    per_batch = len(blocks) // BATCHES
    trimmed = blocks[: per_batch * BATCHES].reshape(BATCHES, per_batch, *blocks.shape[1:])
    batches = trimmed.mean(axis=1)
    centre = np.median(batches, axis=0)
    spread = 1.4826 * np.median(np.abs(batches - centre), axis=0)
    median_error = math.sqrt(math.pi / 2) * spread / math.sqrt(BATCHES)
    return centre, median_error, "heavy tails: median of batches"


def _compare_one(
    output: Output,
    relation: Relation,
    ladder: Sequence[Rung],
    points: Sequence[Point],
    threshold: float,
    tolerance: float,
) -> Comparison:
    last = points[-1]
    testable = np.all([np.isfinite(p.theory) for p in points], axis=0)
    if not testable.any():
        return _comparison(output, relation, ladder, last, 0, "not tested", note="theory is inf")
    note = last.note
    allowance = 0.0
    if relation.kind == "exponent":
        deviation, error, reference = _slope(ladder, points)
        floor = 0.0
    elif relation.kind == "asymptotic" and relation.rate is not None:
        deviation, error, reference, coefficient = _extrapolated(ladder, points, relation.rate)
        floor = last.floor / last.scale
    else:
        deviation, error, floor = last.mean - last.theory, last.standard_error, last.floor
        reference = np.where(last.theory == 0, last.scale, np.abs(last.theory))
        if relation.accuracy is not None:  # what the approximation itself declares
            allowance = relation.accuracy * np.abs(last.theory)
    excess = np.sign(deviation) * np.maximum(np.abs(deviation) - floor - allowance, 0.0)
    if relation.kind == "upper_bound":
        excess = np.maximum(excess, 0.0)
    elif relation.kind == "lower_bound":
        excess = np.minimum(excess, 0.0)
    z = _normal_quantile(excess, error, last.replicates)
    z = np.where(testable, z, 0.0)
    resolution = ((threshold + POWER_QUANTILE) * error + floor) / reference
    worst = int(np.argmax(np.abs(z)))
    largest = np.max(np.abs(last.theory[testable]))
    needed = testable & (np.abs(last.theory) >= SMALL_ENTRY * largest)
    coarsest = float(np.max(resolution[needed], initial=0.0))
    if relation.kind == "asymptotic" and relation.rate is not None:
        note = f"{note + ', ' if note else ''}size^-{relation.rate:g} x {coefficient[worst]:+.3f}"
    status: Status = "agrees"
    missing = 0
    if np.abs(z[worst]) > threshold:
        status = "disagrees"
    elif relation.kind not in ("upper_bound", "lower_bound") and coarsest > tolerance:
        status = "inconclusive"
        missing = _missing_replicates(coarsest, floor / reference, tolerance, last.replicates)
    return _comparison(
        output, relation, ladder, last, worst, status, float(z[worst]), coarsest, missing, note
    )


def _comparison(
    output, relation, ladder, point, worst, status, z=0.0, resolution=0.0, missing=0, note=""
) -> Comparison:
    return Comparison(
        output=output.name,
        relation=relation.kind.replace("_", " "),
        cell=ladder[-1].values,
        theory=float(point.theory[worst]),
        mean=float(point.mean[worst]),
        standard_error=float(point.standard_error[worst]),
        z=z,
        resolution=resolution,
        status=status,
        replicates=point.replicates,
        missing=missing,
        note=note,
    )


def _extrapolated(ladder: Sequence[Rung], points: Sequence[Point], rate: float) -> tuple:
    """Intercept of the relative deviation against size^-rate, with its standard error.

    The deviation is taken relative to the theory where that is non-zero at every size.
    """
    scales = np.stack([p.theory for p in points])
    absolute = np.any(scales == 0, axis=0)
    reference = np.where(absolute, points[-1].scale, np.abs(scales))
    deviations = np.stack([p.mean - p.theory for p in points]) / reference
    errors = np.stack([p.standard_error for p in points]) / reference
    x = np.array([rung.size**-rate for rung in ladder])
    centred = x - x.mean()
    slope_weights = centred / (centred @ centred)
    intercept_weights = 1 / len(x) - x.mean() * slope_weights
    intercept = np.tensordot(intercept_weights, deviations, axes=1)
    error = np.sqrt(np.tensordot(intercept_weights**2, errors**2, axes=1))
    coefficient = np.tensordot(slope_weights, deviations, axes=1)
    return intercept, error, np.ones_like(intercept), coefficient


def _slope(ladder: Sequence[Rung], points: Sequence[Point]) -> tuple:
    """Log-log slope of the simulated means along the ladder minus the predicted exponent."""
    x = np.log([rung.size for rung in ladder])
    weights = (x - x.mean()) / ((x - x.mean()) @ (x - x.mean()))
    means = np.stack([p.mean for p in points])
    errors = np.stack([p.standard_error for p in points]) / means
    slope = np.tensordot(weights, np.log(means), axes=1)
    error = np.sqrt(np.tensordot(weights**2, errors**2, axes=1))
    reference = np.where(points[-1].theory == 0, 1.0, np.abs(points[-1].theory))
    return slope - points[-1].theory, error, reference


def _normal_quantile(excess: np.ndarray, error: np.ndarray, replicates: int) -> np.ndarray:
    """Student's t of ``replicates`` values as the normal quantile of the same probability."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(excess == 0, 0.0, excess / np.where(np.isfinite(error), error, np.inf))
    if replicates < 2:
        return np.zeros_like(t)
    tail = scipy.special.stdtr(replicates - 1, -np.abs(t))
    # Beyond the range of the quantile function the plain ratio is as good: nothing hangs on it.
    quantile = np.where(tail > 1e-304, -scipy.special.ndtri(np.maximum(tail, 1e-304)), np.abs(t))
    return np.sign(t) * quantile


def _missing_replicates(coarsest: float, floor: Any, tolerance: float, replicates: int) -> int:
    """Replicates still missing to the tolerance: the error falls as their square root."""
    if replicates < 2 or not math.isfinite(coarsest):
        return max(BATCHES * BLOCK - replicates, replicates)
    room = max(tolerance - float(np.max(floor)), tolerance / 10)
    return max(1, math.ceil(replicates * ((coarsest / room) ** 2 - 1)))
