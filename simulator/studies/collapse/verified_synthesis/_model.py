"""What the parts share: parameters, the accuracy of a classifier, the fit on what was kept."""

import jax
import jax.numpy as jnp
from jax import Array

from simulator.maths.gaussian import normal_cdf
from simulator.maths.slopes import ratio, square_root
from simulator.maths.special_directions import weighted_ridge
from simulator.parameters import parameters, static, traced


@parameters
class SelectionParams:
    """Parameters of a fit on selected samples."""

    num_samples_synthetic: int = traced(
        1000, detail="before selection", at_least=1, static_in=("direct",), grows=1
    )
    dim: int = static(100, at_least=4, traced_in=("theory",), grows=1)
    signal_norm: float = traced(1.5, above=0)
    ridge: float = traced(0.1, at_least=0)


def fitted(second: Array, first: Array, gamma, ridge) -> tuple[Array, Array]:
    """Special coordinates and squared noise norm of ridge regression on rows of one kind."""
    one = jnp.ones(1)
    return weighted_ridge(one, one, second[None], first[None], gamma, ridge)


def mixture_accuracy(signal_norm, along, norm) -> Array:
    """``Phi(|mu| w.w* / |w|)``, the accuracy in the mixture; 1/2 for ``w = 0``."""
    return normal_cdf(signal_norm * ratio(along, norm))


def angle_of(along, across_square) -> Array:
    """Angle between ``w`` and ``w*`` from ``w.w*`` and the square of the rest, in [0, pi].

    By the arctangent: the arccosine has no digits near 0 in float32. ``w = 0`` is at pi/2, as good
    as any.
    """
    nothing = (along == 0) & (across_square == 0)
    across = square_root(jnp.where(nothing, 1, across_square))
    return jnp.where(jnp.isinf(across), jnp.pi / 2, jnp.arctan2(across, along))


def accuracy(signal_norm, along, across_square) -> Array:
    """Accuracy of ``sign(x.w)`` in the mixture; ``signal_norm = 0`` means Gaussian inputs."""
    norm = square_root(along**2 + across_square)
    on_the_mixture = mixture_accuracy(signal_norm, along, norm)
    return jnp.where(signal_norm > 0, on_the_mixture, 1 - angle_of(along, across_square) / jnp.pi)


def empirical(numerator, denominator, given) -> Array:
    """A rate among ``denominator`` cases; where there is none, the given rate stands in.

    Its mean is the given rate, whatever the chance of no case.
    """
    return ratio(numerator, denominator, given)


def bernoulli(key: Array, chance, shape) -> Array:
    """Independent events of probability ``chance``, also for chances 0 and 1."""
    return jax.random.uniform(key, shape, float) < chance
