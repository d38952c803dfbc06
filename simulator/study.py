"""The contract of a study: parameters, outputs, relations, and the functions that tie them.

A *study* is one model of the literature. Its module declares ``Params`` (one line per
parameter), ``theory`` (pure, no randomness), one or more simulations of a single replicate, its
``figures`` and last ``STUDY``. Everything else in the package is written against this module:
validation, command line, sweeps, verdicts, plots, documentation pages and the test battery all
read the same declarations.
"""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import numpy as np

from simulator.outputs import (  # isort: skip
    NO_RELATION, Approximate, Asymptotic, Bound, Dispersion, Exact, Exponent, Output, Relation,
    Unrelated, approximate, asymptotic, both, exact, exponent, lower_bound, simulation_only,
    theory_only, upper_bound,
)  # fmt: skip
from simulator import checks, html
from simulator.door import OfArrays, of_arrays
from simulator.paper import Paper
from simulator.parameters import METHODS, Method, Parameter
from simulator.spelling import meant, suggestion

__all__ = [
    "NO_RELATION",
    "RESIDUAL",
    "Approximate",
    "Asymptotic",
    "Bound",
    "Dispersion",
    "Exact",
    "Exponent",
    "Figure",
    "Output",
    "Outputs",
    "Relation",
    "Simulation",
    "Study",
    "Theory",
    "Unrelated",
    "approximate",
    "asymptotic",
    "both",
    "exact",
    "exponent",
    "lower_bound",
    "simulation_only",
    "theory_only",
    "upper_bound",
]

#: Key under which a theory or a simulation may return the relative residual of its solver. The
#: public edge refuses results whose residual exceeds the study's ``residual_tolerance``.
RESIDUAL = "residual"

#: Key under which a simulation may return statistics whose means the study knows: a mapping from
#: the names of ``Study.controls`` (all or some) to arrays. They are no outputs.
CONTROLS = "controls"

Outputs = Mapping[str, jax.Array]
Theory = Callable[[Any], Outputs]
Simulation = Callable[[jax.Array, Any], Outputs]
#: A simulation at a study's door: its ``side`` says what is static for it.
Sampler = OfArrays


# --------------------------------------------------------------------------------------------
# Figures and the study itself
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Figure:
    """One picture of a study, as data: a sweep and how to draw it.

    Attributes
    ----------
    title, caption : str
    x : str
        Swept parameter, or an output dim, on the horizontal axis.
    y : tuple of str
        Outputs drawn (theory as lines, simulation as points with error bars).
    grid : mapping
        The swept values by parameter; theory is drawn on a finer grid of ``x``.
    series : str, optional
        Swept parameter that distinguishes the lines.
    params : mapping
        Fixed parameters that differ from the defaults.
    replicates : int
    xscale, yscale : {"linear", "log"}
    """

    title: str
    x: str
    y: tuple[str, ...]
    grid: Mapping[str, Sequence[Any]]
    series: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    replicates: int = 100
    xscale: Literal["linear", "log"] = "log"
    yscale: Literal["linear", "log"] = "log"
    caption: str = ""


