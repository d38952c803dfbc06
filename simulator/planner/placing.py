"""Where a decision lies among the runs: how far beyond them, and what else must be said of it."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from simulator.planner.notices import Notice
from simulator.planner.objective import residuals
from simulator.planner.text import decision
from simulator.planner.uncertainty import ASYMMETRIC, of_draws, with_gradient

if TYPE_CHECKING:
    from simulator.planner.decisions import Plan
    from simulator.planner.result import Fit
    from simulator.planner.values import Value

FAR = 1.0  # decades of compute to which coverage was measured


def place(
    fit: "Fit", made: "Plan", role: str, value: float, log_loss: Callable[[Any], Any]
) -> None:
    """Distance and leverage of a decision.

    Parameters
    ----------
    fit : Fit
    made : Plan
        Told of both, and given notices.
    role : str
        What the distance is measured in: ``flop`` where the table has it.
    value : float
    log_loss : callable
        ``theta -> `` logarithm of the loss at the decision.
    """
    columns = fit.table.columns
    most = float(columns[role].max())
    if not (math.isfinite(value) and value > 0):
        return
    made.distance = math.log10(value / most)
    slope = residuals(fit.law, fit.rows, fit.theta)[1][: len(fit.table)]
    at = with_gradient(lambda theta: jnp.stack([jnp.asarray(log_loss(theta))]), fit.theta)[1][0]
    free = fit.box.free
    slope, at = slope[:, free], at[free]
    inverse = np.linalg.pinv((slope.T * columns["weight"]) @ slope)
    rows = np.einsum("ni,ij,nj->n", slope, inverse, slope)
    made.leverage = float(at @ inverse @ at / rows.max())
    if made.distance > FAR:
        made.notices.append(Notice("N-FAR", f"{made.distance:.2f} decades beyond the largest run: "
                                   "coverage was measured to a factor of 10"))  # fmt: skip
    found = made.answers.get("tokens_per_param")
    if found is not None:
        ratio = columns["tokens"] / columns["params"]
        if not ratio.min() <= found <= ratio.max():
            table = f"the table's {ratio.min():.3g} to {ratio.max():.3g}"
            text = f"{decision(found)} tokens per parameter are outside {table}"
            made.notices.append(Notice("N-FAR", text))


def compare_thresholds(fit: "Fit", made: "Plan", name: str, function: Callable[[Any], Any]) -> None:
    """What a decision would be with each of the three Huber thresholds."""
    thetas = np.array(list(fit.thetas.values()))
    values = of_draws(function, thetas)
    made.sensitivity = dict(zip(fit.thetas, map(float, values), strict=True))
    made.sensitivity_of = name


def compare_draws(fit: "Fit", function: Callable[[Any], Any], found: "Value", made: "Plan") -> None:
    """Say so where the bootstrap's interval is much longer, or shorter."""
    draws = None if fit.refusal else fit.check_draws()
    if draws is None:
        return
    low, high = np.quantile(of_draws(function, draws), [0.025, 0.975])
    sandwich = fit.values_of(lambda t: jnp.stack([function(t)]))[0]
    ratio = math.log(high / low) / math.log(sandwich.high / sandwich.low)
    if 1 / ASYMMETRIC <= ratio <= ASYMMETRIC:
        return
    used = "they are" if found.reason.startswith("asymmetric") else "the sandwich is"
    text = (f"bootstrap draws of tokens per parameter span ({decision(low)}, {decision(high)}), "
            f"{ratio:.2f} times the sandwich's interval; {used} given")  # fmt: skip
    made.notices.append(Notice("N-ASYMMETRIC", text))
