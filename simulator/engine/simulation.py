"""Monte-Carlo of a study at one point or on a broadcast grid."""

import math
from typing import Any

from simulator import checks
from simulator.defaults import REPLICATES
from simulator.engine import sizes
from simulator.engine.cells import broadcast_cells, single_cells
from simulator.engine.progress import reported
from simulator.engine.results import SimulationResult, simulation_result
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.study import Study


def simulate_study(
    study: Study,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    method: str | None = None,
    dtype: str | None = None,
    keep_values: bool = False,
    allow_large: bool = False,
    **params: Any,
) -> SimulationResult:
    """Monte-Carlo of a study, at one point, or on a grid of scalar traced parameters.

    Parameters
    ----------
    study : str or Study
    replicates : int >= 1
        Independent replicates per point. Asking for more later repeats the first ones exactly.
    seed : int >= 0
    method : {"fast", "direct", "conditional", "path"}, optional
        The preferred one unless given; ``study.methods()`` lists what there is.
    dtype : {"float32", "float64"}, optional
        float64 on CPU and float32 on accelerators unless given.
    keep_values : bool
        Return every replicate's value too.
    allow_large : bool
        Compute also what is estimated to take more than a day, or more memory than is free.
    **params
        As in :func:`simulator.predict`.

    Raises
    ------
    TypeError, ValueError
        For a bad argument; the message names it, its value and what is allowed.
    """
    count = checks.whole("replicates", replicates, 1)
    keep_values = checks.flag("keep_values", keep_values)
    with sizes.allowing(allow_large):
        shape, values = broadcast_cells(study, params)
        sizes.check_points(study, math.prod(shape))
        setting = checked_setting(study, method=method, dtype=dtype, seed=seed)
        run = Run(study, single_cells(study, shape, values), setting, keep_values=keep_values)
        with reported(study.name, run.work(count)) as progress:
            run.extend(count, progress=progress)
    return simulation_result(run, shape, values)
