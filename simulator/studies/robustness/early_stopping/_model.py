"""What the parts share: preconditioned gradient descent on a diagonal problem, and its best end.

In coordinate ``k`` the descent has the rate ``mu_k = lambda_k M_k^2`` and, at time ``t``, keeps the
share ``e_k`` of its initial error: ``e^(-t mu_k)`` for the flow, ``(1 - eta mu_k)^n`` after ``n =
t/eta`` steps. Both are ``e^(-t nu_k)`` in size, with ``nu_k = -log|1 - eta mu_k| / eta`` for steps.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from simulator.attacked import AttackedParams, metric, problem_of, validate, variances
from simulator.maths.absolute_moments import largest_of_normals, log_moment, mean_absolute
from simulator.maths.norms import ATTACK_NORMS
from simulator.maths.robust_path import Problem
from simulator.maths.robust_regression import Predictor, adversarial_risk, robust
from simulator.maths.roots import newton_steps
from simulator.maths.slopes import square_root
from simulator.parameters import array, choice, parameters, traced
from simulator.runtime.compilation import float64_on_cpu

TIMES = tuple(float(t) for t in np.geomspace(1e-2, 1e4, 49))
CAP = 40.0  # of matched rates: e^-40 of the error is none
_NODES = 512
_FIRST, _LAST = 1e-4, 60.0  # times the fastest and the slowest rate
_GOLDEN = (5**0.5 - 1) / 2
_SECTIONS = 75
_FEW_STEPS = 64  # all of them are looked at
_NEAR = 30  # roots of the rounding: a Newton step that is larger left a minimum at a kink
_TIES = 1e-12


@parameters
class DescentParams(AttackedParams):
    """A regression problem, and when a descent on it is looked at."""

    times: tuple = array(TIMES, "t", "training times", dims=("time",), at_least=0)
    step_size: float = traced(0.0, detail="of gradient descent; 0 is gradient flow", at_least=0)


class Descent(NamedTuple):
    """A descent from 0 towards ``truth``; shapes (dim,), but for the step size."""

    problem: Problem
    decay: Array  # nu_k
    flips: Array  # -1 where a step overshoots, or else 1
    step_size: Array


@parameters
class AnyNormParams(DescentParams):
    """Attacks in any norm."""

    attack_norm: str = choice("l2", ATTACK_NORMS)
    attack_p: float = traced(2.0, above=1)


def risk(distance: Any, dual_norm: Any, radius: Any) -> Array:
    """The adversarial risk with noiseless targets, entry by entry."""
    return jnp.vectorize(lambda a, b: adversarial_risk(a, b, radius, 0.0))(distance, dual_norm)


def mean_dual_norm(params: Any, mean: Array, std: Array) -> Array:
    """``||w||_*`` of independent ``w_k ~ N(mean_k, std_k^2)``, on average (l2: of its square)."""
    kind = params.attack_norm
    if kind in ("l2", "mahalanobis"):
        return square_root(jnp.sum((mean**2 + std**2) / metric(params)))
    if kind == "linf":
        return jnp.sum(mean_absolute(mean, std))
    if kind == "l1":
        return largest_of_normals(mean, std)
    order = params.attack_p / (params.attack_p - 1)
    moments = jax.vmap(lambda m, s: log_moment(m, s, order))(mean, std)
    return jnp.exp(jax.scipy.special.logsumexp(moments) / order)


def squared_stretch(params: Any, spread: Array) -> Array:
    """``M^2``, of what the inputs of the descent are multiplied by; shape (dim,)."""
    if params.preconditioner == "attack":
        return metric(params)
    return 1 / spread if params.preconditioner == "whiten" else jnp.ones_like(spread)


def rates(params: Any, problem: Problem) -> Array:
    """``mu_k = lambda_k M_k^2``; ``matched`` is made for the flow to pass the proxy minimiser."""
    if params.preconditioner == "matched":
        goal = robust(problem, params.attack_radius)["proxy"]
        moving = goal.weights != 0
        kept = jnp.where(moving, goal.weights / jnp.where(moving, problem.truth, 1), 0)
        left = jnp.maximum(1 - kept, jnp.exp(-CAP))
        return jnp.where(moving, -jnp.log(left), 0)
    return problem.covariance * squared_stretch(params, problem.covariance)


def descent(params: Any, problem: Problem) -> Descent:
    """The descent that the parameters name."""
    decay, flips = decay_of(params.step_size, rates(params, problem))
    return Descent(problem, decay, flips, params.step_size)


def at(course: Descent, time: Any, odd: Any) -> Predictor:
    """The predictor at a time, after an even or an odd number of steps."""
    problem = course.problem
    left = jnp.exp(-time * course.decay)
    flipped = odd & (course.flips < 0)
    weights = problem.truth * jnp.where(flipped, 1 + left, -jnp.expm1(-time * course.decay))
    error = problem.truth * left
    distance = square_root(problem.covariance @ error**2)
    return Predictor(weights, distance, problem.norm.dual(weights), jnp.zeros((), float))


def rounded_time(step_size: Any, time: Any) -> tuple[Array, Array]:
    """The time as it is, or that of the nearest whole number of steps; and whether it is odd."""
    discrete = step_size > 0
    step = jnp.where(discrete, step_size, 1)
    count = jnp.round(time / step)
    return jnp.where(discrete, step * count, time), discrete & (jnp.mod(count, 2) == 1)


def decay_of(step_size: Any, rate: Array) -> tuple[Array, Array]:
    """``nu_k``, and -1 where a step overshoots (or else 1)."""
    discrete = step_size > 0
    factor = jnp.where(discrete, 1 - step_size * rate, 1)
    logarithm = jnp.log(jnp.maximum(jnp.abs(factor), jnp.finfo(rate.dtype).tiny))
    decay = jnp.where(discrete, -logarithm / jnp.where(discrete, step_size, 1), rate)
    return decay, jnp.where(factor < 0, -1, 1)


def left_in(step_size: Any, rate: Array, time: Any, odd: Any) -> Array:
    """The share ``e_k`` of its error that a coordinate keeps."""
    decay, flips = decay_of(step_size, rate)
    return jnp.where(odd, flips, 1) * jnp.exp(-time * decay)


def never_ending(course: Descent) -> Predictor:
    """The predictor at ``t = inf``: ``w0``, where anything is learned."""
    problem = course.problem
    learned = course.decay > 0
    weights = jnp.where(learned, problem.truth, 0)
    left = problem.truth - weights
    distance = square_root(problem.covariance @ left**2)
    return Predictor(weights, distance, problem.norm.dual(weights), jnp.zeros((), float))


# ------------------------------------------------------------------------------------------------
# The best time
# ------------------------------------------------------------------------------------------------
def early_stopped(course: Descent, radius: Any) -> tuple[Predictor, Array]:
    """The predictor of smallest adversarial risk over all times, and its time.

    The risk often has several valleys in time. It is taken at all nodes of a grid over the rates,
    and the best valley is searched by golden sections; for steps those of even and of odd number
    apart, which alternate where a step overshoots, and among whole numbers at last.
    """

    def risk_at(time, odd):
        found = at(course, time, odd)
        return risk(found.distance, found.dual_norm, radius)

    frozen = lax.stop_gradient((course, radius))
    evens = _valley(*frozen, jnp.zeros((), bool))
    odds = _valley(*frozen, jnp.ones((), bool))
    evens = _sharpened(course, radius, evens)
    discrete = course.step_size > 0
    step = jnp.where(discrete, course.step_size, 1)
    half_even, half_odd = evens / step / 2, (odds / step - 1) / 2
    counts = jnp.concatenate(
        [
            jnp.maximum(2 * jnp.stack([jnp.floor(half_even), jnp.ceil(half_even)]), 2),
            jnp.maximum(2 * jnp.stack([jnp.floor(half_odd), jnp.ceil(half_odd)]) + 1, 1),
            jnp.arange(1, _FEW_STEPS + 1, dtype=float),
        ]
    )
    times = jnp.where(discrete, step * counts, evens)
    odd = discrete & (jnp.mod(counts, 2) == 1)
    best = jnp.argmin(lax.stop_gradient(lax.map(lambda c: risk_at(*c), (times, odd))))
    inner, inner_time = at(course, times[best], odd[best]), times[best]
    start, end = at(course, jnp.zeros((), float), jnp.zeros((), bool)), never_ending(course)
    risks = [risk(found.distance, found.dual_norm, radius) for found in (start, end, inner)]
    ties = 1 + jnp.maximum(_TIES, 8 * jnp.finfo(risks[2].dtype).eps)
    least = jnp.minimum(jnp.minimum(risks[0], risks[1]), risks[2]) * ties
    first, last = risks[0] <= least, risks[1] <= least
    chosen = jax.tree.map(
        lambda a, b, c: jnp.where(first, a, jnp.where(last, b, c)), start, end, inner
    )
    return chosen, jnp.where(first, 0, jnp.where(last, jnp.inf, inner_time))


def _valley(course, radius, odd) -> Array:
    """The time at the bottom of the deepest valley, without derivatives."""

    def risk_at(log_time):
        found = at(course, jnp.exp(log_time), odd)
        return risk(found.distance, found.dual_norm, radius)

    moving = course.decay > 0
    fastest = jnp.max(jnp.where(moving, course.decay, 0))
    fastest = jnp.where(fastest > 0, fastest, 1)
    slowest = jnp.min(jnp.where(moving, course.decay, fastest))
    nodes = jnp.linspace(jnp.log(_FIRST / fastest), jnp.log(_LAST / slowest), _NODES)
    best = jnp.argmin(lax.map(risk_at, nodes))
    low, high = nodes[jnp.maximum(best - 1, 0)], nodes[jnp.minimum(best + 1, _NODES - 1)]

    def section(_, bracket):
        low, high = bracket
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        lower = risk_at(left) < risk_at(right)
        return jnp.where(lower, low, left), jnp.where(lower, right, high)

    low, high = lax.fori_loop(0, _SECTIONS, section, (low, high))
    middle = jnp.exp((low + high) / 2)
    return jnp.where(risk_at(jnp.log(middle)) <= risk_at(nodes[best]), middle, jnp.exp(nodes[best]))


def _sharpened(course, radius, time) -> Array:
    """The root of the risk's slope beside a time, with its derivatives; the time at a kink."""

    def slope(time, course, radius):
        def risk_at(time):
            found = at(course, time, jnp.zeros((), bool))
            return risk(found.distance, found.dual_norm, radius)

        return jax.jvp(risk_at, (time,), (jnp.ones_like(time),))[1]

    moved = newton_steps(slope, time, course, radius)
    reach = _NEAR * float(jnp.finfo(moved.dtype).eps) ** 0.5
    near = jnp.abs(moved - time) < reach * time
    return jnp.where(near, moved, time)


