"""Self-consistent equations of order parameters: one solver for all saddle points.

Replica and Gaussian-comparison theories end in ``x = update(x)`` for a handful of positive order
parameters. In log variables ``y = log x`` the residual is ``r(y) = log update(e^y) - y``. Damped
iteration, ``y <- y + h r(y)`` with a fixed ``h``, is safe from far away and slow close by;
Newton's method, its step halved until ``||r||`` falls, is the opposite. So: damped steps until
``||r|| < 1``, then Newton. Where Newton's method stalls, a new round goes on from the last damped
point, twice as many steps and ten times closer. The root is differentiated by the implicit
function theorem (`jax.lax.custom_root`), in any order, forward and backward.

Nothing fails in silence: the residual is part of the result, and is ``inf`` where the equations
had no finite value. A theory hands it on under the key "residual".
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

_NEWTON_STEPS = 40
_SMALLEST_SHARE = 1e-3  # of a Newton step, before it counts as stalled


class SaddlePoint(NamedTuple):
    """A solution ``value`` (same structure as the start), its relative ``residual``
    ``||log(update(x) / x)||``, and how many damped and Newton ``steps`` it took."""

    value: Any
    residual: Array
    steps: Array


def saddle_point(
    update: Callable[[Any], Any],
    start: Any,
    *,
    damping: float = 0.6,
    damped_steps: int = 50,
    rounds: int = 8,
) -> SaddlePoint:
    """Solve ``x = update(x)`` for positive scalars ``x``.

    Parameters
    ----------
    update : function
        From a pytree of positive scalars to one of the same structure. It may close over traced
        parameters, and the solution is differentiable in them.
    start : pytree of positive scalars
        A warm start saves steps.
    damping : float
        Share ``h`` of the way (in logarithms) that a damped step goes.
    damped_steps : int
        At most so many in the first round, twice as many in each that follows.
    rounds : int
        Upper limit; one is the rule. Under `jax.vmap` all lanes run as long as the slowest.

    Returns
    -------
    SaddlePoint
        With residual about 1e-15 in float64 and 1e-6 in float32 where it converged.
    """
    leaves, structure = jax.tree.flatten(start)
    first = jnp.log(jnp.stack([jnp.asarray(leaf) for leaf in leaves]))
    epsilon = jnp.finfo(first.dtype).eps
    converged = epsilon**0.75  # Newton's next step then reaches rounding
    infinite = jnp.full((), jnp.inf, first.dtype)

    def unpack(y):
        return jax.tree.unflatten(structure, list(jnp.exp(y)))

    def residual(y):
        return jnp.log(jnp.stack(jax.tree.leaves(update(unpack(y))))) - y

    def damped(residual, y, limit, near):
        def unfinished(carry):
            step, _, size = carry
            return (step < limit) & ~(size < near)

        def advance(carry):
            step, y, _ = carry
            r = residual(y)
            return step + 1, y + damping * r, _size(r)

        step, y, _ = lax.while_loop(unfinished, advance, (0, y, infinite))
        return step, y

    def newton(residual, y):
        def unfinished(carry):
            step, _, best, _, share = carry
            return (step < _NEWTON_STEPS) & (best > 16 * epsilon) & (share > _SMALLEST_SHARE)

        def advance(carry):
            step, y, best, move, share = carry
            trial = y + share * move
            r, tangent = jax.linearize(residual, trial)
            jacobian = jax.vmap(tangent, out_axes=1)(jnp.eye(y.size, dtype=y.dtype))
            better = _size(r) < best
            y, best = jnp.where(better, trial, y), jnp.where(better, _size(r), best)
            move = jnp.where(better, jnp.linalg.solve(jacobian, -r), move)
            # Close to rounding, a step that does not help is the last one.
            halved = jnp.where(best < converged, 0, share / 2)
            return step + 1, y, best, move, jnp.where(better, 1, halved)

        carry = (0, y, infinite, jnp.zeros_like(y), jnp.ones_like(infinite))
        step, y, best, _, _ = lax.while_loop(unfinished, advance, carry)
        return step, y, best

    def solve(residual, y):
        def unfinished(carry):
            count, _, best, _, _ = carry
            return (count < rounds) & ~(best < converged)

        def advance(carry):
            count, _, _, far, steps = carry
            slow, far = damped(residual, far, damped_steps * 2**count, 10.0**-count)
            fast, y, best = newton(residual, far)
            return count + 1, y, best, far, steps + slow + fast

        _, y, best, _, steps = lax.while_loop(unfinished, advance, (0, y, infinite, y, 0))
        return y, (best, jnp.asarray(steps, y.dtype))  # derivatives want floats only

    def tangent_solve(linear, right):
        return jnp.linalg.solve(jax.jacobian(linear)(jnp.zeros_like(right)), right)

    y, (size, steps) = lax.custom_root(residual, first, solve, tangent_solve, has_aux=True)
    return SaddlePoint(unpack(y), size, steps.astype(int))


def saddle_point_curve(
    update: Callable[[Any, Any], Any], start: Any, points: Any, **options: Any
) -> SaddlePoint:
    """Solve ``x = update(x, p)`` along a curve of parameters ``p``, each start being the last root.

    ``points`` is a pytree of arrays whose leading axis runs along the curve; so is the result.
    Where a point did not converge, the next one starts from ``start`` again.
    """

    def follow(previous, point):
        found = saddle_point(lambda x: update(x, point), previous, **options)
        good = found.residual < 1e-3
        following = jax.tree.map(lambda x, x0: jnp.where(good, x, x0), found.value, start)
        return lax.stop_gradient(following), found

    start = jax.tree.map(jnp.asarray, start)
    return lax.scan(follow, start, points)[1]


def _size(residual) -> Array:
    """``||r||``, infinite where the equations have no finite value."""
    size = jnp.sqrt(jnp.sum(residual**2))
    return jnp.where(jnp.isfinite(size), size, jnp.inf)
