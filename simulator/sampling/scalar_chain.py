"""Chains of ridgeless fits on isotropic inputs, reduced to two scalars per generation.

A generation with weights ``x`` draws ``N`` isotropic Gaussian inputs in ``R^dim``, labels them by
``x`` plus noise of standard deviation ``s`` and returns the least-squares solution of smallest
norm. Its law is invariant under rotations that fix ``x``, so the error with respect to a fixed
teacher ``w0`` needs only the component ``a`` of the iterate on ``w0`` and its norm ``c`` orthogonal
to ``w0``. With ``r = min(N, dim)``:

- ``x`` keeps the share ``B ~ Beta(r/2, (dim - r)/2)`` of its squared norm in the row space;
- the noise adds there a vector of norm ``s chi_r / chi_{|N - dim| + 1}`` in a uniform direction;
- the part orthogonal to ``x`` is uniform, hence splits between the plane of ``(w0, x)`` and the
  rest like one normal against ``chi_{dim - 2}``.

Exact at every size, O(1) per generation; sample sizes and dimension may be traced. This is the
sampler of the self-training chains of arXiv 2402.07712, over-parametrised or not.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from simulator.runtime.precision import float_dtype
from simulator.sampling.gamma import chi_square


class Iterate(NamedTuple):
    """An iterate seen from the teacher ``w0``."""

    along: Array  # component on w0 / |w0|
    across: Array  # norm of the rest, >= 0


def truth(norm) -> Iterate:
    """The teacher itself."""
    norm = jnp.asarray(norm, float_dtype())
    return Iterate(norm, jnp.zeros_like(norm))


def squared_error(iterate: Iterate, norm) -> Array:
    """``|w - w0|^2`` for ``|w0| = norm``."""
    return (iterate.along - norm) ** 2 + iterate.across**2


def next_iterate(key: Array, iterate: Iterate, num_samples, dim, noise_std) -> Iterate:
    """One generation: minimum-norm least squares on ``num_samples >= 1`` fresh isotropic inputs.

    Parameters
    ----------
    key : key
    iterate : Iterate
        The labeller.
    num_samples, dim : int
        ``N >= 1`` and ``dim >= 2``; both may be traced.
    noise_std : float
        Standard deviation ``s`` of the label noise.
    """
    key_chi, key_normal = jax.random.split(key)
    rank = jnp.minimum(num_samples, dim)
    excess = jnp.abs(num_samples - dim)
    dofs = jnp.stack(jnp.broadcast_arrays(rank, dim - rank, rank, excess + 1, rank - 1, dim - 2))
    kept, lost, noise, spread, inside, outside = chi_square(key_chi, dofs)
    first, second = jax.random.normal(key_normal, (2,), float_dtype())

    size = jnp.hypot(iterate.along, iterate.across)
    share = kept / (kept + lost)
    response = noise_std * jnp.sqrt(noise / spread)
    length = jnp.sqrt(first**2 + inside)
    projected = jnp.sqrt(share) * size + response * first / length
    parallel = jnp.sqrt(share) * projected
    orthogonal = jnp.hypot(
        jnp.sqrt(lost / (kept + lost)) * projected, response * jnp.sqrt(inside) / length
    )

    length = jnp.sqrt(second**2 + outside)
    in_plane, off_plane = orthogonal * second / length, orthogonal * jnp.sqrt(outside) / length
    cosine = jnp.where(size > 0, iterate.along / jnp.where(size > 0, size, 1), 1)
    sine = jnp.where(size > 0, iterate.across / jnp.where(size > 0, size, 1), 0)
    return Iterate(
        along=parallel * cosine - in_plane * sine,
        across=jnp.hypot(parallel * sine + in_plane * cosine, off_plane),
    )


def isotropic_chain(key: Array, norm, num_generations: int, num_samples, dim, noise_std) -> Iterate:
    """Iterates ``0..num_generations`` of a chain that starts at the teacher.

    Returns
    -------
    Iterate with entries of shape (num_generations + 1,)
    """
    start = truth(norm)

    def generation(iterate, key):
        iterate = next_iterate(key, iterate, num_samples, dim, noise_std)
        return iterate, iterate

    _, path = lax.scan(generation, start, jax.random.split(key, num_generations))
    return Iterate(*(jnp.concatenate([a[None], b]) for a, b in zip(start, path, strict=True)))
