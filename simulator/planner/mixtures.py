"""Plans of the laws of synthetic data and of chains of generators, and of one variable."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from simulator import checks
from simulator.planner.decisions import Plan, by_draws, refuse, threshold
from simulator.planner.laws.chains import effective_tokens, harmonic_squares
from simulator.planner.optima import zero
from simulator.planner.placing import compare_thresholds, place
from simulator.planner.prediction import features_at, predict
from simulator.planner.text import decision, with_interval
from simulator.planner.uncertainty import of_draws
from simulator.planner.values import Value

if TYPE_CHECKING:
    from simulator.planner.result import Fit

MOST_GENERATIONS = 4096
SMALLEST_SHARE = 1e-12
WIDEST = math.log(1e8)  # synthetic tokens per real one that are looked at
AMOUNTS = 129  # of synthetic tokens, between which a minimum is looked for


def power(fit: "Fit", asked: dict[str, float], made: Plan) -> None:
    """``E + A x^-alpha``."""
    column, given = fit.law.needs[0], asked
    if set(given) == {"x"}:
        made.answers["loss"] = predict(fit, "mean", 0.95, {column: given["x"]})
        made.answers["loss_new_run"] = predict(fit, "new_run", 0.95, {column: given["x"]})
        made.lines.append(f"loss at {column} = {given['x']:.4g}: {made.answers['loss']}")
        _place(fit, made, {column: given["x"]})
    elif set(given) == {"loss"}:

        def needed(theta: Any) -> Any:
            raw = fit.law.raw(theta, fit.centre)
            gap = given["loss"] - raw["E"]
            return jnp.where(
                gap > 0,
                (raw["A"] / jnp.where(gap > 0, gap, 1.0)) ** (1 / raw["alpha"]),
                jnp.inf,
            )

        found = _threshold(fit, made, "x", needed, f"{column} for a loss of {given['loss']:g}")
        made.answers[column] = found
        if math.isfinite(found):
            _place(fit, made, {column: float(found)})
            compare_thresholds(fit, made, column, needed)
    else:
        raise refuse(fit, asked, f"x ({column}), or loss")


def _place(fit: "Fit", made: Plan, where: Mapping[str, float]) -> None:
    """Distance, leverage and sensitivity of the loss at given sizes, the first of which counts."""
    features = {name: v[0] for name, v in features_at(fit, where)[0].items()}
    role = next(role for role in fit.law.needs if role in fit.table.columns)
    value = where.get(role, where.get("tokens", math.nan))

    def log_loss(theta: Any) -> Any:
        return fit.law.log_loss(theta, features)

    place(fit, made, role, value, log_loss)
    compare_thresholds(fit, made, "loss", lambda theta: jnp.exp(log_loss(theta)))


def _threshold(
    fit: "Fit", made: Plan, name: str, function: Callable[[Any], Any], words: str
) -> Value:
    found, draws = threshold(fit, function)
    made.answers[name] = found
    made.reachable = float(np.mean(np.isfinite(draws))) if math.isfinite(found) else 0.0
    if math.isfinite(found):
        made.lines.append(f"{words}: {decision(found)} {with_interval(found)}")
        if made.reachable < 1:
            made.lines.append(f"reachable with probability {made.reachable:.3g}")
    else:
        made.lines.append(f"{words}: not reachable")
    return found


# --------------------------------------------------------------------------------------------
# Real and synthetic tokens
# --------------------------------------------------------------------------------------------
def mixture(fit: "Fit", asked: dict[str, float], made: Plan) -> None:
    """``synthetic-share``, ``synthetic-share-additive`` and ``tail-mixture``."""
    given = set(asked)
    if given == {"real_tokens", "synthetic_tokens"}:
        _exchange(fit, asked["real_tokens"], asked["synthetic_tokens"], made)
    elif given == {"real_tokens"}:
        _exchange(fit, asked["real_tokens"], 0.0, made)
    elif given == {"loss", "tokens"}:
        _smallest_share(fit, asked["loss"], asked["tokens"], made)
    elif "tokens" in given and given & {"real_fraction", "synthetic_fraction"}:
        made.answers["loss"] = predict(fit, "mean", 0.95, asked)
        made.answers["loss_new_run"] = predict(fit, "new_run", 0.95, asked)
        made.lines.append(f"loss {made.answers['loss']}")
        _place(fit, made, asked)
    else:
        raise refuse(fit, asked, "real_tokens (with synthetic_tokens), or loss and tokens, or "
                     "tokens and a share")  # fmt: skip


def log_loss(fit: "Fit", theta: Any, real: Any, made: Any) -> Any:
    """The logarithm of the loss of a mixture of ``real`` and ``made`` tokens."""
    total = real + made
    centre = fit.centre["tokens"]
    share = made / total
    log_real = jnp.log(jnp.maximum(real / total, 1e-300))
    row = {"x": jnp.log(total) - centre, "q": share, "log_q": jnp.log(jnp.maximum(share, 1e-300)),
           "t": jnp.log(total) - centre, "real": real / total, "log_real": log_real}  # fmt: skip
    return fit.law.log_loss(theta, row)


def exchange_rate(fit: "Fit", theta: Any, real: Any, made: Any) -> Any:
    """What one more synthetic token is worth, in real ones."""
    slope = jax.grad(lambda both: log_loss(fit, theta, both[0], both[1]))(
        jnp.stack([jnp.asarray(real, float), jnp.asarray(made, float)])
    )
    return slope[1] / slope[0]


def best_amount(fit: "Fit", theta: Any, real: float) -> Any:
    """The synthetic tokens of least loss; infinite where it falls for ever.

    The slope of the loss may change its sign several times: first tokens hurt where ``rho > 1``,
    and more of them may help.
    """

    def hurts(x: Any) -> Any:
        return exchange_rate(fit, theta, real, real * jnp.exp(x)) <= 0

    def loss(amount: Any) -> Any:
        return log_loss(fit, theta, real, amount)

    grid = jnp.linspace(-WIDEST, WIDEST, AMOUNTS)
    bad = jax.vmap(hurts)(grid)
    turns = ~bad[:-1] & bad[1:]  # a minimum of the loss is between
    at = jnp.argmin(jnp.where(turns, jax.vmap(loss)(real * jnp.exp(grid[1:])), jnp.inf))
    inside = real * jnp.exp(zero(hurts, grid[at], grid[at + 1]))
    candidates = jnp.stack([jnp.asarray(0.0), inside, jnp.asarray(jnp.inf)])
    allowed = jnp.stack([bad[0], jnp.any(turns), ~bad[-1]])
    least = jax.vmap(loss)(jnp.minimum(candidates, real * jnp.exp(grid[-1])))
    return candidates[jnp.argmin(jnp.where(allowed, least, jnp.inf))]


def _exchange(fit: "Fit", real: float, synthetic: float, made: Plan) -> None:
    if not real > 0:
        raise ValueError(checks.refusal("real_tokens", real, "> 0: a rate is per real token"))
    least = max(synthetic, real * math.exp(-WIDEST))

    def values(theta: Any) -> Any:
        return jnp.stack([exchange_rate(fit, theta, real, least)])

    made.answers["exchange_rate"] = fit.values_of(values, log=False)[0]
    made.answers["rate"] = made.answers["exchange_rate"]
    made.answers["loss"] = fit.value_of(lambda t: jnp.exp(log_loss(fit, t, real, least)))
    made.answers["best_synthetic_tokens"] = by_draws(fit, lambda t: best_amount(fit, t, real))[0]
    rate, best = made.answers["exchange_rate"], made.answers["best_synthetic_tokens"]
    made.lines.append(f"loss {made.answers['loss']}")
    made.lines.append(f"one more synthetic token is worth {decision(rate)} {with_interval(rate)} "
                      "real ones")  # fmt: skip
    if rate < 0:
        made.lines.append("more synthetic data hurts")
    amount = f"{decision(best)} {with_interval(best)}" if math.isfinite(best) else "unlimited"
    made.lines.append(f"best amount of synthetic tokens beside {real:.4g} real ones: {amount}")
    place(fit, made, "tokens", real + synthetic, lambda t: log_loss(fit, t, real, least))
    compare_thresholds(fit, made, "exchange rate", lambda t: exchange_rate(fit, t, real, least))


def _smallest_share(fit: "Fit", loss: float, tokens: float, made: Plan) -> None:
    """The smallest share of real tokens that reaches a loss."""

    def share(theta: Any) -> Any:
        def reached(log_pi: Any) -> Any:
            real = jnp.exp(log_pi) * tokens
            return log_loss(fit, theta, real, tokens - real) <= jnp.log(loss)

        low = math.log(SMALLEST_SHARE)
        found = jnp.exp(zero(reached, low, 0.0))
        found = jnp.where(reached(jnp.asarray(low)), 0.0, found)
        return jnp.where(reached(jnp.asarray(0.0)), found, jnp.inf)

    found, draws = threshold(fit, share, log_loss=lambda theta, log_pi: log_loss(
        fit, theta, jnp.exp(log_pi) * tokens, (1 - jnp.exp(log_pi)) * tokens))  # fmt: skip
    if 1 < found.high < math.inf:
        found = Value(float(found), found.low, 1.0, level=found.level, se=found.se, log=True)
    made.answers["real_fraction"] = found
    made.reachable = float(np.mean(np.isfinite(draws))) if math.isfinite(found) else 0.0
    if not math.isfinite(found):
        best = float(np.exp(of_draws(lambda t: log_loss(fit, t, tokens, 0.0), fit.theta[None])[0]))
        made.lines.append(
            f"even all-real does not reach {loss:g}: {tokens:.4g} tokens end at {best:.4g}"
        )
    else:
        made.lines.append(
            f"smallest share of real tokens: {decision(found)} {with_interval(found)}"
        )
        if made.reachable < 1:
            made.lines.append(f"reachable with probability {made.reachable:.3g}")
        real = float(found) * tokens
        made.answers["synthetic_fraction"] = Value(
            1 - float(found), 1 - found.high, 1 - found.low, level=found.level, reason=found.reason
        )
        place(fit, made, "tokens", tokens, lambda t: log_loss(fit, t, real, tokens - real))
        compare_thresholds(fit, made, "share of real tokens", share)


# --------------------------------------------------------------------------------------------
# Chains of generators
# --------------------------------------------------------------------------------------------
def chain(fit: "Fit", asked: dict[str, float], made: Plan) -> None:
    """``generations``, ``generations-tail`` and ``accumulate``."""
    given = set(asked)
    if fit.law.name == "generations-tail":
        given -= {"num_samples_generator"}
    if given == {"tokens", "generation"}:
        made.answers["loss"] = predict(fit, "mean", 0.95, asked)
        made.answers["loss_new_run"] = predict(fit, "new_run", 0.95, asked)
        made.lines.append(f"loss {made.answers['loss']}")
        _place(fit, made, asked)
        return
    if given != {"loss", "tokens"}:
        raise refuse(fit, asked, "loss and tokens, or tokens and generation")
    loss, tokens = asked["loss"], asked["tokens"]
    generator = asked.get("num_samples_generator", tokens)
    found, draws = by_draws(fit, _most_generations(fit, loss, tokens, generator))
    made.answers["generation"] = found
    made.reachable = float(np.mean(draws >= 1)) if found >= 1 else 0.0
    if found < 1:
        made.lines.append(f"a loss of {loss:g} is not reachable with {tokens:.4g} tokens")
        return
    shown = decision(found) if math.isfinite(found) else "unlimited"
    if fit.law.name != "generations" and found >= MOST_GENERATIONS and math.isfinite(found):
        shown = f"at least {MOST_GENERATIONS}"
    made.lines.append(f"a loss of {loss:g} allows {shown} {with_interval(found)} generations, the "
                      "first of which is trained on real data")  # fmt: skip
    if made.reachable < 1:
        made.lines.append(f"reachable with probability {made.reachable:.3g}")
    last = min(max(float(found), 1.0), float(MOST_GENERATIONS))
    _place(fit, made, {"tokens": tokens, "generation": last}
           | {n: v for n, v in asked.items() if n == "num_samples_generator"})  # fmt: skip
    compare_thresholds(fit, made, "generations", _most_generations(fit, loss, tokens, generator))


def _most_generations(
    fit: "Fit", loss: float, tokens: float, generator: float
) -> Callable[[Any], Any]:
    """The largest generation whose loss is not above ``loss``; 0 where the first one's is."""
    ages = np.arange(1, MOST_GENERATIONS + 1)

    def largest(theta: Any) -> Any:
        raw = fit.law.raw(theta, fit.centre)
        gap = loss - raw["E"]
        if fit.law.name == "generations":
            left = gap - raw["A"] * tokens ** -raw["alpha"]
            return jnp.where(left >= 0, 1 + jnp.floor(left / raw["H"] * (1 + 1e-12)), 0.0)
        if fit.law.name == "accumulate":
            reached = raw["A"] * tokens ** -raw["alpha"] * squares <= gap
            ever = raw["A"] * tokens ** -raw["alpha"] * jnp.pi**2 / 6 <= gap
        else:
            reached = raw["K"] * left_tokens ** -raw["c"] <= gap
            ever = jnp.asarray(False)
        return jnp.where(ever, jnp.inf, jnp.sum(reached).astype(float))

    squares = harmonic_squares(ages)
    left_tokens = effective_tokens(tokens, ages, generator)
    return largest
