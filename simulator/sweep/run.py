"""Replicates of many cells: compiled once per static signature, vmapped, in batches.

Lanes of a batch are (cell, replicate) pairs. The key of a lane is the cell's key folded with the
replicate's index, and the size of a batch belongs to the program, so that grids, numbers of
replicates and later extensions never change a bit.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from simulator import checks
from simulator.maths.compilation import compiler_options, default_platform, simulation_scope
from simulator.study import RESIDUAL, Simulation, Study
from simulator.sweep import sizes
from simulator.sweep.batch import Cost, batch_size, cost_of, fits_in_memory
from simulator.sweep.cells import Values, identity, key_data
from simulator.sweep.moments import Moments, Summary
from simulator.sweep.predict import NotConverged

LARGEST_INT32 = 2**31 - 1
UNCONVERGED = 1e-3  # share of a cell's replicates whose solver may stall
Progress = Callable[[int], None]


Advanced = Callable[[int], None]


class _Group(NamedTuple):
    sampler: Simulation
    static: tuple[tuple[str, Any], ...]
    members: list[int]


class _Todo(NamedTuple):
    """Replicates that some cells still miss, numbered through, cell by cell."""

    cells: list[int]
    targets: np.ndarray
    first: np.ndarray  # replicate that each cell begins with
    ends: np.ndarray  # number of the task behind each cell's last

    @classmethod
    def of(cls, cells: list[int], counts: Sequence[int], targets: Sequence[int]) -> "_Todo":
        first = np.array([counts[i] for i in cells])
        wanted = np.array([targets[i] for i in cells])
        return cls(cells, wanted, first, np.cumsum(wanted - first))

    @property
    def total(self) -> int:
        return int(self.ends[-1])

    def tasks(self, start: int, lanes: int) -> tuple[np.ndarray, np.ndarray]:
        """Row (position in ``cells``) and replicate of each lane; the last task pads."""
        task = np.minimum(np.arange(start, start + lanes), self.total - 1)
        rows = np.searchsorted(self.ends, task, side="right")
        return rows, self.targets[rows] - (self.ends[rows] - task)


class Replicates:
    """The replicates of a list of cells; ask for more with :meth:`extend`.

    Parameters
    ----------
    study : Study
    cells : checked parameters, one dict of plain values per cell
    seed : int
    method : {"fast", "direct", "conditional"}, optional
    dtype : {"float32", "float64"}, optional
        float64 on CPU and float32 on accelerators unless given.
    keep_values : bool
        Keep every replicate's value (``values``), not only the moments.
    """

    def __init__(
        self,
        study: Study,
        cells: Sequence[Values],
        *,
        seed: int = 0,
        method: str | None = None,
        dtype: str | None = None,
        keep_values: bool = False,
    ) -> None:
        self.study = study
        self.cells = list(cells)
        self.method, _ = study.simulation(method)
        self.dtype = checked_dtype(dtype)
        self.seed = checks.seed(seed)
        self.counts = [0] * len(self.cells)
        self.values: list[dict[str, list[np.ndarray]]] | None = (
            [{} for _ in self.cells] if keep_values else None
        )
        self._moments: list[dict[str, Moments]] = [{} for _ in self.cells]
        for cell in self.cells:
            _check_for_simulation(study, cell, self.method)
        self._keys = [
            key_data(identity(study, c, method=self.method, dtype=self.dtype, seed=self.seed))
            for c in self.cells
        ]
        self._groups = self._grouped()
        self.failures: dict[int, str] = {}
        self.unconverged = [0] * len(self.cells)
        self.worst_residual = 0.0

    def _grouped(self) -> list["_Group"]:
        """Cells that share one compiled program: sampler, static values, shapes of arrays."""
        declared = self.study.declarations
        groups: dict[Any, _Group] = {}
        for index, cell in enumerate(self.cells):
            sampler = self.study.sampler(self.method, self.study.params(**cell))
            static = tuple((n, cell[n]) for n, p in declared.items() if p.is_static(self.method))
            shapes = tuple(np.shape(cell[n]) for n, p in declared.items() if p.type == "array")
            group = groups.setdefault((sampler, static, shapes), _Group(sampler, static, []))
            group.members.append(index)
        return list(groups.values())

    def extend(
        self,
        replicates: int | Sequence[int],
        progress: Progress | None = None,
        advanced: Advanced | None = None,
    ) -> None:
        """Run until each cell has (at least) the given number of replicates.

        Parameters
        ----------
        replicates : one number, or one per cell
        progress : called with the number of replicates of every batch, optional
        advanced : called with the index of a cell whenever it has more replicates, optional
            With it, a cell that fails is noted in ``failures`` and the others go on; without it
            the failure is raised.
        """
        targets = [replicates] * len(self.cells) if isinstance(replicates, int) else replicates
        if advanced is None:
            self.check_size(targets)
        for group in self._groups:
            missing = [i for i in group.members if self.counts[i] < targets[i]]
            if missing:
                todo = _Todo.of(missing, self.counts, targets)
                self._run_group(group, todo, progress, advanced)

    def check_size(self, targets: Sequence[int]) -> None:
        """Refuse what would take days, or more memory than there is, before it begins."""
        costs = []
        kept = 0.0
        with simulation_scope(self.dtype):
            for group in self._groups:
                count = sum(max(targets[i] - self.counts[i], 0) for i in group.members)
                if count:
                    _, size, cost = self._program(group)
                    costs.append((cost, count, size))
                    kept += count * cost.results
        if costs:
            sizes.check_simulation(self.study, self.cells, costs)
        if self.values is not None:
            sizes.check_values(self.study, max(targets), kept)

    def restore(self, index: int, count: int, moments: Mapping[str, Mapping]) -> None:
        """Go on from what another process computed of a cell."""
        self.counts[index] = count
        self._moments[index] = {name: Moments.from_state(state) for name, state in moments.items()}

    def state(self, index: int) -> dict[str, dict[str, np.ndarray]]:
        """The moments of every output of one cell, for :meth:`restore`."""
        return {name: moments.state() for name, moments in self._moments[index].items()}

    def groups(self) -> list[tuple[list[int], int]]:
        """Cells that share one compiled program, and how many replicates make a batch of it."""
        with simulation_scope(self.dtype):
            return [(list(group.members), self._program(group)[1]) for group in self._groups]

    def shapes(self) -> list[dict[str, tuple[int, ...]]]:
        """Shapes of the simulated outputs of every cell, without running any."""
        found: list[dict[str, tuple[int, ...]]] = [{} for _ in self.cells]
        for group in self._groups:
            with simulation_scope(self.dtype):
                outputs = self._traced_lane(group)[1].out_info
            shapes = {name: value.shape for name, value in outputs.items() if name != RESIDUAL}
            for index in group.members:
                found[index] = dict(shapes)
        return found

    def summary(self, index: int) -> dict[str, Summary]:
        """Moments of every output of one cell."""
        return {name: moments.summary() for name, moments in self._moments[index].items()}

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the results has to know: replicates whose solver stalled."""
        stalled = sum(self.unconverged)
        if not stalled:
            return ()
        return (
            f"{stalled} of {sum(self.counts)} replicates converged only to a relative residual "
            f"of {self.worst_residual:.1e}, not {self.study.residual_tolerance:.0e}",
        )

    def _run_group(
        self, group: _Group, todo: "_Todo", progress: Progress | None, advanced: Advanced | None
    ) -> None:
        keys = np.stack([self._keys[i] for i in todo.cells])
        with simulation_scope(self.dtype):
            num_devices = len(jax.local_devices())
            traced = self._traced(todo.cells)
            program, size, cost = self._program(group)
            lanes = size * num_devices
            start = 0
            computed: tuple[np.ndarray, np.ndarray, Any] | None = None
            while start < todo.total:
                rows, replicate = todo.tasks(start, lanes)
                arguments = (
                    jnp.asarray(keys[rows]),
                    jnp.asarray(replicate, dtype=jnp.int32),
                    {name: jnp.asarray(values[rows]) for name, values in traced.items()},
                )
                fits = start > 0 or fits_in_memory(
                    program, arguments, cost.memory * lanes / num_devices
                )
                out = _unless_out_of_memory(program, *arguments) if fits else None
                # The host digests one batch while the device computes the next. Never two
                # programs in flight: on the CPU they compete for one thread pool, and LAPACK
                # calls in both can starve each other for ever.
                if computed is not None:
                    self._digest(todo, *computed, progress, advanced)
                    computed = None
                if out is None or _unless_out_of_memory(jax.block_until_ready, out) is None:
                    if lanes <= num_devices:
                        self._give_up(todo, advanced)
                        break
                    lanes //= 2
                    continue
                kept = min(lanes, todo.total - start)
                computed = (rows[:kept], replicate[:kept], out)
                start += kept
            if computed is not None:
                self._digest(todo, *computed, progress, advanced)

    def _program(self, group: _Group) -> tuple[Callable, int, Cost]:
        """What runs a batch, its lanes per device, and what a lane costs."""
        program, traced = self._traced_lane(group)
        one_lane = traced.jaxpr.jaxpr
        length = sizes.longest_loop(self.study, self.cells[group.members[0]], self.method)
        return program, batch_size(one_lane), cost_of(one_lane, length)

    def _traced_lane(self, group: _Group) -> tuple[Callable, Any]:
        """What runs a batch, and the trace of one of its lanes."""
        devices = tuple(jax.local_devices())
        one, program = _compiled(group.sampler, self.study.params, group.static, devices)
        index = group.members[0]
        first = {name: values[0] for name, values in self._traced([index]).items()}
        return program, one.trace(self._keys[index], np.int32(0), first)

    def _traced(self, cells: Sequence[int]) -> dict[str, np.ndarray]:
        """The traced parameters of some cells, one row per cell."""
        return {
            name: np.stack([_leaf(p.type, self.cells[i][name], self.dtype) for i in cells])
            for name, p in self.study.declarations.items()
            if not p.is_static(self.method)
        }

    def _give_up(self, todo: "_Todo", advanced: Advanced | None) -> None:
        """Not even one replicate fits into memory: none of these cells can be computed."""
        for index, target in zip(todo.cells, todo.targets, strict=True):
            if self.counts[index] >= target or index in self.failures:
                continue
            message = (
                f"{self.study.name}: one replicate of {describe(self.cells[index])} does not fit "
                f"into the memory that is free (method {self.method}, {self.dtype}); choose a "
                "smaller size, dtype='float32', another method, or a machine with more memory"
            )
            if advanced is None:
                raise MemoryError(message)
            self.failures[index] = message
            advanced(index)

    def _digest(
        self,
        todo: "_Todo",
        rows: np.ndarray,
        replicate: np.ndarray,
        out: Mapping[str, Any],
        progress: Progress | None,
        advanced: Advanced | None,
    ) -> None:
        arrays = {name: np.asarray(v, dtype=np.float64)[: len(rows)] for name, v in out.items()}
        starts = np.flatnonzero(np.r_[True, np.diff(rows) != 0])
        for begin, end in zip(starts, [*starts[1:], len(rows)], strict=True):
            index = todo.cells[rows[begin]]
            if index in self.failures:
                continue
            try:
                mine = {name: values[begin:end] for name, values in arrays.items()}
                most = 0 if advanced else max(1, int(UNCONVERGED * todo.targets[rows[begin]]))
                self._accept(index, self._checked(index, mine, int(replicate[begin]), most))
                self.counts[index] = int(replicate[end - 1]) + 1
            except (NotConverged, FloatingPointError) as error:
                if advanced is None:
                    raise
                self.failures[index] = str(error)
            if advanced is not None:
                advanced(index)
        if progress is not None:
            progress(len(rows))

    def _checked(
        self, index: int, out: Mapping[str, np.ndarray], first: int, most_unconverged: int
    ) -> dict:
        """The outputs of some replicates, refused together if one of them cannot be used.

        A few whose solver stalled are counted and kept: to leave them out would bias the mean,
        whereas a residual up to the square root of the tolerance in a thousandth of the replicates
        moves it by less than any error bar. Stores, whose records cannot tell, take none.
        """
        study = self.study
        residual = out.get(RESIDUAL)
        if residual is not None and not np.all(residual <= study.residual_tolerance):
            stalled = int(np.sum(~(residual <= study.residual_tolerance)))
            usable = np.all(residual <= study.residual_tolerance**0.5)
            if not usable or self.unconverged[index] + stalled > most_unconverged:
                raise NotConverged(
                    f"{study.name}: the {self.method} simulation did not converge (relative "
                    f"residual {np.max(residual):.1e} > {study.residual_tolerance:.0e}) "
                    f"at {describe(self.cells[index])}"
                )
            self.unconverged[index] += stalled
            self.worst_residual = max(self.worst_residual, float(np.max(residual)))
        outputs = {name: values for name, values in out.items() if name != RESIDUAL}
        for name, values in outputs.items():
            undefined = np.isnan(values).reshape(len(values), -1).any(axis=1)
            if undefined.any() and not study.output(name).nan_where_undefined:
                raise FloatingPointError(
                    f"{study.name}: {name} came out as not-a-number in replicate "
                    f"{first + int(np.argmax(undefined))} of {describe(self.cells[index])} "
                    f"(method {self.method}, {self.dtype}); try dtype='float64'"
                )
        return outputs

    def _accept(self, index: int, outputs: Mapping[str, np.ndarray]) -> None:
        for name, values in outputs.items():
            self._moments[index].setdefault(name, Moments()).update(values)
            if self.values is not None:
                self.values[index].setdefault(name, []).append(values)


