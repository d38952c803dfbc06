"""One output of one cell: the deviation that its relation names, scored and judged."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from simulator.engine.cells import Values
from simulator.engine.moments import Summary
from simulator.engine.run import Run
from simulator.study import CONTROLS, Bound, Output, Relation, Study, Unrelated
from simulator.verdict.extrapolation import SAFETY
from simulator.verdict.points import HEAVY, Point, point
from simulator.verdict.relations import Deviation, deviation_of, either
from simulator.verdict.report import Comparison, Status
from simulator.verdict.scores import POWER_QUANTILE, critical_ratio, normal_score

Theories = Mapping[int, Mapping[str, np.ndarray]]  # by the position of a simulated cell
SMALL_ENTRY = 0.1  # entries of an array below this share of its largest need no resolution
NO_ERROR = "no standard error"
PLAIN = "plain mean: what control variates leave has heavier tails"
MOST_GROWTH = 1e9  # of the number of replicates: beyond, the answer is "far too many"
ANY_ERROR = 1e6  # a relative error: whatever is finite
FEW = 512  # replicates to begin with, where not even a standard error is known


@dataclass(frozen=True)
class Rung:
    """One size of one cell: its parameters and what was simulated there."""

    size: float
    values: Values
    position: int


def compare_ladder(
    study: Study,
    run: Run,
    ladder: Sequence[Rung],
    theories: Theories,
    threshold: float,
    tolerance: float,
) -> list[Comparison]:
    """A comparison for every output that has both sides in this cell.

    Control variates may leave a rest that is all in rare replicates, of which as many must be seen
    before its error is believed: the plain mean is taken where it ends the question sooner.
    """
    summaries = [run.summary(rung.position) for rung in ladder]
    sizes = [rung.size for rung in ladder]
    cell = ladder[-1].values

    def compared(
        output: Output, relation: Relation, simulated: Output, controls: bool = True
    ) -> Comparison:
        dtype = run.setting.dtype
        points = [
            point(study, output, simulated, theories[rung.position], summary, dtype, controls)
            for rung, summary in zip(ladder, summaries, strict=True)
        ]
        found = _compared(output, relation, cell, sizes, points, threshold, tolerance)
        if found.status != "inconclusive" or not any(p.controls for p in points):
            return found
        plain = compared(output, relation, simulated, controls=False)
        if plain.status == "inconclusive" and plain.missing >= found.missing:
            return found
        return replace(plain, note=", ".join(filter(None, (plain.note, PLAIN))))

    found = [compared(*compare) for compare in comparable(study, cell)]
    known = [summary[CONTROLS] for summary in summaries if CONTROLS in summary]
    return [*found, _controls_compared(cell, known, threshold)] if known else found


def _controls_compared(cell: Values, known: Sequence[Summary], threshold: float) -> Comparison:
    """Control variates, minus their means, at the size and entry that lie farthest from zero."""

    def farthest(summary: Summary) -> tuple[float, int, Summary]:
        error, skewness = summary.standard_error, summary.skewness / math.sqrt(summary.count)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(summary.mean == 0, 0.0, summary.mean / error)
        z = normal_score(ratio, skewness, summary.count)
        entry = int(np.argmax(np.abs(z)))  # NaN is the largest
        return float(z[entry]), entry, summary

    z, entry, summary = max(map(farthest, known), key=lambda f: (math.isnan(f[0]), abs(f[0])))
    verdict: Status = "disagrees" if abs(z) > threshold else "agrees"
    return Comparison(
        output=CONTROLS,
        relation="exact",
        cell=cell,
        theory=0.0,
        mean=float(summary.mean[entry]),
        standard_error=float(summary.standard_error[entry]),
        z=z,
        resolution=math.inf if math.isnan(z) else 0.0,
        status="inconclusive" if math.isnan(z) else verdict,
        replicates=summary.count,
        note="control variates, minus their known means",
    )


def comparable(study: Study, cell: Values) -> list[tuple[Output, Relation, Output]]:
    """Outputs with something to compare: the theory's, the relation, and the simulated one."""
    found = []
    for output in study.outputs:
        relation = output.relation_at(study.params(**cell))
        simulated = study.output(relation.of or output.name)
        stated = not isinstance(relation, Unrelated)
        if output.in_theory and stated and simulated.in_simulation:
            found.append((output, relation, simulated))
    return found


