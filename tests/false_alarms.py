"""How often a right theory is rejected: many verdicts from one long run of a study's sampler."""

from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.tally import Tally
from simulator.engine.theory import theory_of_cells
from simulator.verdict.check import ladder
from simulator.verdict.compare import Rung, compare_ladder


def statuses(study, cell, replicates, verdicts, factor=1.0, tolerance=0.05):
    """Per verdict, the set of its comparisons' statuses; the theory is taken ``factor`` times."""
    found = comparisons(study, cell, replicates, verdicts, factor, tolerance)
    return [{comparison.status for comparison in compared} for compared in found]


def comparisons(
    study, cell, replicates, verdicts, factor=1.0, tolerance=0.05, method=None, along=False
):
    """The comparisons of every verdict; ``along`` the ladder of sizes, or at the given one only."""
    cell = study.canonical(cell)
    climbed = ladder(study, cell) if along else [(1.0, cell)]
    cells = [values for _, values in climbed]
    rungs = [Rung(size, values, i) for i, (size, values) in enumerate(climbed)]
    theories = {
        i: {name: factor * value for name, value in outputs.items()}
        for i, outputs in enumerate(theory_of_cells(study, cells))
    }
    run = Run(study, cells, checked_setting(study, method=method), keep_values=True)
    run.extend(replicates * verdicts)
    values = run.values()
    found = []
    for start in range(0, replicates * verdicts, replicates):
        for tally, whole in zip(run.tallies, values, strict=True):
            part = Tally()
            part.add({n: v[start : start + replicates] for n, v in whole.items()}, replicates - 1)
            tally._moments = part._moments
        found.append(compare_ladder(study, run, rungs, theories, 5.0, tolerance))
    return found
