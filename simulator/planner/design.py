"""Which runs to do next: those that shorten the interval of the decision most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from simulator import checks
from simulator.planner import optima
from simulator.planner.objective import residuals
from simulator.planner.uncertainty import with_gradient

if TYPE_CHECKING:
    from simulator.planner.result import Fit

POINTS = 31
PASSES = 2


@dataclass(frozen=True)
class NextRuns:
    """Runs to do next.

    Attributes
    ----------
    params, tokens, flop, tokens_per_param : (runs,)
    shrinkage : float
        Predicted length of the decision's interval relative to what it is now.
    alternatives : mapping plan -> shrinkage
        The same for plans that people make.
    goal : str
    at : float
        Budget of the decision.
    """

    params: np.ndarray
    tokens: np.ndarray
    flop: np.ndarray
    tokens_per_param: np.ndarray
    shrinkage: float
    alternatives: dict[str, float]
    goal: str
    at: float

    def __len__(self) -> int:
        return len(self.params)

    def as_dict(self) -> dict[str, Any]:
        runs = zip(self.params, self.tokens, self.flop, self.tokens_per_param, strict=True)
        names = ("params", "tokens", "flop", "tokens_per_param")
        return {
            "runs": [dict(zip(names, map(float, run), strict=True)) for run in runs],
            "shrinkage": self.shrinkage,
            "alternatives": self.alternatives,
            "goal": self.goal,
            "at": self.at,
        }

    def __str__(self) -> str:
        lines = [f"next runs for the {self.goal} at {self.at:.3g} FLOP:"]
        for n, d, c, r in zip(
            self.params, self.tokens, self.flop, self.tokens_per_param, strict=True
        ):
            lines.append(
                f"  {n:.4g} parameters on {d:.4g} tokens ({c:.3g} FLOP, {r:.3g} a parameter)"
            )
        lines.append(f"the interval shrinks to {self.shrinkage:.2f} of its length (predicted)")
        lines += [f"  {name}: {value:.2f}" for name, value in self.alternatives.items()]
        return "\n".join(lines)


def next_runs(
    fit: "Fit", flop: float, max_runs: int, goal: str, at: float | None,
    ratios: Sequence[float],
) -> NextRuns:  # fmt: skip
    """See :meth:`simulator.planner.result.Fit.next_runs`."""
    flop = checks.number("flop", flop, above=0)
    most = checks.whole("max_runs", max_runs, 1, most=64)
    if goal not in ("ratio", "loss"):
        raise ValueError(checks.refusal("goal", goal, "'ratio' or 'loss'"))
    if fit.law.name not in ("chinchilla", "tied"):
        raise ValueError(f"next_runs is not a question of {fit.law.name}: fit chinchilla or tied")
    if fit.status != "converged":
        raise ValueError(f"next_runs needs a fit that converged: {fit.status}")
    largest = float(fit.table.columns["flop"].max())
    at = 10 * largest if at is None else checks.number("at", at, above=0)
    low, high = (checks.number("ratios", value, above=0) for value in ratios)

    def decision(theta: Any) -> Any:
        if goal == "ratio":
            return jnp.stack([optima.log_ratio(fit, theta, at)])
        return jnp.stack([jnp.log(optima.optimal_loss(fit, theta, at))])

    gradient = with_gradient(decision, fit.theta)[1][0]
    slope = residuals(fit.law, fit.rows, fit.theta)[1]
    information = (slope.T * fit.rows.weight) @ slope
    now = _variance(gradient, information)
    grid = np.geomspace(low, high, POINTS)

    best: tuple[float, np.ndarray] | None = None
    for count in range(1, most + 1):
        rows = _slopes(fit, flop / count, grid)
        chosen = _chosen(gradient, information, rows, count)
        variance = _variance(gradient, information + rows[chosen].T @ rows[chosen])
        if best is None or variance < best[0] * (1 - 1e-9):
            best = variance, grid[np.sort(chosen)]
    assert best is not None
    alternatives = {}
    for name, tried in usual_plans(fit, flop).items():
        rows = _slopes(fit, flop / len(tried), tried)
        alternatives[name] = float(np.sqrt(_variance(gradient, information + rows.T @ rows) / now))
    variance, ratio = best
    each = np.full(len(ratio), flop / len(ratio))
    params = np.sqrt(each / (fit.table.k * ratio))
    return NextRuns(params, ratio * params, each, ratio, float(np.sqrt(variance / now)),
                    alternatives, goal, at)  # fmt: skip


def usual_plans(fit: "Fit", flop: float) -> dict[str, np.ndarray]:
    """What people do with a budget: tokens per parameter of runs that share it equally."""
    optimal = float(np.exp(with_gradient(
        lambda t: jnp.stack([optima.log_ratio(fit, t, flop)]), fit.theta)[0][0]))  # fmt: skip
    plans = {"one optimal run": np.array([optimal])}
    for count in (3, 4, 6):
        plans[f"IsoFLOP of {count}"] = optimal * np.geomspace(0.1, 10, count)
    return plans


def _variance(gradient: np.ndarray, information: np.ndarray) -> float:
    return float(gradient @ np.linalg.solve(information, gradient))


def _slopes(fit: "Fit", flop: float, ratio: np.ndarray) -> np.ndarray:
    """Gradients of ln L of runs at one budget and given tokens per parameter."""
    params = np.sqrt(flop / (fit.table.k * ratio))
    features = fit.law.prepare({"params": params, "tokens": ratio * params}, dict(fit.centre))

    def logs(theta: Any) -> Any:
        return jax.vmap(fit.law.log_loss, in_axes=(None, 0))(theta, features)

    return with_gradient(logs, fit.theta)[1]


def _chosen(
    gradient: np.ndarray, information: np.ndarray, rows: np.ndarray, count: int
) -> list[int]:
    """Greedy choice of rows, then exchanges of one at a time."""
    chosen: list[int] = []
    for _ in range(count):
        chosen.append(_best(gradient, information + rows[chosen].T @ rows[chosen], rows))
    for _ in range(PASSES):
        for position in range(count):
            others = chosen[:position] + chosen[position + 1 :]
            chosen[position] = _best(gradient, information + rows[others].T @ rows[others], rows)
    return chosen


def _best(gradient: np.ndarray, information: np.ndarray, rows: np.ndarray) -> int:
    """The row that lowers the variance most: ``(g M^-1 j)^2 / (1 + j M^-1 j)``."""
    solved = np.linalg.solve(information, rows.T)
    gain = (gradient @ solved) ** 2 / (1 + np.sum(rows.T * solved, axis=0))
    return int(np.argmax(gain))
