"""Theory curves of modern learning theory, simulations of the same models, and a verdict.

>>> import simulator
>>> simulator.studies()                                            # what there is
>>> simulator.predict("strong-collapse", ridge=[0.01, 0.1, 1.0])   # theory, float64
>>> simulator.simulate("strong-collapse", replicates=200)          # Monte-Carlo of the model
>>> simulator.check("strong-collapse")                             # do they agree?
>>> simulator.optimise("strong-collapse", "test_error", {"ridge": (1e-8, 10.0)})  # the best penalty
>>> simulator.fit("losses.csv").plan(flop=1e21)                    # your own runs: what to train

Importing the package imports nothing else: JAX comes with the first name that is used, so that an
application can settle JAX's environment first.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator import studies
    from simulator.api import (
        check,
        cite,
        get,
        open_sweep,
        optimise,
        predict,
        register,
        simulate,
        solve,
        sweep,
        sweep_status,
        theory,
    )
    from simulator.engine.results import SimulationResult
    from simulator.engine.theory import NotConverged
    from simulator.paper import Paper
    from simulator.planner.artefact import load_fit
    from simulator.planner.decisions import Plan
    from simulator.planner.fit import fit
    from simulator.planner.result import Fit
    from simulator.results import plot, save, to_dataframe
    from simulator.search import NoSolution
    from simulator.store.files import StoreError
    from simulator.study import Study
    from simulator.verdict import Verdict

__version__: str

__all__ = [
    "Fit",
    "NoSolution",
    "NotConverged",
    "Paper",
    "Plan",
    "SimulationResult",
    "StoreError",
    "Study",
    "Verdict",
    "check",
    "cite",
    "fit",
    "get",
    "load_fit",
    "open_sweep",
    "optimise",
    "plot",
    "predict",
    "register",
    "save",
    "simulate",
    "solve",
    "studies",
    "sweep",
    "sweep_status",
    "theory",
    "to_dataframe",
]

_HOMES = {
    "Fit": "simulator.planner.result",
    "Plan": "simulator.planner.decisions",
    "fit": "simulator.planner.fit",
    "load_fit": "simulator.planner.artefact",
    "NoSolution": "simulator.search",
    "NotConverged": "simulator.engine.theory",
    "SimulationResult": "simulator.engine.results",
    "StoreError": "simulator.store.files",
    "Paper": "simulator.paper",
    "Study": "simulator.study",
    "Verdict": "simulator.verdict",
    **dict.fromkeys(("plot", "save", "to_dataframe"), "simulator.results"),
}
#: The module that each public name comes from; `studies` is a package, which can be called.
_PUBLIC = {name: _HOMES.get(name, "simulator.api") for name in __all__ if name != "studies"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("theory-simulator")
    if name in _PUBLIC:
        globals()[name] = getattr(importlib.import_module(_PUBLIC[name]), name)
        return globals()[name]
    found = None if name.startswith("_") else importlib.util.find_spec(f"{__name__}.{name}")
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if found.submodule_search_locations:  # the verbs bring the modules of all packages
        importlib.import_module("simulator.api")
    return importlib.import_module(found.name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
