"""The loss that a fit predicts, at sizes given like the columns of a table."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from simulator import checks
from simulator.planner.checking import check_values, used
from simulator.planner.derive import SAME, complete
from simulator.planner.notices import TableError
from simulator.planner.roles import plain, roles

if TYPE_CHECKING:
    from simulator.planner.result import Fit


def predict(fit: "Fit", kind: str, level: float, where: Mapping[str, Any]) -> Any:
    """See :meth:`simulator.planner.result.Fit.predict`."""
    if kind not in ("mean", "new_run"):
        raise ValueError(checks.refusal("kind", kind, "'mean' or 'new_run'"))
    level = checks.number("level", level, above=0, below=1)
    features, shape = features_at(fit, where)

    def losses(theta: Any) -> Any:
        logs = jax.vmap(fit.law.log_loss, in_axes=(None, 0))(theta, features)
        return jnp.exp(logs)

    found = fit.values_of(losses, level=level, extra=new_run_variance(fit, features, kind))
    return found[0] if shape == () else np.array(found, object).reshape(shape).tolist()


def new_run_variance(fit: "Fit", features: Mapping[str, Any], kind: str) -> Any:
    """Variance of the logarithm of one more loss about its mean; 0 for the mean itself."""
    if kind == "mean":
        return 0.0
    if not fit.options.absolute:
        return fit.spread.s_new**2
    from simulator.planner.uncertainty import with_gradient

    logs, _ = with_gradient(
        lambda theta: jax.vmap(fit.law.log_loss, in_axes=(None, 0))(theta, features), fit.theta
    )
    return (fit.spread.s_new / np.exp(logs)) ** 2


def _column(fit: "Fit", name: str) -> str:
    """``x`` is the column of ``power``, whatever it is called."""
    own = fit.law.needs[0]
    return own if fit.law.name == "power" and plain(name) in ("x", plain(own)) else name


def features_at(fit: "Fit", where: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], tuple]:
    """Features of the law at given sizes, and the shape in which they were given.

    Raises
    ------
    ValueError
        For what is no size of this law, is missing, or is out of range.
    """
    where = {_column(fit, name): value for name, value in where.items()}
    try:
        named = roles([*where, "loss"])
    except TableError as error:
        raise ValueError(str(error)) from error
    values = {
        role: np.asarray(where[name], float) for role, name in named.items() if role != "loss"
    }
    allowed = {*fit.law.needs, *used(fit.law, named)} - {"loss", "weight"}
    for name in where:
        if name in fit.law.needs:
            values[name] = np.asarray(where[name], float)
        elif name not in {column for role, column in named.items() if role in allowed}:
            needs = ", ".join(fit.law.needs)
            raise TypeError(f"{name} is not allowed: {fit.law.name} is a law of {needs}")
    shape = np.broadcast_shapes(*(v.shape for v in values.values()))
    columns = {role: np.broadcast_to(v, shape).ravel() for role, v in values.items()}
    count = int(np.prod(shape, dtype=int))
    numbers = np.arange(1, count + 1)
    check_values(columns, {}, numbers, units=False)
    given = columns | {"loss": np.ones(count)}
    made = complete(given, fit.law, fit.table.k, numbers)[0]
    if {"flop", "params", "tokens"} <= columns.keys():
        off = np.abs(
            np.log(columns["flop"] / (fit.table.k * columns["params"] * columns["tokens"]))
        )
        if np.any(off > SAME):
            first = int(np.argmax(off > SAME))
            whole = fit.table.k * columns["params"][first] * columns["tokens"][first]
            raise ValueError(checks.refusal(
                "flop", float(columns["flop"][first]),
                f"left out, or {fit.table.k:g} params tokens = {whole:.6g}"))  # fmt: skip
    return fit.law.prepare(made, dict(fit.centre)), shape
