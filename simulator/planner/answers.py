"""Plans of the laws in parameters and tokens, fresh or repeated."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from simulator.planner import optima
from simulator.planner.decisions import DRAWS, FEW_DRAWS, FLAT, Plan, by_draws, refuse, threshold
from simulator.planner.placing import compare_draws, compare_thresholds, place
from simulator.planner.prediction import predict
from simulator.planner.text import decision, with_interval
from simulator.planner.uncertainty import of_draws
from simulator.planner.values import Interval, Value

if TYPE_CHECKING:
    from simulator.planner.result import Fit

WORTH = 0.1  # a repeated token that is worth less than that of a fresh one is not worth it
ALLOWED = (
    "flop (with unique_tokens, inference_tokens or params), or loss (with params or tokens), or "
    "params and tokens"
)


def allocation(fit: "Fit", asked: dict[str, float], made: Plan) -> None:
    """``chinchilla`` and ``tied``."""
    given = set(asked)
    if given == {"flop"}:
        _optimum(fit, asked["flop"], made)
    elif given == {"loss"}:
        _smallest_budget(fit, asked["loss"], made)
    elif given == {"loss", "params"}:
        loss, params = asked["loss"], asked["params"]
        found = _threshold(
            fit, made, "tokens", loss, lambda t: optima.tokens_for(fit, t, loss, params),
            lambda t: _floor(fit, t, params=params),
        )  # fmt: skip
        _place_model(fit, made, params, float(found))
    elif given == {"loss", "tokens"}:
        loss, tokens = asked["loss"], asked["tokens"]
        found = _threshold(
            fit, made, "params", loss, lambda t: optima.params_for(fit, t, loss, tokens),
            lambda t: _floor(fit, t, tokens=tokens),
        )  # fmt: skip
        _place_model(fit, made, float(found), tokens)
    elif given == {"flop", "inference_tokens"}:
        _serving(fit, asked["flop"], asked["inference_tokens"], made)
    elif given in ({"params", "tokens"}, {"flop", "params"}, {"flop", "tokens"}):
        _given_model(fit, asked, made)
    else:
        raise refuse(fit, asked, ALLOWED)


def _place_model(fit: "Fit", made: Plan, params: float, tokens: float) -> None:
    """Distance and leverage of a model that is not the optimum of its budget."""
    if math.isfinite(params) and math.isfinite(tokens):
        made.answers.setdefault("tokens_per_param", Value(tokens / params))
        made.answers.setdefault("flop", Value(fit.table.k * params * tokens))
        place(fit, made, "flop", fit.table.k * params * tokens,
              lambda t: jnp.log(optima.fresh_loss(fit, t, params, tokens)))  # fmt: skip


def _floor(fit: "Fit", theta: Any, params: float = math.inf, tokens: float = math.inf) -> Any:
    """The loss that cannot be passed with one of the two fixed."""
    e, a, b, alpha, beta = optima.constants(fit, theta)
    return e + a * params**-alpha + b * tokens**-beta


# --------------------------------------------------------------------------------------------
# Compute-optimal models
# --------------------------------------------------------------------------------------------
def _optimum(fit: "Fit", flop: float, made: Plan) -> None:
    names = ("params", "tokens", "tokens_per_param", "loss")

    def values(theta: Any) -> Any:
        n = jnp.exp(optima.log_params(fit, theta, flop))
        d = flop / (fit.table.k * n)
        return jnp.stack([n, d, d / n, optima.fresh_loss(fit, theta, n, d)])

    made.answers |= dict(zip(names, fit.checked_values(values), strict=True))
    _add_new_run(fit, made, lambda t: optima.optimal_loss(fit, t, flop))
    _add_flat_optimum(fit, flop, made)
    _describe(fit, flop, made)
    p, d, r, loss = (made.answers[name] for name in names)
    made.lines.insert(0, (
        f"at {flop:.3g} FLOP train {decision(p / 1e9)} {with_interval(p.scaled(1e-9))} billion "
        f"parameters on {decision(d / 1e9)} {with_interval(d.scaled(1e-9))} billion tokens: "
        f"{decision(r)} {with_interval(r)} tokens per parameter, loss {decision(loss)} "
        f"{with_interval(loss)}"
    ))  # fmt: skip


def _add_new_run(fit: "Fit", made: Plan, function: Callable[[Any], Any]) -> None:
    """The loss of one run, beside the mean."""
    loss = float(of_draws(function, fit.theta[None])[0])
    extra = fit.spread.s_new**2 / (loss**2 if fit.options.absolute else 1)
    found = fit.values_of(lambda t: jnp.stack([function(t)]), extra=extra)[0]
    mean = made.answers["loss"]
    if mean.reason.startswith("asymmetric"):  # then draws widen both
        low, high = min(found.low, mean.low), max(found.high, mean.high)
        found = Value(found, low, high, se=found.se, log=True, reason=mean.reason)
    made.answers["loss_new_run"] = found
    if not math.isnan(found.low):
        made.lines.append(f"one such run will end between {decision(found.low)} and "
                          f"{decision(found.high)}")  # fmt: skip


def _loss_at(fit: "Fit", params: float, tokens: float) -> float:
    e, a, b, alpha, beta = (fit.constants[n] for n in ("E", "A", "B", "alpha", "beta"))
    return e + a * params**-alpha + b * tokens**-beta


def _add_flat_optimum(fit: "Fit", flop: float, made: Plan) -> None:
    def tokens(x: float) -> float:
        return flop / fit.table.k * math.exp(-x)

    best = math.log(float(made.answers["params"]))
    _add_flat(made, best, lambda x: _loss_at(fit, math.exp(x), tokens(x)), tokens)


def _add_flat(
    made: Plan, best: float, loss: Callable[[float], float], tokens: Callable[[float], float]
) -> None:
    """Models whose loss is within a thousandth of the optimum, ``best`` in ``ln N``."""
    limit = loss(best) * (1 + FLAT)
    ends = []
    for step in (-1.0, 1.0):
        inside, outside = best, best + step
        while loss(outside) <= limit and abs(outside - best) < 60:
            outside += step
        for _ in range(60):
            middle = 0.5 * (inside + outside)
            inside, outside = (middle, outside) if loss(middle) <= limit else (inside, middle)
        ends.append(math.exp(inside))
    made.ranges["params"] = Interval(*ends)
    made.ranges["tokens"] = Interval(*(tokens(math.log(n)) for n in reversed(ends)))
    made.lines.append(
        f"{ends[0] / 1e9:.3g} to {ends[1] / 1e9:.3g} billion parameters cost at most "
        f"{100 * FLAT:g} % of the loss at this budget"
    )


def _describe(fit: "Fit", flop: float, made: Plan) -> None:
    """Distance, leverage, thresholds, and whether draws agree with the interval."""
    place(fit, made, "flop", flop, lambda t: jnp.log(optima.optimal_loss(fit, t, flop)))

    def ratio(theta: Any) -> Any:
        return jnp.exp(optima.log_ratio(fit, theta, flop))

    compare_thresholds(fit, made, "tokens per parameter", ratio)
    compare_draws(fit, ratio, made.answers["tokens_per_param"], made)


# --------------------------------------------------------------------------------------------
# Thresholds
# --------------------------------------------------------------------------------------------
def _threshold(
    fit: "Fit", made: Plan, name: str, loss: float, function: Callable[[Any], Any],
    floor: Callable[[Any], Any], count: int = DRAWS,
    log_loss: Callable[[Any, Any], Any] | None = None,
) -> Value:  # fmt: skip
    """The smallest size that reaches a loss, and the probability that one does."""
    found, draws = threshold(fit, function, count, log_loss)
    made.answers[name] = found
    least = float(of_draws(floor, fit.theta[None])[0])
    made.reachable = 0.0 if loss <= least else float(np.mean(np.isfinite(draws)))
    if loss <= least:
        made.lines.append(f"a loss of {loss:g} is not reachable: it cannot pass {least:.4g}")
    else:
        unit = f"smallest {name} for a loss of {loss:g}: {decision(found)} {with_interval(found)}"
        made.lines.append(unit)
        compare_thresholds(fit, made, name, function)
        if made.reachable < 1:
            made.lines.append(f"reachable with probability {made.reachable:.3g}")
    return found


def _smallest_budget(fit: "Fit", loss: float, made: Plan) -> None:
    found = _threshold(
        fit, made, "flop", loss, lambda t: optima.flop_for(fit, t, loss),
        lambda t: optima.constants(fit, t)[0],
    )  # fmt: skip
    if not math.isfinite(found):
        return
    inner = Plan(made.law, {}, made.verdict)
    _optimum(fit, float(found), inner)
    for name in ("params", "tokens", "tokens_per_param"):
        made.answers[name] = inner.answers[name]
    made.lines += inner.lines[:1]
    made.ranges = inner.ranges
    made.lines += [line for line in inner.lines if "% of the loss" in line]
    made.distance, made.leverage = inner.distance, inner.leverage
    made.notices += inner.notices


# --------------------------------------------------------------------------------------------
# Other questions
# --------------------------------------------------------------------------------------------
def _serving(fit: "Fit", flop: float, served: float, made: Plan) -> None:
    """The model of least loss where inference takes part of the budget."""

    def values(theta: Any) -> Any:
        n = jnp.exp(optima.with_inference(fit, theta, flop, served))
        d = (flop / n - 2 * served) / fit.table.k
        return jnp.stack([n, d, d / n, optima.fresh_loss(fit, theta, n, d)])

    names = ("params", "tokens", "tokens_per_param", "loss")
    made.answers = dict(zip(names, fit.checked_values(values), strict=True))
    n, d = made.answers["params"], made.answers["tokens"]
    made.lines.append(
        f"with {served:.3g} tokens to serve, {flop:.3g} FLOP train {decision(n / 1e9)} "
        f"{with_interval(n.scaled(1e-9))} billion parameters on {decision(d / 1e9)} "
        f"{with_interval(d.scaled(1e-9))} billion tokens"
    )
    size, tokens = float(n), float(d)
    _add_new_run(fit, made, lambda t: optima.fresh_loss(fit, t, size, tokens))

    def loss(x: float) -> float:  # infinite where serving takes all
        left = (flop * math.exp(-x) - 2 * served) / fit.table.k
        return _loss_at(fit, math.exp(x), left) if left > 0 else math.inf

    _add_flat(
        made, math.log(size), loss, lambda x: (flop * math.exp(-x) - 2 * served) / fit.table.k
    )
    _place_model(fit, made, size, tokens)
    compare_thresholds(fit, made, "parameters",
                       lambda t: jnp.exp(optima.with_inference(fit, t, flop, served)))  # fmt: skip


def _given_model(fit: "Fit", asked: dict[str, float], made: Plan) -> None:
    """The loss of a model that is fixed, and what it costs beside the optimum."""
    k = fit.table.k
    params = asked.get("params") or asked["flop"] / (k * asked["tokens"])
    tokens = asked.get("tokens") or asked["flop"] / (k * params)
    flop = k * params * tokens

    def above(theta: Any) -> Any:
        loss = optima.fresh_loss(fit, theta, params, tokens)
        return loss / optima.optimal_loss(fit, theta, flop) - 1

    loss = fit.value_of(lambda theta: optima.fresh_loss(fit, theta, params, tokens))
    excess = fit.value_of(above, log=False).clipped(0.0)
    made.answers |= {"params": Value(params), "tokens": Value(tokens), "flop": Value(flop)}
    made.answers |= {"tokens_per_param": Value(tokens / params), "loss": loss, "excess": excess}
    made.lines.append(
        f"{params:.4g} parameters on {tokens:.4g} tokens ({flop:.3g} FLOP): loss {decision(loss)} "
        f"{with_interval(loss)}, {100 * excess.value:.3g} % above the optimum at this budget"
    )
    _add_new_run(fit, made, lambda t: optima.fresh_loss(fit, t, params, tokens))
    _place_model(fit, made, params, tokens)
    compare_thresholds(fit, made, "loss", lambda t: optima.fresh_loss(fit, t, params, tokens))


# --------------------------------------------------------------------------------------------
# Repeated tokens
# --------------------------------------------------------------------------------------------
def repetition(fit: "Fit", asked: dict[str, float], made: Plan) -> None:
    """``data-constrained``: with unlimited tokens as the others, else repetitions."""
    given = set(asked)
    worth = fit.value_of(lambda t: fit.law.raw(t, fit.centre)["R_D"])
    made.answers["R_D"] = worth
    if given == {"flop"}:
        _optimum(fit, asked["flop"], made)
    elif given == {"loss"}:
        _smallest_budget(fit, asked["loss"], made)
    elif given == {"flop", "unique_tokens"}:
        _repeat(fit, asked["flop"], asked["unique_tokens"], made)
    elif given == {"flop", "loss"}:
        flop, loss = asked["flop"], asked["loss"]

        def smallest(theta: Any) -> Any:
            top = jnp.log(flop / fit.table.k)
            log_u = optima.zero(
                lambda u: _repeated(fit, theta, flop, u)[1] <= jnp.log(loss), 0.0, top
            )
            reached = _repeated(fit, theta, flop, top)[1] <= jnp.log(loss)
            return jnp.where(reached, jnp.exp(log_u), jnp.inf)

        _threshold(fit, made, "unique_tokens", loss, smallest,
                   lambda t: optima.optimal_loss(fit, t, flop), FEW_DRAWS,
                   lambda t, log_u: _repeated(fit, t, flop, log_u)[1])  # fmt: skip
        place(fit, made, "flop", flop, lambda t: jnp.log(optima.optimal_loss(fit, t, flop)))
    elif given == {"params", "tokens", "unique_tokens"}:
        made.answers["loss"] = predict(fit, "mean", 0.95, asked)
        made.answers["loss_new_run"] = predict(fit, "new_run", 0.95, asked)
        made.lines.append(f"loss {made.answers['loss']}")
        n, d, u = (math.log(asked[name]) for name in ("params", "tokens", "unique_tokens"))
        place(fit, made, "flop", fit.table.k * math.exp(n + d),
              lambda t: _log_loss(fit, t, n, d, u))  # fmt: skip
        compare_thresholds(fit, made, "loss", lambda t: jnp.exp(_log_loss(fit, t, n, d, u)))
    else:
        raise refuse(fit, asked, "flop (with unique_tokens or loss), loss, or params, tokens and "
                     "unique_tokens")  # fmt: skip
    epochs = fit.value_of(lambda t: 1 - jnp.log(WORTH) * fit.law.raw(t, fit.centre)["R_D"])
    made.answers["epochs_worth_it"] = epochs
    made.lines.append(f"a repeated token is worth a tenth of a fresh one after {decision(epochs)} "
                      f"{with_interval(epochs)} epochs")  # fmt: skip


def _log_loss(fit: "Fit", theta: Any, log_n: Any, log_d: Any, log_u: Any) -> Any:
    n, d = fit.centre["params"], fit.centre["tokens"]
    return fit.law.log_loss(theta, {"x": log_n - n, "y": log_d - d, "u": log_u - d})


def _repeated(fit: "Fit", theta: Any, flop: float, log_u: Any) -> tuple[Any, Any]:
    """``ln N`` of least loss at a budget and ``U`` unique tokens, and the logarithm of the loss."""
    budget = jnp.log(flop / fit.table.k)
    best = optima.log_params(fit, theta, flop)

    def loss(x: Any) -> Any:
        return _log_loss(fit, theta, x, budget - x, jnp.minimum(log_u, budget - x))

    return optima.minimum(loss, best - 3.0, jnp.maximum(best, budget - log_u) + 8.0)


def _repeat(fit: "Fit", flop: float, unique: float, made: Plan) -> None:
    names: dict[str, Callable[[Any], Any]] = {
        "params": lambda t: jnp.exp(_repeated(fit, t, flop, math.log(unique))[0]),
        "tokens": lambda t: (
            flop / fit.table.k * jnp.exp(-_repeated(fit, t, flop, math.log(unique))[0])
        ),
        "loss": lambda t: jnp.exp(_repeated(fit, t, flop, math.log(unique))[1]),
    }
    for name, function in names.items():
        made.answers[name] = by_draws(fit, function, count=FEW_DRAWS)[0]
    made.answers["epochs"] = made.answers["tokens"].scaled(1 / unique)
    n, e = made.answers["params"], made.answers["epochs"]
    made.lines.append(
        f"with {unique:.3g} unique tokens {flop:.3g} FLOP train {decision(n / 1e9)} "
        f"{with_interval(n.scaled(1e-9))} billion parameters for {decision(e)} "
        f"{with_interval(e)} epochs"
    )
    best, log_u = math.log(float(n)), math.log(unique)
    budget = math.log(flop / fit.table.k)

    def log_loss(theta: Any, x: Any) -> Any:
        return _log_loss(fit, theta, x, budget - x, jnp.minimum(log_u, budget - x))

    _add_flat(made, best, lambda x: float(np.exp(of_draws(lambda t: log_loss(t, x),
              fit.theta[None])[0])), lambda x: math.exp(budget - x))  # fmt: skip
    place(fit, made, "flop", flop, lambda t: log_loss(t, best))
    compare_thresholds(fit, made, "parameters", names["params"])
