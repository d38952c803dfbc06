"""Profile of a decision: how much worse a fit is that is made to give another ratio of tokens.

At a budget ``C`` a ratio ``D/N`` fixes ``ln G = ½ ln(C/k) - ½ ln(D/N) - β/(α+β) ln(C/k)``, and
with it ``B = A (α/β) G^{-(α+β)}``: ``ln D/N`` is a variable in the place of ``ln B``.
"""

import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from simulator.planner.diagnostics import score_variance
from simulator.planner.laws import Law, Outer, law_named
from simulator.planner.optima import log_ratio
from simulator.planner.solver import solve
from simulator.planner.uncertainty import of_draws

if TYPE_CHECKING:
    from simulator.planner.result import Fit


@functools.lru_cache(maxsize=8)
def _law(means: tuple[float, float], log_budget: float) -> Law:
    """``chinchilla`` in ``(ln E, ln A, alpha, beta, ln D/N)``; the budget is ``ln(C/k)``."""
    chinchilla = law_named("chinchilla")
    mean_n, mean_d = means

    def theta_of(theta: Any) -> Any:
        e, a, alpha, beta, ratio = theta
        log_g = 0.5 * (log_budget - ratio) - beta / (alpha + beta) * log_budget
        log_b = jnp.log(alpha / beta) + a + alpha * mean_n - (alpha + beta) * log_g
        return e, a, log_b - beta * mean_d, alpha, beta

    def log_terms(theta: Any, row: Mapping[str, Any]) -> Any:
        return chinchilla.log_terms(theta_of(theta), row)

    return Law(
        name="chinchilla at a ratio",
        formula=chinchilla.formula,
        needs=chinchilla.needs,
        coefficients=("E", "A"),
        outers=(*chinchilla.outers, Outer("D/N", -60.0, 60.0, log=True)),
        owner=(0, 1, 1),
        prepare=chinchilla.prepare,
        log_terms=log_terms,
        raw=chinchilla.raw,
        linear=False,
    )


def ratio_profile(fit: "Fit", flop: float, ratios: np.ndarray) -> np.ndarray:
    """Rise of the objective with ``D/N`` at a budget held at values, in units of F(1, n - p).

    Parameters
    ----------
    fit : Fit
        Of ``chinchilla``.
    flop : float
    ratios : (values,)
        In order, so that each may start from its neighbour's minimum.
    """
    law = _law((fit.centre["params"], fit.centre["tokens"]), math.log(flop / fit.table.k))
    e, a, _, alpha, beta = fit.theta
    best = float(of_draws(lambda t: log_ratio(fit, t, flop), fit.theta[None])[0])
    names = [fit.law.variables.index(name) for name in ("ln E", "ln A", "alpha", "beta")]
    low, high = np.append(fit.box.low[names], 0.0), np.append(fit.box.high[names], 0.0)
    count = len(ratios)
    low, high = np.repeat(low[None], count, 0), np.repeat(high[None], count, 0)
    low[:, -1] = high[:, -1] = np.log(ratios)
    free = np.repeat([[True] * 4 + [False]], count, 0)
    start = np.repeat(np.array([[e, a, alpha, beta, best]]), count, 0)
    objective = np.full(count, np.inf)
    for shift in (0, 1, -1):  # from the estimate, then from both neighbours
        found = solve(law, fit.rows, np.roll(start, shift, axis=0), fit.delta, (low, high, free),
                      absolute=fit.options.absolute)  # fmt: skip
        better = found.objective < objective
        objective = np.where(better, found.objective, objective)
        start = np.where(better[:, None], found.theta, start)
    return 2 * (objective - fit.certificate.f) * fit.spread.kappa / score_variance(fit)
