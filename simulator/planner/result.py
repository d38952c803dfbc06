"""What a fit is: parameters, intervals, and the questions that it answers."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator import checks
from simulator.planner import identify, uncertainty
from simulator.planner.certificate import Certificate
from simulator.planner.laws import Law
from simulator.planner.notices import Notice
from simulator.planner.objective import Rows, padded
from simulator.planner.options import Options
from simulator.planner.solver import Box
from simulator.planner.table import Table
from simulator.planner.uncertainty import Replicates, Spread
from simulator.planner.values import Interval, Value

if TYPE_CHECKING:
    import pandas as pd

    from simulator.planner.decisions import Plan
    from simulator.planner.design import NextRuns
    from simulator.planner.verdict import FitVerdict

CHECK_DRAWS, DRAWS = 1000, 4000


@dataclass(eq=False)
class Fit:
    """A law fitted to a table of runs.

    Attributes
    ----------
    law : Law
    table : Table
        The rows that were used.
    options : Options
    centre : mapping
        Means of logarithms, around which the variables are defined.
    theta : (variables,)
        The estimate, in the variables ``law.variables``.
    delta : float
        Huber's threshold.
    certificate : Certificate
    box : Box
    cluster : str
        What shares noise: ``none``, ``run`` or ``params``.
    spread : Spread
    replicates : Replicates
    said : list of Notice
        What the table and the fit have to say; `notices` adds what the verdict has.
    """

    law: Law
    table: Table
    options: Options
    centre: dict[str, float]
    theta: np.ndarray
    delta: float
    certificate: Certificate
    box: Box
    cluster: str
    labels: np.ndarray | None
    spread: Spread
    replicates: Replicates
    said: list[Notice]

    # ---------------------------------------------------------------------- numbers
    @property
    def status(self) -> str:
        """``converged``, or what is wrong."""
        return self.certificate.status

    @property
    def size(self) -> int:
        """Parameters that were fitted."""
        return int(self.box.free.sum())

    @functools.cached_property
    def rows(self) -> Rows:
        """What the program sees."""
        features = self.law.prepare(self.table.columns, dict(self.centre))
        columns = self.table.columns
        return padded(features, np.log(columns["loss"]), columns["weight"])

    @property
    def refusal(self) -> str:
        """Why there is no interval; empty if there are."""
        return identify.refusal(self)

    @functools.cached_property
    def parameters(self) -> dict[str, Value]:
        """Each parameter as it is printed, with its interval."""
        return {name: self._parameter(name) for name in self.constants}

    @functools.cached_property
    def constants(self) -> dict[str, float]:
        """Each parameter as it is printed, without its interval."""
        from simulator.planner.diagnostics import parameters_of

        return parameters_of(self, self.theta)

    def _raw(self, theta: Any) -> dict[str, Any]:
        return self.law.raw(theta, self.centre)

    def _parameter(self, name: str, level: float = 0.95) -> Value:
        variable = f"ln {name}" if f"ln {name}" in self.law.variables else name
        fixed = (
            variable in self.law.variables and not self.box.free[self.law.variables.index(variable)]
        )
        log = variable.startswith("ln ") or name not in (*self.law.variables, "beta")
        value = self.value_of(lambda theta: self._raw(theta)[name], log=log, level=level)
        return Value(float(value), level=level, reason="fixed") if fixed else value

    def value_of(
        self, function: Callable[[Any], Any], *, log: bool = True, level: float = 0.95
    ) -> Value:
        """A function of the fit variables, with its interval.

        Parameters
        ----------
        function : callable
            ``theta -> number``, differentiable by JAX.
        log : bool
            Whether the interval is made on the scale of logarithms.
        level : float
        """
        return self.values_of(lambda theta: _stack([function(theta)]), log=log, level=level)[0]

    def values_of(
        self, function: Callable[[Any], Any], *, log: bool = True, level: float = 0.95,
        extra: Any = 0.0,
    ) -> list[Value]:  # fmt: skip
        """As :meth:`value_of`, for a function with an array of values; ``extra`` is a variance."""
        value, gradient = uncertainty.with_gradient(function, self.theta)
        if self.refusal:
            return [Value(v, level=level, reason=self.refusal) for v in value]
        extra = np.broadcast_to(np.asarray(extra, float), value.shape)
        if self.spread.kappa < uncertainty.FEW_INSIDE:
            return self._by_draws(function, value, extra, level, log)
        slope = gradient / value[:, None] if log else gradient
        return [
            uncertainty.delta_interval(
                v, s, self.spread, level, log=log, factor=self.replicates.factor, extra=e
            )
            for v, s, e in zip(value, slope, extra, strict=True)
        ]

    def _by_draws(
        self, function: Any, value: np.ndarray, extra: np.ndarray, level: float, log: bool
    ) -> list[Value]:
        """Percentiles of bootstrap draws."""
        draws = DRAWS if self.law.linear else CHECK_DRAWS
        values = uncertainty.of_draws(function, self.draws(draws))
        if log:
            values = np.log(np.maximum(values, 1e-300))
        rng = np.random.default_rng(self.options.seed)
        values = values + rng.standard_normal(len(values))[:, None] * np.sqrt(extra)
        spread = np.std(values, axis=0)
        ends = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        ends = np.exp(np.minimum(ends, 700.0)) if log else ends
        reason = "bootstrap: few rows are inside Huber's threshold"
        return [
            Value(v, low, high, level=level, se=se, log=log, reason=reason)
            for v, low, high, se in zip(value, *ends, spread, strict=True)
        ]

    @functools.cached_property
    def covariance(self) -> np.ndarray:
        """Of the fit variables: the sandwich, or that of draws where few rows carry it."""
        if self.spread.kappa >= uncertainty.FEW_INSIDE:
            return self.spread.covariance
        draws = self.draws(CHECK_DRAWS)
        enough = len(draws) > CHECK_DRAWS / 2
        return np.cov(draws, rowvar=False) if enough else self.spread.covariance

    def checked_values(self, function: Callable[[Any], Any], level: float = 0.95) -> list[Value]:
        """As :meth:`values_of`, but the span of bootstrap draws where it is much wider."""
        values = self.values_of(function, level=level)
        few = self.spread.kappa < uncertainty.FEW_INSIDE  # these intervals are the bootstrap's
        draws = None if self.refusal or few else self.check_draws()
        if draws is None:
            return values
        return uncertainty.wider(values, uncertainty.of_draws(function, draws), level)

    def check_draws(self) -> np.ndarray | None:
        """Draws to compare intervals with; None where rows are too few to be resampled."""
        if len(self.table) < 3 * self.size:
            return None
        count = DRAWS if self.law.linear else CHECK_DRAWS
        draws = self.draws(count)
        return draws if len(draws) > count / 2 else None

    def draws(self, count: int) -> np.ndarray:
        """Refits to resampled rows, or clusters, (draws, variables)."""
        key = f"draws {count}"
        if key not in self.__dict__:
            weight = uncertainty.resampled(
                self.table.columns["weight"], self.labels, count, self.options.seed
            )
            self.__dict__[key] = uncertainty.bootstrap(
                self.law, self.rows, self.theta, self.delta, self.box, weight,
                absolute=self.options.absolute,
            )  # fmt: skip
        return self.__dict__[key]

    # ---------------------------------------------------------------------- questions
    def interval(self, quantity: str, level: float = 0.95, **where: float) -> Interval:
        """The recommended interval of a parameter or a decision: the sandwich's.

        A `plan` compares it with bootstrap draws, and prints theirs where they span more than one
        and a half times as much.

        Parameters
        ----------
        quantity : str
            A parameter (``"alpha"``), ``"a"``, or a decision at a budget: ``"D/N"``, ``"N"``,
            ``"D"``, ``"loss"`` with ``flop=``, also written ``"D/N at 1e22"``.
        level : float
            Between 0 and 1.
        **where
            ``flop``, where the quantity depends on it; for ``"loss"`` also the sizes of `predict`.

        Returns
        -------
        Interval
            ``(low, high)``; both NaN where no interval is given (`refusal` says why).
        """
        from simulator.planner.decisions import quantity_of

        level = checks.number("level", level, above=0, below=1)
        if quantity in self.constants:
            return self._parameter(quantity, level).interval
        if quantity in ("loss", "L") and set(where) != {"flop"} and where:
            from simulator.planner.prediction import predict

            return predict(self, "mean", level, where).interval
        function, log = quantity_of(self, quantity, where)
        return self.value_of(function, log=log, level=level).interval

    def predict(self, *, kind: str = "mean", level: float = 0.95, **where: Any) -> Any:
        """The loss at given sizes.

        Parameters
        ----------
        kind : {"mean", "new_run"}
            Interval of the mean loss, or of the loss of one more run.
        level : float
        **where
            Columns of the law: ``params`` and ``tokens`` (or ``flop`` with one of them), ...;
            numbers, or arrays that broadcast.

        Returns
        -------
        Value, or a list of them for arrays
        """
        from simulator.planner.prediction import predict

        return predict(self, kind, level, where)

    def plan(self, **question: Any) -> "Plan":
        """Decisions with intervals.

        Parameters
        ----------
        **question
            What is fixed: ``flop``, ``loss``, ``params``, ``tokens``, ``unique_tokens``,
            ``real_tokens``, ``synthetic_tokens``, ``real_fraction``, ``synthetic_fraction``,
            ``generation``, ``inference_tokens``, ``x``. What is asked follows from the law.

        Returns
        -------
        Plan
        """
        from simulator.planner.decisions import plan

        return plan(self, question)

    def next_runs(
        self, flop: float, max_runs: int = 4, goal: str = "ratio", at: float | None = None,
        ratios: tuple[float, float] = (2.0, 200.0),
    ) -> "NextRuns":  # fmt: skip
        """Which runs to do next.

        Parameters
        ----------
        flop : float
            Budget of all new runs together.
        max_runs : int
        goal : {"ratio", "loss"}
            What they shall sharpen: the optimal tokens per parameter, or the optimal loss.
        at : float, optional
            The budget of the decision; ten times the largest of the table.
        ratios : (float, float)
            Tokens per parameter that are allowed.

        Returns
        -------
        NextRuns
        """
        from simulator.planner.design import next_runs

        return next_runs(self, flop, max_runs, goal, at, ratios)

    # ---------------------------------------------------------------------- may I believe it?
    @functools.cached_property
    def verdict(self) -> "FitVerdict":
        """What the largest budgets, held out, say of the fit to the others."""
        from simulator.planner.verdict import verdict

        return verdict(self)

    @property
    def notices(self) -> list[Notice]:
        """Everything that a reader must know, a drift of the allocation included."""
        from simulator.planner.verdict import drift_notice

        return self.said + drift_notice(self.verdict)

    @functools.cached_property
    def sensitivity(self) -> "pd.DataFrame":
        """The fit with each of three Huber thresholds."""
        from simulator.planner.diagnostics import sensitivity

        return sensitivity(self)

    @functools.cached_property
    def thetas(self) -> dict[str, np.ndarray]:
        """The estimates of `sensitivity`, in the fit variables."""
        from simulator.planner.diagnostics import at_thresholds

        return {name: found.theta[0] for name, found in at_thresholds(self).items()}

    @functools.cached_property
    def influence(self) -> "pd.DataFrame":
        """The fit without the largest losses, and without each cluster."""
        from simulator.planner.diagnostics import influence

        return influence(self)

    @functools.cached_property
    def extra(self) -> dict[str, Any]:
        """What a report shows besides: the drift of the exponent, and other laws."""
        from simulator.planner.diagnostics import drift, laws_compared

        return {"drift": drift(self), "laws": laws_compared(self)}

    # ---------------------------------------------------------------------- outputs
    def save(self, path: str | Path) -> None:
        """Write everything to a JSON file, which :func:`simulator.load_fit` reads."""
        from simulator.planner.artefact import save

        save(self, path)

    def report(self, path: str | Path, **question: Any) -> None:
        """Write one HTML page that needs no network.

        Parameters
        ----------
        path : path
        **question
            As in :meth:`plan`, for the sentence at its head; ten times the largest budget.
        """
        from simulator.planner.report import write

        write(self, path, question)

    def __str__(self) -> str:
        from simulator.planner.text import summary

        return summary(self)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={float(v):.4g}" for name, v in self.parameters.items())
        return f"Fit({self.law.name}: {shown}; {len(self.table)} runs, {self.status})"


def _stack(values: list[Any]) -> Any:
    import jax.numpy as jnp

    return jnp.stack([jnp.asarray(value) for value in values])
