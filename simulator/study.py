"""The contract of a study: parameters, outputs, relations, and the functions that tie them.

A *study* is one model of the literature. Its module declares ``Params`` (one line per
parameter), ``theory`` (pure, no randomness), one or more simulations of a single replicate, its
``figures`` and last ``STUDY``. Everything else in the package is written against this module:
validation, command line, sweeps, verdicts, plots, documentation pages and the test battery all
read the same declarations.
"""

import dataclasses
import difflib
import importlib
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol

import jax
import numpy as np

from simulator import checks
from simulator.arrays import holds_mask, plain_array

RESERVED_PARAMETERS = frozenset(
    {"name", "grid", "seed", "replicates", "method", "dtype", "keep_values", "out", "retry_failed"}
    | {"dask", "tolerance", "max_replicates", "family_wise_error", "allow_large"}
    | {"study", "output", "over", "maximise", "equals", "which", "at", "points"}
)
#: Key under which a theory or a simulation may return the relative residual of its solver. The
#: public edge refuses results whose residual exceeds the study's ``residual_tolerance``.
RESIDUAL = "residual"

Outputs = Mapping[str, jax.Array]
Theory = Callable[[Any], Outputs]
Simulation = Callable[[jax.Array, Any], Outputs]
Method = Literal["direct", "fast", "conditional"]
METHODS: tuple[Method, ...] = ("fast", "direct", "conditional")
Bound = float | str
#: Numbers beyond it are infinite to whatever is computed of them.
LARGEST = int(np.finfo(np.float64).max)