def _unless_out_of_memory(function: Callable, *arguments: Any) -> Any:
    """The result, or None if the device has no memory for it: at the call, or when waiting."""
    try:
        return function(*arguments)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return None


def checked_dtype(dtype: Any) -> str:
    """The name of a simulation dtype; the default depends on the device."""
    if dtype is None:
        return "float64" if default_platform() == "cpu" else "float32"
    return checks.dtype(dtype)


def describe(cell: Mapping[str, Any]) -> str:
    """The parameters of a cell in one line."""
    return ", ".join(f"{name} = {value}" for name, value in cell.items())


def _check_for_simulation(study: Study, cell: Values, method: str) -> None:
    sizes.check_static(study, cell, method)
    if study.validate is not None:
        study.validate(study.params(**cell), "simulation")
    for name, parameter in study.declarations.items():
        counted = parameter.type == "int" and not parameter.is_static(method)
        if counted and cell[name] > LARGEST_INT32:
            raise ValueError(
                f"{name} = {cell[name]} is not allowed: simulations take whole numbers "
                f"up to {LARGEST_INT32}"
            )


def _leaf(kind: str, value: Any, dtype: str) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(np.int32 if kind == "int" or array.dtype.kind == "i" else dtype)


def _one_lane(simulate: Any, params_class: Any, static: tuple[tuple[str, Any], ...]) -> Any:
    def one(raw_key: jax.Array, replicate: jax.Array, traced: Mapping[str, Any]) -> Any:
        key = jax.random.wrap_key_data(raw_key, impl="threefry2x32")
        return simulate(jax.random.fold_in(key, replicate), params_class(**dict(static), **traced))

    return one


@functools.lru_cache(maxsize=256)
def _compiled(
    simulate: Any,
    params_class: Any,
    static: tuple[tuple[str, Any], ...],
    devices: tuple[jax.Device, ...],
) -> Any:
    """One lane, and a batch of lanes on each device; the inner `jit` lets both share one trace."""
    one = jax.jit(_one_lane(simulate, params_class, static))
    batch = jax.vmap(one)
    if len(devices) > 1:  # the very program of one device on each: no bit depends on their number
        lanes = jax.sharding.PartitionSpec("lanes")
        mesh = jax.sharding.Mesh(np.array(devices), ("lanes",))
        batch = jax.shard_map(batch, mesh=mesh, in_specs=lanes, out_specs=lanes, check_vma=False)
    return one, jax.jit(batch, compiler_options=compiler_options(devices[0].platform))
