"""The Bradley-Terry model of paired comparisons: ``P(a beats b) = σ(s_a - s_b)``.

Scores are linear, ``s = base + φ·u``. What a data set says of ``u`` are the numbers
``wins[prompt, a, b]`` of pairs in which ``a`` was preferred to ``b``: the likelihood is a concave
function of ``u``, and its cost does not depend on how many pairs were labelled.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float

from simulator.runtime.shapes import Scalar

_LONGEST_STEP = 5.0
_ITERATIONS = 200


def differences(
    scores: Float[Array, "*prompts responses"],
) -> Float[Array, "*prompts responses responses"]:
    """``s_a - s_b``."""
    return scores[..., :, None] - scores[..., None, :]


def win_probabilities(
    scores: Float[Array, "*prompts responses"],
) -> Float[Array, "*prompts responses responses"]:
    """``P(a beats b)``, 1/2 on the diagonal."""
    return jax.nn.sigmoid(differences(scores))


def sigmoid_slope(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """``σ' = σ(x) σ(-x)``."""
    return jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)


def sigmoid_gap(
    x: Float[Array, "*shape"], y: Float[Array, "*shape"], gap: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """``σ(x) - σ(y)`` where ``gap = x - y`` is known better than the two."""
    up = gap >= 0
    size = jnp.where(up, gap, -gap)
    high, low = jnp.where(up, x, y), jnp.where(up, y, x)
    value = jax.nn.sigmoid(high) * jax.nn.sigmoid(-low) * -jnp.expm1(-size)
    return jnp.where(up, value, -value)


def mean_gradient(
    wins: Float[Array, "prompts responses responses"],
    scores: Float[Array, "prompts responses"],
    features: Float[Array, "prompts responses dim"],
) -> Float[Array, " dim"]:
    """Gradient in ``u`` of ``-sum wins log σ(s_a - s_b)``."""
    surprise = wins * jax.nn.sigmoid(-differences(scores))
    return -jnp.einsum("xy,xyj->j", surprise.sum(-1) - surprise.sum(-2), features)


def hessian(
    pairs: Float[Array, "prompts responses responses"],
    scores: Float[Array, "prompts responses"],
    features: Float[Array, "prompts responses dim"],
) -> Float[Array, "dim dim"]:
    """``sum pairs σ'(s_a - s_b) g gᵀ``, ``g = φ_a - φ_b``: the Laplacian of the graph of pairs."""
    edges = pairs * sigmoid_slope(differences(scores))
    edges = edges + jnp.swapaxes(edges, -1, -2)
    inside = jnp.einsum("xai,xab,xbj->ij", features, edges, features)
    return jnp.einsum("xa,xai,xaj->ij", edges.sum(-1), features, features) - inside


def triangle(rows: Float[Array, "rows dim"]) -> Float[Array, "dim dim"]:
    """``R`` with ``RᵀR = rowsᵀ rows``, which keeps the digits of rows that are small.

    An orthogonal decomposition whose longest rows come first errs relative to each row.
    """
    order = jnp.argsort(-lax.stop_gradient(jnp.max(jnp.abs(rows), axis=1)))
    return jnp.linalg.qr(rows[order], mode="r")


def rounding(root: Float[Array, "dim dim"]) -> Float[Array, ""]:
    """Relative error of what is solved with a `triangle`; infinite where it is singular."""
    size = jnp.abs(jnp.diagonal(root))
    smallest, eps = jnp.min(size), jnp.finfo(size.dtype).eps
    return jnp.where(smallest > 0, eps * jnp.max(size) / smallest, jnp.inf)


def fit(
    wins: Float[Array, "prompts responses responses"],
    features: Float[Array, "prompts responses dim"],
    base: Float[Array, "prompts responses"],
    origin: Float[Array, " dim"],
    start: Float[Array, " dim"],
    ridge: Scalar,
) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
    """The ``u`` that minimises ``-mean log σ(s_a - s_b) + ridge |origin + u|² / 2``.

    Newton's method with steps of norm at most 5, shortened where they would not descend.

    Parameters
    ----------
    wins : array (prompts, responses, responses)
        Weighted numbers of pairs won by the first over the second; the diagonal does not count.
    features, base : arrays
        Scores are ``base + features @ u``.
    origin : array (dim,)
        The penalty pulls ``origin + u`` to 0.
    start : array (dim,)
    ridge : float
        ``> 0``: the fit exists for any data, also where one response won all its comparisons.

    Returns
    -------
    u : array (dim,)
    residual : the square of the last step's change of a score, relative to ``1 +`` the largest
        difference: Newton's error after that step.
    """
    dtype = features.dtype
    tolerance = 1e-7 if dtype == jnp.float64 else 1e-5
    wins = wins / jnp.maximum(jnp.sum(wins), jnp.finfo(dtype).tiny)
    rounding = 8 * jnp.finfo(dtype).eps

    def around(u):
        scores = base + features @ u
        loss = -jnp.sum(wins * jax.nn.log_sigmoid(differences(scores)))
        loss = loss + ridge * jnp.sum((origin + u) ** 2) / 2
        gradient = mean_gradient(wins, scores, features) + ridge * (origin + u)
        curvature = hessian(wins, scores, features) + ridge * jnp.eye(len(u), dtype=dtype)
        step = cho_solve(cho_factor(curvature), gradient)
        length = jnp.linalg.norm(step)
        step = step * jnp.minimum(1, _LONGEST_STEP / jnp.maximum(length, 1e-30))
        spread = jnp.max(jnp.abs(differences(scores)), initial=0)
        moved = jnp.max(jnp.abs(differences(features @ step)), initial=0) / (1 + spread)
        return loss, step, moved

    def unfinished(carry):
        iteration, _, moved, _, _, shorter = carry
        return (iteration < _ITERATIONS) & (moved > tolerance) & (shorter > 1e-6)

    def iterate(carry):
        iteration, u, moved, loss, step, shorter = carry
        new = u - shorter * step
        new_loss, new_step, new_moved = around(new)
        better = new_loss <= loss + rounding * jnp.abs(loss)
        kept = tuple(
            jnp.where(better, x, y)
            for x, y in ((new, u), (new_moved, moved), (new_loss, loss), (new_step, step))
        )
        return iteration + 1, *kept, jnp.where(better, 1.0, shorter / 4).astype(dtype)

    loss, step, moved = around(start)
    carry = (jnp.int32(0), start, moved, loss, step, jnp.ones((), dtype))
    _, u, moved, _, step, _ = lax.while_loop(unfinished, iterate, carry)
    return u - jnp.where(moved <= tolerance, step, 0), moved**2
