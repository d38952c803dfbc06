"""One compiled program and the cells that share it.

Lanes of a batch are (cell, replicate) pairs. The key of a lane is the cell's key folded with the
replicate's index, and the size of a batch belongs to the program, so that grids, numbers of
replicates and later extensions never change a bit.
"""

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from simulator.engine.batch_size import Cost, batch_size, cost_of_lane, fits_in_memory, open_loops
from simulator.engine.cells import Values, draws_key
from simulator.engine.declared import refuse_undeclared
from simulator.engine.setting import Setting
from simulator.large_array import content_key
from simulator.runtime import threefry
from simulator.runtime.compilation import compiler_options, local_devices, simulation_scope
from simulator.study import CONTROLS, RESIDUAL, Outputs, Sampler, Simulation, Study

Static = tuple[tuple[str, Any], ...]

_SAMPLED = 8  # cells that stand for the cost of all


class Program:
    """Cells of one study that share a sampler, static values and array parameters.

    Attributes
    ----------
    members : list of int
        Positions of the cells in the list that :func:`programs` was given.
    batch : jitted function that computes a batch of lanes
    """

    def __init__(
        self,
        study: Study,
        setting: Setting,
        sampler: Sampler,
        members: Sequence[int],
        cells: Sequence[Values],
    ) -> None:
        self.members = list(members)
        self._study, self._method = study, setting.method
        self._dtype = setting.dtype
        self._keys = np.stack([draws_key(study, cell, **setting._asdict()) for cell in cells])
        declared, side = study.declarations, sampler.side
        static = tuple((n, cells[0][n]) for n, p in declared.items() if p.is_static(side))
        traced = {n: p for n, p in declared.items() if not p.is_static(side)}
        self._scalars = {
            name: np.stack([_leaf(p.type, cell[name], setting.dtype) for cell in cells])
            for name, p in traced.items()
            if p.type != "array"
        }
        self._shared = {
            name: _leaf(p.type, cells[0][name], setting.dtype)
            for name, p in traced.items()
            if p.type == "array"
        }
        with simulation_scope(self._dtype):
            self._devices = tuple(local_devices())
        self._one, self.batch = _compiled(
            sampler, study.controls, study.params, static, self._devices
        )

    @property
    def num_devices(self) -> int:
        return len(self._devices)

    @functools.cached_property
    def draws(self) -> np.ndarray:
        """For each row the first one that has the same draws."""
        _, first, which = np.unique(self._keys, axis=0, return_index=True, return_inverse=True)
        return first[which.ravel()]

    @functools.cached_property
    def lane(self) -> Any:
        """The trace of one lane: what is known of the program before it is compiled."""
        first = {name: values[0] for name, values in self._scalars.items()}
        with simulation_scope(self._dtype):
            lane = self._one.trace(self._keys[0], np.int32(0), first, self._shared)
        refuse_undeclared(self._study, self._method, _shapes(lane))
        return lane

    @functools.cached_property
    def lanes(self) -> int:
        """Lanes of a batch on each device."""
        with simulation_scope(self._dtype):
            return batch_size(self.lane.jaxpr.jaxpr)

    @functools.cached_property
    def cost(self) -> Cost:
        """What a lane costs: the mean over cells, whose numbers say how long loops are."""
        lane, columns = self.lane.jaxpr.jaxpr, [*self._scalars.values()]
        differ = len(self.members) > 1 and columns and open_loops(lane)
        order = np.lexsort(columns) if differ else np.zeros(1, int)
        some = order[np.linspace(0, len(order) - 1, min(len(order), _SAMPLED)).astype(int)]
        costs = []
        for cell in some:
            known = {name: values[cell] for name, values in self._scalars.items()}
            arguments = (None, None, known, dict.fromkeys(self._shared))
            leaves = jax.tree.leaves(arguments, is_leaf=lambda x: x is None)
            costs.append(cost_of_lane(lane, tuple(leaves)))
        return Cost(*(sum(numbers) / len(costs) for numbers in zip(*costs, strict=True)))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the outputs of one replicate."""
        return _shapes(self.lane)

    def run(
        self, rows: np.ndarray, replicates: np.ndarray, *, if_it_fits: bool = False
    ) -> Mapping[str, jax.Array] | None:
        """Start one batch: replicate ``replicates[i]`` of the cell ``members[rows[i]]``.

        Returns
        -------
        mapping output -> array with the lanes first, still being computed, or None where the
        device has no memory for it; ``if_it_fits`` asks before it starts.
        """
        with simulation_scope(self._dtype):
            arguments = self.arguments(rows, replicates)
            need = self.cost.memory * len(rows) / self.num_devices + self.cost.common
            if if_it_fits and not fits_in_memory(self.batch, arguments, need):
                return None
            return unless_out_of_memory(self.batch, *arguments)

    def arguments(self, rows: np.ndarray, replicates: np.ndarray) -> tuple:
        """What ``batch`` takes: keys, replicates and scalars of the lanes; shared arrays."""
        return (  # NumPy's arrays: a jitted function sends them faster than `jnp.asarray` does
            self._keys[rows],
            np.asarray(replicates, dtype=np.int32),
            {name: values[rows] for name, values in self._scalars.items()},
            self._shared_on_devices,
        )

    @functools.cached_property
    def _shared_on_devices(self) -> dict[str, jax.Array]:
        """Sent once: large arrays would be most of what a batch sends."""
        with simulation_scope(self._dtype):
            return {name: jnp.asarray(values) for name, values in self._shared.items()}


def _shapes(lane: Any) -> dict[str, tuple[int, ...]]:
    outputs = lane.out_info
    return {name: outputs[name].shape for name in outputs if name not in (RESIDUAL, CONTROLS)}


def programs(study: Study, cells: Sequence[Values], setting: Setting) -> list[Program]:
    """The programs that simulate the cells."""
    declared = study.declarations
    groups: dict[Any, tuple[Sampler, list[int]]] = {}
    for index, cell in enumerate(cells):
        sampler = study.sampler(setting.method, study.params(**cell))
        shared = tuple(
            content_key(cell[name])
            for name, p in declared.items()
            if p.is_static(sampler.side) or p.type == "array"
        )
        groups.setdefault((sampler, shared), (sampler, []))[1].append(index)
    return [
        Program(study, setting, sampler, members, [cells[i] for i in members])
        for sampler, members in groups.values()
    ]


def unless_out_of_memory(function: Callable, *arguments: Any) -> Any:
    """The result, or None if the device has no memory for it: at the call, or when waiting."""
    try:
        return function(*arguments)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return None


def _leaf(kind: str, value: Any, dtype: str) -> np.ndarray:
    array = np.asarray(value)  # a plain array, also of a large one
    return array.astype(np.int32 if kind == "int" or array.dtype.kind == "i" else dtype)


def one_lane(
    simulate: Simulation,
    params_class: Any,
    static: Static,
    controls: Callable[[Any], Outputs] | None = None,
    platform: str | None = None,
) -> Callable:
    """One replicate of one cell, as the engine runs it.

    Control variates come out as one vector, in the order of the study's means, minus these. Of the
    numbers drawn, ``platform`` changes how fast their program is compiled, and no bit.
    """

    def one(
        raw_key: jax.Array,
        replicate: jax.Array,
        scalars: Mapping[str, Any],
        shared: Mapping[str, Any],
    ) -> Any:
        params = params_class(**dict(static), **scalars, **shared)

        def simulated(implementation: Hashable) -> Outputs:
            key = jax.random.wrap_key_data(raw_key, impl=implementation)
            return simulate(jax.random.fold_in(key, replicate), params)

        try:
            outputs = simulated(threefry.key_implementation(platform))
        except NotImplementedError:  # of `jax.random.poisson`, for keys that are not JAX's own;
            # any other is raised again.
            outputs = simulated(threefry.JAX)
        if CONTROLS not in outputs:
            return outputs
        found, means = outputs[CONTROLS], {} if controls is None else controls(params)
        unknown = [name for name in found if name not in means]
        if unknown:
            raise TypeError(f"the simulation returns controls {unknown} of unknown means")
        centred = [jnp.ravel(found[name] - means[name]) for name in means if name in found]
        return {**outputs, CONTROLS: jnp.concatenate(centred)}

    return one


@functools.lru_cache(maxsize=256)
def _compiled(
    simulate: Simulation,
    controls: Callable[[Any], Outputs] | None,
    params_class: Any,
    static: Static,
    devices: tuple[jax.Device, ...],
) -> Any:
    """One lane, and a batch of lanes on each device; the inner `jit` lets both share one trace."""
    platform = devices[0].platform
    one = jax.jit(one_lane(simulate, params_class, static, controls, platform))
    batch = jax.vmap(one, in_axes=(0, 0, 0, None))
    if len(devices) > 1:  # the very program of one device on each: no bit depends on their number
        lanes, everywhere = jax.sharding.PartitionSpec("lanes"), jax.sharding.PartitionSpec()
        mesh = jax.sharding.Mesh(np.array(devices), ("lanes",))
        specs = (lanes, lanes, lanes, everywhere)
        batch = jax.shard_map(batch, mesh=mesh, in_specs=specs, out_specs=lanes, check_vma=False)
    return one, jax.jit(batch, compiler_options=compiler_options(platform))
