"""Theory as a function that JAX transforms: checked, and in float64 inside.

Outside every transformation it is `predict`. Inside `jax.grad`, `jax.vmap` or `jax.jit` values are
not known while the program is made, so what `predict` refuses is *not a number* here, and so is its
derivative: nothing out of range passes for a result.
"""

from collections.abc import Callable, Mapping
from inspect import Parameter as Argument
from inspect import Signature
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from simulator import checks
from simulator.engine.theory import outputs_in_order, predict_study
from simulator.parameters import Parameter
from simulator.runtime.compilation import float64_on_cpu
from simulator.study import RESIDUAL, Study

Values = Mapping[str, Any]
Tree = Any

# A Jacobian by up to so many entries takes one pass forward for each, one by more of them (an
# array of eigenvalues) one pass back for each output.
FEW = 16


def theory_study(study: Study) -> Callable[..., dict[str, Any]]:
    """The theory of a study as a function of its parameters, for `jax.grad`, `vmap` and `jit`.

    Parameters
    ----------
    study : str or Study

    Returns
    -------
    function ``(**params) -> mapping output -> array``
        Parameters by name, defaults for the rest; arrays for scalar traced parameters are a grid.
        For plain values it is :func:`simulator.predict`: checked, and float64.

        Where a transformation of JAX traces a parameter, all others are checked at once, and the
        traced ones inside the program: beyond its range, where a solver did not converge, and
        where the study refuses a combination, outputs and their first derivatives are NaN. Counts
        of samples are real numbers there, as they are to the theory. It computes in float64; what
        enters and leaves has the precision of the scope around it (open ``jax.enable_x64(True)``
        for derivatives in float64).

    Raises
    ------
    TypeError, ValueError
        The function: for a bad parameter, and for a static one that is traced; the message names
        it, its value and what is allowed.

    Examples
    --------
    >>> risk = simulator.theory("strong-collapse")
    >>> jax.grad(lambda ridge: risk(ridge=ridge, dim=50)["test_error"])(0.1)
    """
    if study.theory is None:
        raise ValueError(f"{study.name} has a simulation only: it has no theory")

    def theory(**params: Any) -> dict[str, Any]:
        if not any(_is_traced(value) for value in params.values()):
            return dict(predict_study(study, **params))
        return _traced(study, params)

    theory.__name__ = theory.__qualname__ = "theory"
    theory.__doc__ = _documentation(study)
    theory.__signature__ = Signature(  # type: ignore[attr-defined]  # read by `inspect`
        [
            Argument(name, Argument.KEYWORD_ONLY, default=parameter.default)
            for name, parameter in study.declarations.items()
        ]
    )
    return theory


def _documentation(study: Study) -> str:
    lines = [
        f"Theory of {study.name}: {study.title}.",
        "",
        "Parameters",
        "----------",
    ]
    for name, p in study.declarations.items():
        lines += [f"{name} : {p.describe_range()}", f"    {p.symbol}: {p.meaning}"]
    return "\n".join(lines)


def _is_traced(value: Any) -> bool:
    return isinstance(value, jax.core.Tracer)


def _traced(study: Study, given: Values) -> dict[str, jax.Array]:
    """The outputs at parameters some of which are traced; grids broadcast together."""
    around = jnp.result_type(float)
    with float64_on_cpu():
        given = study.completed(given)
        values = {
            name: _value(study, parameter, given.get(name, parameter.default))
            for name, parameter in study.declarations.items()
        }
        for name, parameter in study.declarations.items():
            if not _is_traced(values[name]) and not _depends_on_traced(parameter, values):
                parameter.check_bounds(values[name], values)
        grids = [
            name
            for name, p in study.declarations.items()
            if p.is_scalar_number and not p.is_static("theory") and np.ndim(values[name])
        ]
        shape = np.broadcast_shapes(*(np.shape(values[name]) for name in grids))
        columns = {name: jnp.broadcast_to(values[name], shape).ravel() for name in grids}

        def at(columns: Values) -> dict[str, jax.Array]:
            return _at_point(study, {**values, **columns})

        found = jax.vmap(at)(columns) if grids else at({})
        return {
            name: value.reshape(shape + value.shape[1:] if grids else value.shape).astype(around)
            for name, value in found.items()
        }


def _value(study: Study, parameter: Parameter, value: Any) -> Any:
    """A parameter as the theory takes it: checked if it is known, float64 if it is a number."""
    if not _is_traced(value):
        if not parameter.is_scalar_number or parameter.static:
            return parameter.canonical(value)
        if checks.dims(value):
            return parameter.canonical_grid(value)
        return np.float64(parameter.canonical(value))
    if parameter.is_static("theory") or parameter.type == "choice":
        raise TypeError(
            f"{parameter.name} is traced by a transformation of JAX, but static in {study.name}: "
            f"it fixes shapes or the structure of the program. Give {parameter.describe_range()}"
        )
    if parameter.type == "array" and value.ndim != len(parameter.dims):
        raise ValueError(
            f"{parameter.name} of shape {value.shape} is not allowed: it must be "
            f"{parameter.describe_range()}"
        )
    if parameter.static:  # the length of a loop
        if not jnp.issubdtype(value.dtype, jnp.integer):
            raise TypeError(f"{parameter.name} counts steps: what is traced must be an integer")
        return jnp.asarray(value, int)
    return jnp.asarray(value, float)