# ------------------------------------------------------------------------------------------------
# At the door
# ------------------------------------------------------------------------------------------------
def regression(params: Any) -> tuple[Problem, Array]:
    """The problem, and whether its ground truth is not 0; if it is, another one stands for it."""
    problem = problem_of(params)
    some = jnp.any(problem.truth != 0)
    return Problem(
        problem.covariance,
        problem.precision,
        jnp.where(some, problem.truth, jnp.ones_like(problem.truth)),
        problem.norm,
    ), some


def validate_descent(params: Any, side: str) -> Any:
    """As `validate`, and steps are so short that the descent converges."""
    allowed = validate(params, side)
    traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(params))
    if traced:
        return allowed & (params.step_size * stiffness(params) < 2)
    if params.step_size == 0:
        return allowed
    with float64_on_cpu():
        largest = 2 / float(stiffness(params))
    if not params.step_size < largest:
        raise ValueError(
            f"step_size = {params.step_size:g} is not allowed: it must be below {largest:.6g}, or "
            "gradient descent diverges"
        )
    return allowed


def stiffness(params: Any) -> Array:
    """What a step size must be below 2 over: the largest rate, or its bound for finite samples."""
    if params.preconditioner == "matched":
        return jnp.max(rates(params, regression(params)[0]))
    spread = variances(params)
    top = jnp.max(spread * squared_stretch(params, spread))
    if hasattr(params, "num_samples"):
        return 1.05 * top * (1 + jnp.sqrt(params.dim / params.num_samples)) ** 2
    return top


def time_coordinates(params):
    return np.asarray(params.times)