@dataclass(frozen=True)
class Study:
    """One model of the literature, ready for prediction, simulation, sweeps and verdicts.

    Attributes
    ----------
    name : str
        ``paper`` or ``paper.part``.
    title : str
        One line.
    paper : Paper
    params : type
        The dataclass made by :func:`parameters`.
    outputs : tuple of Output
    theory : function ``params -> outputs``, optional
    simulate_direct, simulate_fast, simulate_conditional : ``(key, params) -> outputs``, optional
        One replicate: the model taken literally, another draw from the same law, and part of the
        average taken analytically.
    simulate_path : ``(key, params) -> outputs``, optional
        One replicate whose random key does not depend on the parameters named in ``along``: cells
        that differ in nothing else have common draws, and what does not depend on these parameters
        is computed once for all of them (`simulator.sampling.shared.once`).
    along : tuple of str
    shortcuts : tuple of (method, ``params -> bool``, simulation)
        Cheaper draws from the same law for the (concrete) parameters at which they apply; the
        first that does replaces the method's simulation. Conditional ones may average over more.
        One of the study's own simulations may stand in for another: what is static is its own.
    realised : ``params -> params``, optional
        The (concrete) parameters that a simulation realises where it rounds them, a share of the
        samples to a whole number, say: verdicts take the theory there. Theory itself takes them
        as given, so that it is smooth.
    deterministic : bool
        The simulations draw nothing: every replicate is the same run on given data.
    controls : ``params -> mapping``, optional
        The means, exact at every size, of the statistics that simulations may return beside their
        outputs under the key `CONTROLS`, by name: control variates. They are regressed out of the
        means of all outputs, by few replicates only the first of them; verdicts test their means.
    check_cells : tuple of mappings
        Where ``check`` looks by default (the largest size of the ladder), off special points.
    complete : ``given -> given``, optional
        What follows from the given (checked) parameters is added, before the others get their
        defaults: a length from an array, eigenvalues from a matrix.
    validate : ``(params, side) -> None``, optional
        Raises ``ValueError`` for combinations that the ranges cannot express; ``side`` is
        ``"theory"`` or ``"simulation"``. In :func:`simulator.theory` values may be traced: it may
        return whether they are allowed, and where it needs to know them the function says so.
    coordinates : mapping
        ``dim -> function(params) -> coordinate values`` for output dims that have them.
    figures : mapping name -> Figure
    tolerance : float
        Resolution (relative) that a verdict must reach before it says *agrees*.
    residual_tolerance : float
        Largest relative residual that the public edge accepts from solvers.
    schema_version : int
        Raised when parameters, outputs or the law of the simulation change; part of every cell's
        random key.
    """

    name: str
    title: str
    paper: Paper
    params: Any
    outputs: tuple[Output, ...]
    theory: Theory | None = None
    simulate_direct: Simulation | None = None
    simulate_fast: Simulation | None = None
    simulate_conditional: Simulation | None = None
    simulate_path: Simulation | None = None
    along: tuple[str, ...] = ()
    shortcuts: tuple[tuple[Method, Callable[[Any], bool], Simulation], ...] = ()
    realised: Callable[[Any], Any] | None = None
    deterministic: bool = False
    controls: Callable[[Any], Outputs] | None = None
    check_cells: tuple[Mapping[str, Any], ...] = ({},)
    complete: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    validate: Callable[[Any, str], Any] | None = None
    coordinates: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    tolerance: float = 0.01
    residual_tolerance: float = 1e-6
    schema_version: int = 1

    def __post_init__(self) -> None:
        sides = {"theory": "theory"} | {f"simulate_{method}": method for method in METHODS}
        at_the_door: dict[str, Any] = {
            name: of_arrays(getattr(self, name), side)
            for name, side in sides.items()
            if getattr(self, name) is not None
        }
        own = {getattr(self, f"simulate_{method}"): method for method in METHODS}
        at_the_door["shortcuts"] = tuple(
            (method, applies, of_arrays(simulation, own.get(simulation, method)))
            for method, applies, simulation in self.shortcuts
        )
        for name, value in at_the_door.items():
            object.__setattr__(self, name, value)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A study that a module defines is pickled by the module's name, as functions are."""
        for part in (self.params, self.theory, *self.methods().values()):
            module = getattr(part, "__module__", "__main__")
            if module != "__main__" and getattr(sys.modules.get(module), "STUDY", None) is self:
                return _study_of, (module,)
        return super().__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return f"<Study {self.name}: {self.title}>"

    def _repr_html_(self) -> str:
        """Parameters and outputs, for a notebook."""
        parameters = [
            (p.symbol, name, p.default, p.describe_range(), p.meaning)
            for name, p in self.declarations.items()
        ]
        outputs = [(o.name, ", ".join(o.dims), o.where, o.meaning) for o in self.outputs]
        return (
            html.heading(f"{self.name}: {self.title}", self.paper)
            + html.table(("", "parameter", "default", "allowed", "meaning"), parameters)
            + html.table(("output", "dims", "in", "meaning"), outputs)
        )

    @property
    def declarations(self) -> Mapping[str, Parameter]:
        return self.params.declarations

    def output(self, name: str) -> Output:
        for output in self.outputs:
            if output.name == name:
                return output
        names = [output.name for output in self.outputs]
        raise ValueError(
            f"{self.name} has no output {name!r}{suggestion(name, names)} ({', '.join(names)})"
        )

    def methods(self) -> dict[Method, Simulation]:
        """The simulations this study has, the preferred one first."""
        found = {name: getattr(self, f"simulate_{name}") for name in METHODS}
        return {name: function for name, function in found.items() if function is not None}

    def simulation(self, method: str | None) -> tuple[Method, Simulation]:
        """The simulation called ``method``; ``None`` is the fast one, or else the direct one."""
        methods = self.methods()
        if not methods:
            raise ValueError(f"{self.name} has a theory only: there is nothing to simulate")
        name = next(iter(methods)) if method is None else method
        for known, function in methods.items():
            if isinstance(name, str) and known == name:
                return known, function
        raise ValueError(
            f"method = {checks.shown(method)} is not allowed: {self.name} has {', '.join(methods)}"
            + (suggestion(method, methods) if isinstance(method, str) else "")
        )

    def sampler(self, method: Method, params: Any) -> Sampler:
        """The function that simulates ``method`` at concrete ``params``.

        What is static for it is what is static on its ``side``.
        """
        for shortened, applies, shortcut in self.shortcuts:
            if shortened == method and applies(params):
                return of_arrays(shortcut, method)
        return of_arrays(self.methods()[method], method)

    def drawn_for(self, method: Method) -> list[str]:
        """The parameters that the random key of a cell depends on."""
        common = self.along if method == "path" else ()
        return [name for name in self.declarations if name not in common]

    def check_name(self, name: str) -> Parameter:
        """The declaration of parameter ``name``; ``ValueError`` with the nearest name if none."""
        if name not in self.declarations:
            symbols = {known: parameter.symbols for known, parameter in self.declarations.items()}
            near = " or ".join(repr(known) for known in meant(name, symbols))
            raise ValueError(
                f"{self.name} has no parameter {name!r}{f'; did you mean {near}?' if near else ''} "
                f"(it has {', '.join(self.declarations)})"
            )
        return self.declarations[name]

    def resized(self, values: Mapping[str, Any], factor: float) -> tuple[dict[str, Any], float]:
        """The same problem at (about) ``factor`` times the size, along the parameters that grow.

        Returns
        -------
        values : checked parameters; whole numbers are rounded, and none falls below its range.
        size : the factor by which the first size really changed.
        """
        params = self.params(**values)
        grown, size = dict(values), 1.0
        for name, parameter in reversed(list(self.declarations.items())):
            power = parameter.grows(params) if callable(parameter.grows) else parameter.grows
            if parameter.resampled:
                if np.size(values[name]):
                    grown[name] = parameter.resized(values[name], factor, power)
            elif power:
                grown[name] = parameter.scaled(values[name], factor**power)
            if power == 1:
                size = grown[name] / values[name]
        return self.canonical(grown), size

    def completed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The given parameters, with what follows from them; unknown names are refused."""
        declared = {name: self.check_name(name) for name in given}
        if self.complete is None:
            return dict(given)

        def known(name: str) -> bool:
            return declared[name].type == "array" and not isinstance(given[name], jax.core.Tracer)

        return self.complete(
            {
                name: parameter.canonical(given[name]) if known(name) else given[name]
                for name, parameter in declared.items()
            }
        )

    def mentioned(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that name a cell: all but optional arrays that were not given."""
        return {
            name: value
            for name, value in values.items()
            if not (self.declarations[name].optional and np.size(value) == 0)
        }

    def canonical(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, checked: the given scalars and arrays, defaults for the rest.

        Raises
        ------
        TypeError, ValueError
            For an unknown name, a wrong type, a non-finite value or one out of range.
        """
        given = self.completed(given)
        values = {
            name: parameter.canonical(given.get(name, parameter.default))
            for name, parameter in self.declarations.items()
        }
        for name, parameter in self.declarations.items():
            parameter.check_bounds(values[name], values)
        return values


def _study_of(module: str) -> Study:
    """The study that a module defines."""
    return importlib.import_module(module).STUDY