def _compared(
    output: Output,
    relation: Relation,
    cell: Values,
    sizes: Sequence[float],
    points: Sequence[Point],
    threshold: float,
    tolerance: float,
) -> Comparison:
    last = points[-1]
    replicates = min(p.replicates for p in points)
    free = min(p.replicates - p.controls for p in points)
    theories = np.stack([p.theory for p in points])
    testable = ~np.isinf(theories).any(axis=0)
    if output.nan_where_undefined:
        testable &= ~np.isnan(theories).any(axis=0)

    def comparison(worst: int, z: float, resolution: float, status: Status, missing=0, *notes):
        return Comparison(
            output=output.name,
            relation=relation.kind,
            cell=cell,
            theory=float(last.theory[worst]),
            mean=float(last.mean[worst]),
            standard_error=float(last.error[worst]),
            z=z,
            resolution=resolution,
            status=status,
            replicates=replicates,
            missing=missing,
            note=", ".join(note for note in notes if note),
        )

    if not testable.any():
        smaller = " at a smaller size" * bool(np.isfinite(last.theory).any())
        return comparison(0, 0.0, 0.0, "not tested", 0, f"theory is not finite{smaller}")
    whole = deviation_of(relation, sizes, points)
    deviation = _most_telling(whole, threshold, free)
    z = np.where(testable, _scores(deviation, free), 0.0)
    unknown = np.isnan(z)
    worst = int(np.argmax(np.where(unknown, 0.0, np.abs(z))))
    rejected = np.abs(z[worst]) > threshold
    if unknown.any() and not rejected:  # nothing that is no number may pass for an agreement
        worst = int(np.argmax(unknown))
        why = _unknown(points, testable)
        missing = max(FEW - replicates, replicates) if why == NO_ERROR else 0
        return comparison(worst, math.nan, math.inf, "inconclusive", missing, last.note, why)
    notes = [last.note, *deviation.notes[worst : worst + 1]]
    resolution = _resolution(deviation, threshold, free)
    largest = np.max(np.abs(last.theory), where=testable, initial=0.0)
    needed = testable & (np.abs(last.theory) >= SMALL_ENTRY * largest)
    coarsest = float(np.max(resolution, where=needed, initial=0.0))
    if rejected:
        return comparison(worst, float(z[worst]), coarsest, "disagrees", 0, *notes)
    carriers = float(np.min([p.carriers for p in points], where=needed, initial=math.inf))
    if isinstance(
        relation, Bound
    ):  # how far it may be off is not asked, but that the sample could reject it is
        tolerance, carriers = ANY_ERROR, math.inf
    if coarsest <= tolerance and carriers >= HEAVY:
        return comparison(worst, float(z[worst]), coarsest, "agrees", 0, *notes)
    if carriers < HEAVY:
        notes.append(f"heavy tails: the standard error rests on {carriers:.1f} replicates")
    finest = _finest(whole, needed, threshold)
    if finest > tolerance:
        notes.append(f"no replicates resolve less than {finest:.2%} here: take a larger size")
    missing = _missing(whole, needed, carriers, threshold, tolerance, replicates)
    return comparison(worst, float(z[worst]), coarsest, "inconclusive", missing, *notes)


def _unknown(points: Sequence[Point], testable: np.ndarray) -> str:
    if not all(np.isfinite(p.theory[testable]).all() for p in points):
        return "the theory is not a number"
    if not all(np.isfinite(p.mean[testable]).all() for p in points):
        return "the simulation is not finite"
    return NO_ERROR


def _scores(deviation: Deviation, replicates: int) -> np.ndarray:
    """z of what rounding and declared accuracy do not explain; NaN where it is unknown."""
    value, error = deviation.value, deviation.whole_error
    explained = deviation.allowance + deviation.omitted.bound
    excess = np.sign(value) * np.maximum(np.abs(value) - explained, 0.0)
    known = np.isfinite(excess) & np.isfinite(error)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(excess == 0, 0.0, excess / error)
    return normal_score(np.where(known, ratio, np.nan), deviation.skewness, replicates)


def _most_telling(deviation: Deviation, threshold: float, replicates: float) -> Deviation:
    """Entry by entry the fit that resolves more."""
    if deviation.coarser is None:
        return deviation
    coarser, finer = deviation.coarser, replace(deviation, coarser=None)
    with np.errstate(invalid="ignore"):
        better = ~(
            _resolution(coarser, threshold, replicates) < _resolution(finer, threshold, replicates)
        )
    return either(better, finer, coarser)


def _resolution(deviation: Deviation, threshold: float, replicates: float) -> np.ndarray:
    """Smallest relative error that is caught with 95 % power, by the best of the fits."""
    if deviation.coarser is not None:
        return np.fmin(
            _resolution(replace(deviation, coarser=None), threshold, replicates),
            _resolution(deviation.coarser, threshold, replicates),
        )
    critical = critical_ratio(threshold, deviation.skewness, replicates) + POWER_QUANTILE
    with np.errstate(invalid="ignore"):  # infinitely many times no error
        error = deviation.whole_error
        detected = np.where(error == 0, 0.0, critical * error)
    # Omitted orders may be held for what they are not, and may hide as much as they are.
    omitted = deviation.omitted
    blind = deviation.rounding + omitted.bound * (1 + 1 / SAFETY)
    return (detected + blind) / deviation.reference


def _finest(deviation: Deviation, needed: np.ndarray, threshold: float) -> float:
    """The resolution that no number of replicates improves on."""
    exact = deviation.with_replicates(math.inf)
    return float(np.max(_resolution(exact, threshold, math.inf)[needed]))


def _missing(
    deviation: Deviation,
    needed: np.ndarray,
    carriers: float,
    threshold: float,
    tolerance: float,
    replicates: int,
) -> int:
    """Replicates still missing to the tolerance: errors and skewness fall as their square root."""
    room = max(tolerance, _finest(deviation, needed, threshold) + tolerance / 10)

    def too_coarse(growth: float) -> bool:
        shrunk = deviation.with_replicates(growth)
        return bool(np.max(_resolution(shrunk, threshold, replicates * growth)[needed]) > room)

    low, high = 1.0, 2.0
    while too_coarse(high) and high < MOST_GROWTH:
        low, high = high, 2 * high
    while high > 1.02 * low:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if too_coarse(middle) else (low, middle)
    growth = max(high, HEAVY / carriers)
    return max(1, math.ceil(replicates * (growth - 1)))
