"""How often a right theory is rejected: many verdicts from one long run of a study's sampler."""

import numpy as np

from simulator.engine.moments import Moments
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.theory import theory_of_cells
from simulator.verdict.compare import Rung, compare_ladder


def statuses(study, cell, replicates, verdicts, factor=1.0, tolerance=0.05):
    """Per verdict, the set of its comparisons' statuses; the theory is taken ``factor`` times."""
    cell = study.canonical(cell)
    run = Run(study, [cell], checked_setting(study), keep_values=True)
    run.extend(replicates * verdicts)
    values = {name: np.concatenate(parts) for name, parts in run.tallies[0].values.items()}
    theory = {name: factor * value for name, value in theory_of_cells(study, [cell])[0].items()}
    found = []
    for start in range(0, replicates * verdicts, replicates):
        moments = {name: Moments() for name in values}
        for name, all_of_them in values.items():
            moments[name].update(all_of_them[start : start + replicates])
        run.tallies[0]._moments = moments
        rung = Rung(1.0, cell, 0)
        compared = compare_ladder(study, run, [rung], {0: theory}, 5.0, tolerance)
        found.append({comparison.status for comparison in compared})
    return found
