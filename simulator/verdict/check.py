"""Gathering the evidence, and judging a theory against it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from simulator import checks
from simulator.engine import sizes
from simulator.engine.cells import Values, product_cells
from simulator.engine.progress import reported
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.theory import theory_of_cells
from simulator.study import CONTROLS, Asymptotic, Study
from simulator.verdict.compare import Rung, Theories, comparable, compare_ladder
from simulator.verdict.report import Comparison, Verdict

SIZES = 4  # of a ladder: two orders are fitted, and the third is looked at
LOWEST = (1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2)  # share of the given size at which a ladder may begin
PILOT = 512
STEP = 8  # at most so many times more replicates at once: a pilot's estimate is uncertain
ROUNDS = 6  # 8^3 pilots are the most that a check runs by default; then look again


@dataclass(frozen=True)
class Evidence:
    """Simulations of cells along their ladders; a theory is judged against it."""

    run: Run
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
    study : str or Study
    grid : mapping parameter -> list of values, optional
        Cells to test; the study's own ``check_cells`` unless a grid or ``params`` are given.
        Asymptotic outputs run at four sizes, the given one being the largest.
    replicates : int, optional
        Per cell and size. Unless given, a pilot run finds the number that reaches the tolerance.
    max_replicates : int
        The most that are run per cell and size to reach it.
    tolerance : float, optional
        Resolution (relative error detected with 95 % power) that *agrees* requires; the study's
        own, 1 % unless declared otherwise.
    family_wise_error : float
        Probability that a right theory is rejected anywhere in this run.
    method : {"fast", "direct", "conditional"}, optional
        The simulation that theory is tested against; the conditional one unless given, where there
        is one: the same means with less noise.
    seed, dtype, allow_large, **params
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
            method=least_noisy(study) if method is None else method,
            dtype=dtype,
            tolerance=tolerance,
        )
        return judge(study, evidence, tolerance=tolerance, family_wise_error=family_wise_error)


def least_noisy(study: Study) -> str:
    """The method that a check takes unless another one is given."""
    methods = study.methods()
    return "conditional" if "conditional" in methods else next(iter(methods))


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
        climbed = ladder(study, cell) if _needs_ladder(study, cell) else [(1.0, cell)]
        rungs = [Rung(size, values, len(flat) + i) for i, (size, values) in enumerate(climbed)]
        flat.extend(rung.values for rung in rungs)
        ladders.append(tuple(rungs))
    setting = checked_setting(study, method=method, dtype=dtype, seed=seed)
    run = Run(study, flat, setting)
    evidence = Evidence(run, tuple(ladders))
    first = min(PILOT, max_replicates) if replicates is None else replicates
    with reported(f"{study.name}: pilot", run.work(first)) as progress:
        run.extend(first, progress=progress)
    theories = _theories(study, evidence) if replicates is None else {}
    for _ in range(ROUNDS if replicates is None else 0):
        needs = _needs(study, evidence, theories, tolerance, max_replicates)
        if needs == run.counts:
            break
        with reported(study.name, run.work(needs)) as progress:
            run.extend(needs, progress=progress)
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
            more = min(1.1 * factor, STEP)
            wanted = math.ceil(more * needs[rung.position]) if factor > 1 else 0
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
    count = sum(_tests(study, evidence.run, ladder) for ladder in evidence.ladders)
    threshold = max(5.0, float(-scipy.special.ndtri(family_wise_error / (2 * max(count, 1)))))
    compared = _compare(study, evidence, theories, threshold, tolerance)
    comparisons = tuple(c for mine in compared for c in mine)
    if not comparisons:
        raise ValueError(f"{study.name}: no output has both a theory and a simulation to compare")
    statuses = {c.status for c in comparisons}
    untested = {c.output for c in comparisons} - {
        c.output for c in comparisons if c.status != "not tested"
    }
    found: Any = next((s for s in ("disagrees", "inconclusive") if s in statuses), "agrees")
    if found == "agrees" and untested:  # an output that was nowhere tested agrees with nothing
        found = "inconclusive"
    return Verdict(
        study=study.name,
        method=evidence.run.setting.method,
        seed=evidence.run.setting.seed,
        status=found,
        comparisons=comparisons,
        threshold=threshold,
        family_wise_error=min(1.0, count * 2 * float(scipy.special.ndtr(-threshold))),
        tolerance=tolerance,
        remarks=evidence.run.remarks + _rounded(study, evidence),
    )


def _tests(study: Study, run: Run, ladder: Sequence[Rung]) -> int:
    """Tests in a cell: of an asymptotic theory there are two, and one is taken.

    So many again with control variates, for the plain mean may be taken instead.
    """
    relations = [relation for _, relation, _ in comparable(study, ladder[-1].values)]
    controls = [run.summary(rung.position).get(CONTROLS) for rung in ladder]
    means = sum(2 if isinstance(relation, Asymptotic) else 1 for relation in relations)
    known = [summary.mean.size for summary in controls if summary is not None]
    return means * (2 if known else 1) + sum(known)


def _rounded(study: Study, evidence: Evidence) -> tuple[str, ...]:
    """Parameters at which theory was taken, where the simulation rounds the given ones."""
    found: dict[str, None] = {}
    for ladder in evidence.ladders:
        given = ladder[-1].values
        taken = _realised(study, given)
        for name, parameter in study.declarations.items():
            value = taken[name]
            if parameter.type == "float" and not math.isclose(value, given[name], rel_tol=1e-9):
                found[f"{name} = {given[name]:g} is simulated, and predicted, as {value:g}"] = None
    return tuple(found)


def _needs_ladder(study: Study, cell: Values) -> bool:
    params = study.params(**cell)
    relations = [o.relation_at(params) for o in study.outputs if o.in_theory]
    return any(relation.needs_ladder for relation in relations)


def ladder(study: Study, cell: Values) -> list[tuple[float, Values]]:
    """Sizes at which the cell is tested, with its parameters there, the given size last.

    Four sizes a constant factor apart, from an eighth of the given one on; from a larger share,
    where smaller sizes would coincide, or theory is infinite at one of them but not at the given
    one; three sizes, where there are no four.
    """
    growing = next((n for n, p in study.declarations.items() if p.grows == 1), None)
    if growing is None:
        raise ValueError(f"{study.name} declares an asymptotic output but no size that grows")
    possible = []
    for count in (SIZES, SIZES - 1):
        for lowest in LOWEST:
            climbed = _climbed(study, cell, list(np.geomspace(lowest, 1.0, count)[:-1]))
            if len({values[growing] for _, values in climbed}) == count:
                if _as_finite(study, climbed):
                    return climbed
                possible.append(climbed)
    if possible:
        return possible[0]
    raise ValueError(
        f"{growing} = {cell[growing]:g} is not allowed: an asymptotic theory is tested at "
        f"{SIZES - 1} different sizes or more, and there are no so many below; take a larger one"
    )


def _climbed(study: Study, cell: Values, sizes: Sequence[float]) -> list[tuple[float, Values]]:
    """The cell at about these sizes, and at its own; nothing, if one of them is not allowed."""
    climbed = []
    for size in sizes:
        try:
            _, rounded = study.resized(cell, size)
            values, rounded = study.resized(cell, rounded)  # all follow the size that is rounded
        except ValueError:  # out of a range that depends on another parameter
            return []
        climbed.append((rounded, values))
    return [*climbed, (1.0, cell)]


def _as_finite(study: Study, climbed: Sequence[tuple[float, Values]]) -> bool:
    """Is theory finite at every size where it is at the largest?"""
    outputs = theory_of_cells(study, [_realised(study, values) for _, values in climbed])
    finite = [{name: np.isfinite(value) for name, value in at.items()} for at in outputs]
    return all(
        np.all(mine[name] >= finite[-1][name])
        for mine in finite
        for name in mine
        if mine[name].shape == finite[-1][name].shape
    )


def _realised(study: Study, cell: Values) -> Values:
    if study.realised is None:
        return cell
    return _values(study, study.realised(study.params(**cell)))


def _values(study: Study, params: Any) -> Values:
    return study.canonical({name: getattr(params, name) for name in study.declarations})


def _theories(study: Study, evidence: Evidence) -> Theories:
    positions = [rung.position for ladder in evidence.ladders for rung in ladder]
    outputs = theory_of_cells(study, [_realised(study, evidence.run.cells[i]) for i in positions])
    return dict(zip(positions, outputs, strict=True))


def _compare(
    study: Study, evidence: Evidence, theories: Theories, threshold: float, tolerance: float
) -> list[list[Comparison]]:
    """Comparisons of every cell, ladder by ladder."""
    return [
        compare_ladder(study, evidence.run, ladder, theories, threshold, tolerance)
        for ladder in evidence.ladders
    ]
