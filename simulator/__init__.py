"""Theory curves of modern learning theory, simulations of the same models, and a verdict.

>>> import simulator
>>> simulator.studies()                                            # what there is
>>> simulator.predict("strong-collapse", ridge=[0.01, 0.1, 1.0])   # theory, float64
>>> simulator.simulate("strong-collapse", replicates=200)          # Monte-Carlo of the model
>>> simulator.check("strong-collapse")                             # do they agree?
>>> simulator.optimise("strong-collapse", "test_error", {"ridge": (1e-8, 10.0)})  # the best penalty
"""

from simulator.api import (
    check,
    get,
    open_sweep,
    optimise,
    predict,
    simulate,
    solve,
    studies,
    sweep,
    sweep_status,
)
from simulator.search import NoSolution
from simulator.study import Study
from simulator.sweep import NotConverged, SimulationResult, StoreError
from simulator.verdict import Verdict

__all__ = [
    "NoSolution",
    "NotConverged",
    "SimulationResult",
    "StoreError",
    "Study",
    "Verdict",
    "check",
    "get",
    "open_sweep",
    "optimise",
    "predict",
    "simulate",
    "solve",
    "studies",
    "sweep",
    "sweep_status",
]