# --------------------------------------------------------------------------------------------
# Parameters
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Parameter:
    """Declaration of one parameter.

    Attributes
    ----------
    name, symbol, meaning : str
        Name in code, symbol in the paper, one line of prose.
    type : {"int", "float", "choice", "array"}
    default : value used when the parameter is not given.
    static : bool
        It fixes array shapes or program structure: a new value means a new compilation.
    static_in : tuple of str
        Simulation methods in which a traced parameter is static all the same, because it fixes
        the shape of drawn data: often ``("direct",)``, where rows are drawn one by one.
    traced_in : tuple of str
        Sides (``"theory"``, simulation methods) that take a static parameter traced all the same:
        a length over which they loop. Reverse differentiation through the loop needs it static.
    at_least, above, at_most, below : number or str, optional
        Closed and open bounds; a string names another parameter, as in ``"dim"`` or ``"dim + 2"``.
    integer : bool
        The value must be a whole number (always true for ``int``).
    infinite : bool
        ``inf`` is a legal value.
    choices : tuple of str
    dims : tuple of str
        Dims of an array parameter; an empty array means "not given".
    """

    name: str
    type: Literal["int", "float", "choice", "array"]
    default: Any
    symbol: str
    meaning: str
    static: bool = False
    static_in: tuple[str, ...] = ()
    traced_in: tuple[str, ...] = ()
    at_least: Bound | None = None
    above: Bound | None = None
    at_most: Bound | None = None
    below: Bound | None = None
    integer: bool = False
    infinite: bool = False
    choices: tuple[str, ...] = ()
    dims: tuple[str, ...] = ()

    @property
    def is_scalar_number(self) -> bool:
        return self.type in ("int", "float")

    @property
    def is_whole(self) -> bool:
        """The values are whole numbers."""
        return self.integer or self.type == "int"

    def is_static(self, side: str) -> bool:
        """Static on this side: ``"theory"`` or a simulation method."""
        if self.static:
            return side not in self.traced_in
        return side in self.static_in

    def describe_range(self) -> str:
        """What is allowed, in words, for help texts and errors."""
        if self.type == "choice":
            return "one of " + ", ".join(self.choices)
        bounds = [
            f"{sign} {value:g}" if not isinstance(value, str) else f"{sign} {value}"
            for sign, value in ((">=", self.at_least), (">", self.above), ("<=", self.at_most))
            if value is not None
        ]
        if self.below is not None:
            bounds.append(f"< {self.below}")
        kind = "a whole number" if self.is_whole else "a finite number"
        if self.type == "array":
            kind = f"an array with dims ({', '.join(self.dims)}) of " + (
                "whole numbers" if self.integer else "finite numbers"
            )
        if self.infinite:
            kind = kind.replace("finite ", "") + " or inf"
        return f"{kind} {' and '.join(bounds)}".rstrip()

    # -- validation ---------------------------------------------------------------------------
    def canonical(self, value: Any) -> Any:
        """Check type and finiteness; return a Python number, string, or (tuple of) array values.

        Raises
        ------
        TypeError, ValueError
            Naming the parameter, the value and what is allowed.
        """
        if self.type == "choice":
            if not isinstance(value, str):
                raise TypeError(self._refusal(value))
            if value not in self.choices:
                raise ValueError(self._refusal(value) + suggestion(value, self.choices))
            return value
        if self.type == "array":
            return self._canonical_array(value)
        return self._canonical_number(value)

    def _canonical_number(self, value: Any) -> float | int:
        number = value
        if type(value) is not int:  # of which NumPy takes no more than 64 bits
            array = self._numeric(value)
            if array.ndim != 0:
                raise TypeError(self._refusal(value))
            number = array.item()
        elif abs(value) > LARGEST:
            raise ValueError(self._refusal(value))
        if math.isnan(number) or (math.isinf(number) and not (self.infinite and number > 0)):
            raise ValueError(self._refusal(value))
        if self.is_whole and math.isfinite(number):
            if number != int(number):
                raise ValueError(self._refusal(value))
            if self.type == "int":
                return int(number)
        return float(number) + 0.0 if self.type == "float" else number  # -0.0 is 0.0

    def _canonical_array(self, value: Any) -> Any:
        array = self._numeric(value)
        if array.size == 0:
            return () if self.static else np.zeros((0,) * len(self.dims))
        if array.ndim != len(self.dims):
            raise ValueError(
                f"{self._refusal(value)}; got {array.ndim} dims of shape {array.shape}"
            )
        if not np.all(np.isfinite(array)):
            raise ValueError(self._refusal(value))
        if self.integer and np.any(array != np.round(array)):
            raise ValueError(self._refusal(value))
        array = array.astype(int) if self.integer else array.astype(float) + 0.0  # -0.0 is 0.0
        return _nested_tuple(array) if self.static else array

    def _numeric(self, value: Any) -> np.ndarray:
        """The array that ``value`` is: of numbers, none of which is masked."""
        if isinstance(value, (str, bytes)) or value is None:
            raise TypeError(self._refusal(value))
        try:
            array = plain_array(value)
        except (TypeError, ValueError, OverflowError, Warning) as error:
            raise TypeError(self._refusal(value)) from error
        if array.dtype.kind == "O" and all(type(v) is int for v in array.flat):
            if any(abs(v) > LARGEST for v in array.flat):
                raise ValueError(self._refusal(value))
            return array.astype(np.float64)  # more than 64 bits
        if array.size and array.dtype.kind not in "iuf":
            raise TypeError(self._refusal(value))
        return array

    def canonical_grid(self, given: Any) -> np.ndarray:
        """Check an array of values of a scalar traced parameter; return it as float64."""
        if self.static or not self.is_scalar_number:
            raise ValueError(
                f"{self.name} does not take a grid of values here: "
                + (f"it is {self.describe_range()}" if self.type != "array" else "it is an array")
                + (", static; sweep over it with `sweep`" if self.static else "")
            )
        grid = self._numeric(given).astype(np.float64) + 0.0  # -0.0 is 0.0
        legal = np.isfinite(grid) | (self.infinite & (grid == np.inf))
        if self.is_whole:
            legal &= np.isinf(grid) | (grid == np.round(np.where(legal, grid, 0.0)))
        if not legal.all():
            raise ValueError(self._refusal(grid[~legal].flat[0]))
        return grid

    def check_bounds(self, value: Any, values: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` if ``value`` (or any entry of it) is out of range.

        Bounds may name other parameters, whose values are looked up in ``values``.
        """
        if self.type == "choice":
            return
        array = np.asarray(value, dtype=float)
        tests = (
            (self.at_least, np.greater_equal),
            (self.above, np.greater),
            (self.at_most, np.less_equal),
            (self.below, np.less),
        )
        for bound, holds in tests:
            if bound is None or array.size == 0:
                continue
            limit = _bound_value(bound, values)
            wrong, limit = np.broadcast_arrays(~holds(array, limit), limit)
            if wrong.any():
                shown = np.broadcast_to(array, wrong.shape)[wrong].flat[0]
                where = f" (here {bound} = {limit[wrong].flat[0]:g})" * isinstance(bound, str)
                raise ValueError(self._refusal(f"{shown:g}", literal=True) + where)

    def _refusal(self, value: Any, literal: bool = False) -> str:
        shown = value if literal else checks.shown(value)
        mask = ", without a mask: fill, or drop, what is masked" if holds_mask(value) else ""
        return f"{self.name} = {shown} is not allowed: it must be {self.describe_range()}{mask}"


def _nested_tuple(array: np.ndarray) -> Any:
    if array.ndim == 1:
        return tuple(array.tolist())
    return tuple(_nested_tuple(row) for row in array)


_BOUND_PATTERN = re.compile(r"^\s*(\w+)\s*(?:([+-])\s*(\d+))?\s*$")


def _bound_value(bound: Bound, values: Mapping[str, Any]) -> np.ndarray:
    if not isinstance(bound, str):
        return np.asarray(float(bound))
    match = _BOUND_PATTERN.match(bound)
    if match is None or match[1] not in values:
        raise ValueError(f"the bound {bound!r} does not name a parameter")
    offset = float(match[3] or 0) * (-1 if match[2] == "-" else 1)
    return np.asarray(values[match[1]], dtype=float) + offset


def suggestion(name: str, allowed: Sequence[str]) -> str:
    """``"; did you mean 'ridge'?"`` for the nearest allowed name, or an empty string."""
    near = difflib.get_close_matches(name, list(allowed), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def static(default: Any, symbol: str, meaning: str, **bounds: Any) -> Any:
    """Declare a static parameter: a new value means a new compilation.

    With ``traced_in=("theory", "fast")`` the engine traces it on these sides, as a whole number.
    """
    return _declare(default, symbol, meaning, static=True, **bounds)


def traced(default: Any, symbol: str, meaning: str, **bounds: Any) -> Any:
    """Declare a traced parameter: a whole grid of values shares one compilation.

    With ``static_in_simulation=True`` it is traced in the theory only; ``static_in=("direct",)``
    makes it static in the named simulation methods.
    """
    if bounds.pop("static_in_simulation", False):
        bounds["static_in"] = METHODS
    return _declare(default, symbol, meaning, **bounds)


def choice(default: str, choices: Sequence[str], symbol: str, meaning: str) -> Any:
    """Declare a (static) choice between named options."""
    return _declare(default, symbol, meaning, static=True, choices=tuple(choices))


def array(
    default: Any, symbol: str, meaning: str, *, dims: Sequence[str], static: bool = False, **bounds
) -> Any:
    """Declare an array parameter: traced values (unless ``static``) of static shape.

    ``default`` is a (nested) tuple; the empty tuple means "not given".
    """
    return _declare(default, symbol, meaning, dims=tuple(dims), static=static, **bounds)


def _declare(default: Any, symbol: str, meaning: str, **options: Any) -> Any:
    options.update(symbol=symbol, meaning=meaning)
    return field(default=default, metadata={"declaration": options})


_TYPES: dict[Any, str] = {int: "int", float: "float", str: "choice"}


def parameters(cls: type) -> Any:
    """Class decorator: turn declarations into a frozen dataclass registered as a pytree.

    Traced fields are leaves; static fields are part of the tree's structure, so that
    ``jax.jit``, ``jax.vmap`` and ``jax.grad`` apply to ``theory`` directly.
    """
    cls = dataclass(frozen=True, kw_only=True)(cls)
    declared: dict[str, Parameter] = {}
    for item in dataclasses.fields(cls):
        if item.name in RESERVED_PARAMETERS:
            raise ValueError(f"{cls.__qualname__}.{item.name}: the name is reserved")
        options = item.metadata["declaration"]
        kind: Any = "array" if options.get("dims") else _TYPES[item.type]
        declared[item.name] = Parameter(name=item.name, type=kind, default=item.default, **options)
    # By name: the type checker does not know the attribute.
    setattr(cls, "declarations", MappingProxyType(declared))  # noqa: B010
    return jax.tree_util.register_dataclass(
        cls,
        data_fields=[name for name, p in declared.items() if not p.static],
        meta_fields=[name for name, p in declared.items() if p.static],
    )


# --------------------------------------------------------------------------------------------
# Outputs
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Relation:
    """How the simulated mean of an output relates to its theory value.

    Attributes
    ----------
    kind : {"exact", "asymptotic", "lower_bound", "upper_bound", "exponent", "none"}
    rate : float, optional
        ``asymptotic``: the relative error falls as size^-rate along ``Study.resize``.
    accuracy : float, optional
        ``asymptotic`` without an established rate: the declared relative accuracy.
    of : str, optional
        The simulated output this theory value speaks of, where it is another one
        (``test_error_upper_bound`` bounds ``test_error``).
    note : str
        The statement in words, for the documentation.
    """

    kind: Literal["exact", "asymptotic", "lower_bound", "upper_bound", "exponent", "none"]
    rate: float | None = None
    accuracy: float | None = None
    of: str | None = None
    note: str = ""


def exact(note: str = "", *, of: str | None = None) -> Relation:
    """Means are equal at this very size."""
    return Relation("exact", note=note, of=of)


def asymptotic(
    note: str = "",
    *,
    rate: float | None = 1.0,
    accuracy: float | None = None,
    of: str | None = None,
) -> Relation:
    """Equal as the size grows: error O(size^-rate), or within ``accuracy`` if rate is None."""
    if (rate is None) == (accuracy is None):
        raise ValueError("an asymptotic relation states a rate, or an accuracy and rate=None")
    return Relation("asymptotic", rate=rate, accuracy=accuracy, note=note, of=of)


def lower_bound(note: str = "", *, of: str | None = None) -> Relation:
    """Theory bounds the simulated mean from below."""
    return Relation("lower_bound", note=note, of=of)


def upper_bound(note: str = "", *, of: str | None = None) -> Relation:
    """Theory bounds the simulated mean from above."""
    return Relation("upper_bound", note=note, of=of)


def exponent(note: str = "", *, of: str | None = None) -> Relation:
    """Theory is the log-log slope of the simulated mean along ``Study.resize``."""
    return Relation("exponent", note=note, of=of)


NO_RELATION = Relation("none")


@dataclass(frozen=True)
class Dispersion:
    """The output is the spread of another output over replicates."""

    statistic: Literal["std", "variance"]
    of: str


@dataclass(frozen=True)
class Output:
    """Declaration of one output.

    Attributes
    ----------
    name, meaning : str
    relation : Relation, or a function of the (concrete) parameters that returns one
    dims : tuple of str
        Named dims of the array; scalars have none.
    where : {"both", "theory", "simulation"}
    dispersion : Dispersion, optional
        The engine computes it from the replicates; the simulation does not return it.
    model_std : str, optional
        Theory output that holds the standard deviation of one replicate of this output, whose
        replicates lie in [0, 1] (probabilities of rare events). Verdicts use it where the
        replicates' tails are too heavy for their own standard error.
    nan_where_undefined : bool
        The theory returns NaN where the docstring says that no value is defined.
    """

    name: str
    meaning: str
    relation: Relation | Callable[[Any], Relation] = NO_RELATION
    dims: tuple[str, ...] = ()
    where: Literal["both", "theory", "simulation"] = "both"
    dispersion: Dispersion | None = None
    model_std: str | None = None
    nan_where_undefined: bool = False

    def relation_at(self, params: Any) -> Relation:
        """The relation that holds at ``params`` (concrete values)."""
        return self.relation(params) if callable(self.relation) else self.relation

    @property
    def in_theory(self) -> bool:
        return self.where in ("both", "theory")

    @property
    def in_simulation(self) -> bool:
        return self.where in ("both", "simulation")


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


class Resize(Protocol):
    """Return the parameters of the same problem at ``factor`` times the size."""

    def __call__(self, params: Any, factor: float, /) -> Any: ...


@dataclass(frozen=True)
class Study:
    """One model of the literature, ready for prediction, simulation, sweeps and verdicts.

    Attributes
    ----------
    name : str
        ``paper`` or ``paper.part``.
    title, reference : str
        One line each; the reference holds the arXiv id.
    params : type
        The dataclass made by :func:`parameters`.
    outputs : tuple of Output
    theory : function ``params -> outputs``, optional
    simulate_direct, simulate_fast, simulate_conditional : ``(key, params) -> outputs``, optional
        One replicate: the model taken literally, another draw from the same law, and part of the
        average taken analytically.
    shortcuts : tuple of (``params -> bool``, simulation)
        Cheaper draws from the same law for the (concrete) parameters at which they apply; the
        first that does replaces ``simulate_fast``.
    resize : ``(params, factor) -> params``, optional
        The ladder along which asymptotic relations are extrapolated; needed if any output is
        asymptotic with a rate.
    realised : ``params -> params``, optional
        The (concrete) parameters that a simulation realises where it rounds them, a share of the
        samples to a whole number, say: verdicts take the theory there. Theory itself takes them
        as given, so that it is smooth.
    check_cells : tuple of mappings
        Where ``check`` looks by default (the largest size of the ladder), off special points.
    validate : ``(params, side) -> None``, optional
        Raises ``ValueError`` for combinations that the ranges cannot express; ``side`` is
        ``"theory"`` or ``"simulation"`` and the values are concrete.
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
    reference: str
    params: Any
    outputs: tuple[Output, ...]
    theory: Theory | None = None
    simulate_direct: Simulation | None = None
    simulate_fast: Simulation | None = None
    simulate_conditional: Simulation | None = None
    shortcuts: tuple[tuple[Callable[[Any], bool], Simulation], ...] = ()
    resize: Resize | None = None
    realised: Callable[[Any], Any] | None = None
    check_cells: tuple[Mapping[str, Any], ...] = ({},)
    validate: Callable[[Any, str], None] | None = None
    coordinates: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    tolerance: float = 0.01
    residual_tolerance: float = 1e-6
    schema_version: int = 1

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A study that a module defines is pickled by the module's name, as functions are."""
        for part in (self.params, self.theory, *self.methods().values()):
            module = getattr(part, "__module__", "__main__")
            if module != "__main__" and getattr(sys.modules.get(module), "STUDY", None) is self:
                return _study_of, (module,)
        return super().__reduce_ex__(protocol)

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
        )

    def sampler(self, method: Method, params: Any) -> Simulation:
        """The function that simulates ``method`` at concrete ``params``."""
        if method == "fast":
            for applies, shortcut in self.shortcuts:
                if applies(params):
                    return shortcut
        return self.methods()[method]

    def check_name(self, name: str) -> Parameter:
        """The declaration of parameter ``name``; ``ValueError`` with the nearest name if none."""
        if name not in self.declarations:
            raise ValueError(
                f"{self.name} has no parameter {name!r}{suggestion(name, list(self.declarations))} "
                f"(it has {', '.join(self.declarations)})"
            )
        return self.declarations[name]

    def canonical(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, checked: the given scalars and arrays, defaults for the rest.

        Raises
        ------
        TypeError, ValueError
            For an unknown name, a wrong type, a non-finite value or one out of range.
        """
        for name in given:
            self.check_name(name)
        values = {
            name: parameter.canonical(given.get(name, parameter.default))
            for name, parameter in self.declarations.items()
        }
        for name, parameter in self.declarations.items():
            parameter.check_bounds(values[name], values)
        return values

    def resolve(self, given: Mapping[str, Any], side: Literal["theory", "simulation"]) -> Any:
        """A checked ``Params`` of concrete values, for one side."""
        params = self.params(**self.canonical(given))
        if self.validate is not None:
            self.validate(params, side)
        return params


def _study_of(module: str) -> Study:
    """The study that a module defines."""
    return importlib.import_module(module).STUDY
