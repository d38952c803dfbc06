"""How often a right theory is rejected: many verdicts from one long run of a study's sampler."""

import numpy as np

from simulator.sweep.moments import Moments
from simulator.sweep.predict import theory_of_cells
from simulator.sweep.run import Replicates
from simulator.verdict.compare import Rung, compare_ladder


def statuses(study, cell, replicates, verdicts, factor=1.0, tolerance=0.05):
    """Per verdict, the set of its comparisons' statuses; the theory is taken ``factor`` times."""
    cell = study.canonical(cell)
    run = Replicates(study, [cell], keep_values=True)
    run.extend(replicates * verdicts)
    values = {name: np.concatenate(parts) for name, parts in run.values[0].items()}
    theory = {name: factor * value for name, value in theory_of_cells(study, [cell])[0].items()}
    found = []
    for start in range(0, replicates * verdicts, replicates):
        moments = {name: Moments() for name in values}
        for name, all_of_them in values.items():
            moments[name].update(all_of_them[start : start + replicates])
        run._moments[0] = moments
        rung = Rung(1.0, cell, 0)
        compared = compare_ladder(study, run, [rung], {0: theory}, 5.0, tolerance)
        found.append({comparison.status for comparison in compared})
    return found