def _depends_on_traced(parameter: Parameter, values: Values) -> bool:
    return any(_is_traced(values[name]) for name in parameter.bounding())


def _at_point(study: Study, values: Values) -> dict[str, jax.Array]:
    """The outputs at one point; not a number, nor a derivative, where `predict` refuses it."""
    numbers = {name: value for name, value in values.items() if _is_traced(value)}
    real = {n: v for n, v in numbers.items() if jnp.issubdtype(v.dtype, jnp.floating)}
    whole = {n: v for n, v in numbers.items() if n not in real}

    def evaluate(entries: jax.Array, whole: Values, valid: jax.Array) -> tuple[Tree, jax.Array]:
        """The outputs, and a factor of 1 that is NaN where they are to be refused."""
        assert study.theory is not None
        point = {**values, **whole, **_split(entries, real)}
        structure = (str, int, tuple)
        point = {n: v if isinstance(v, structure) else jnp.asarray(v) for n, v in point.items()}
        outputs = dict(study.theory(study.params(**point)))
        allowed = valid & _in_range(study, point)
        residual = outputs.pop(RESIDUAL, None)
        if residual is not None:
            allowed &= jnp.all(jnp.asarray(residual) <= study.residual_tolerance)
        outputs = outputs_in_order(study, outputs)
        factor = jnp.where(allowed, 1.0, jnp.nan)
        return {name: jnp.asarray(value, float) for name, value in outputs.items()}, factor

    entries = jnp.concatenate([jnp.zeros(0), *(jnp.ravel(value) for value in real.values())])
    return _differentiable(evaluate)(entries, whole, _valid(study, values))


def _split(entries: jax.Array, like: Values) -> dict[str, jax.Array]:
    """The named arrays of whose entries the vector consists."""
    ends = np.cumsum([value.size for value in like.values()])
    parts = jnp.split(entries, ends[:-1]) if like else []
    return {n: part.reshape(v.shape) for (n, v), part in zip(like.items(), parts, strict=True)}


def _differentiable(evaluate: Callable[..., tuple[Tree, jax.Array]]) -> Callable[..., Tree]:
    """Outputs times their factor, with derivatives (of any order) that do not depend on the scope.

    JAX transposes a linear map when and where the caller asks for a gradient: in float32, if that
    is the scope there. So the Jacobian is computed here, in float64, and multiplied; the factor
    goes last, since selections inside would lose a NaN, in one mode or the other.
    """

    @jax.custom_jvp
    def outputs_or_nan(entries: jax.Array, *rest: Any) -> Tree:
        outputs, factor = evaluate(entries, *rest)
        return jax.tree.map(lambda value: value * factor, outputs)

    @outputs_or_nan.defjvp
    def _(primals: tuple, tangents: tuple) -> tuple[Tree, Tree]:
        with float64_on_cpu():
            outputs, jacobian = _differentiable(_with_jacobian(evaluate))(*primals)
            direction = tangents[0]
            return outputs, jax.tree.map(lambda j: jnp.sum(j * direction, axis=-1), jacobian)

    return outputs_or_nan


def _with_jacobian(evaluate: Callable[..., tuple[Tree, jax.Array]]) -> Callable[..., Any]:
    """Outputs and their derivatives by every entry (the last axis), and the factor."""

    def both(entries: jax.Array, *rest: Any) -> tuple[tuple[Tree, Tree], jax.Array]:
        def outputs_twice(entries: jax.Array) -> tuple[Tree, tuple[Tree, jax.Array]]:
            outputs, factor = evaluate(entries, *rest)
            return outputs, (outputs, factor)

        mode = jax.jacfwd if entries.size <= FEW else jax.jacrev
        jacobian, (outputs, factor) = mode(outputs_twice, has_aux=True)(entries)
        return (outputs, jacobian), factor

    return both


def _in_range(study: Study, values: Values) -> jax.Array:
    """Whether all numbers are finite and within their bounds."""
    allowed = jnp.asarray(True)
    for name, parameter in study.declarations.items():
        if parameter.type == "choice" or not np.size(values[name]):
            continue
        value = jnp.asarray(values[name])
        finite = jnp.isfinite(value) | (parameter.infinite & (value == jnp.inf))
        allowed &= jnp.all(finite)
        for _, holds, limit in parameter.bounds(values, jnp):
            allowed &= jnp.all(holds(value, limit))
    return allowed


def _valid(study: Study, values: Values) -> jax.Array:
    """Whether the study allows the combination of parameters."""
    if study.validate is None:
        return jnp.asarray(True)
    try:
        allowed = study.validate(study.params(**values), "theory")
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
        hidden = ", ".join(name for name, value in values.items() if _is_traced(value))
        raise TypeError(
            f"{study.name} does not allow all combinations of parameters, and cannot tell whether "
            f"it allows this one while a transformation of JAX traces {hidden}"
        ) from error
    return jnp.asarray(True if allowed is None else allowed)
