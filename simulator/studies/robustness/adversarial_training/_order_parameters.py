"""From the saddle point to the outputs, shared by the two studies."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from simulator.maths.gaussian import attacked_error
from simulator.maths.precision import float_dtype
from simulator.maths.proximal import loss_value
from simulator.maths.saddle_point import saddle_point
from simulator.studies.robustness.adversarial_training._channel import (
    HALF_SLOPE,
    Channel,
    Overlaps,
    channel,
    train_error,
)
from simulator.study import RESIDUAL


class Fields(NamedTuple):
    """Conjugate order parameters, all >= 0: drift ``m_hat`` along the teacher, noise ``q_hat``,
    stiffness ``V_hat``, and the pull ``P_hat`` of the attack towards zero."""

    m_hat: Array
    q_hat: Array
    V_hat: Array
    P_hat: Array


class Problem(NamedTuple):
    """What the channel needs to know: ``alpha``, ``eps_t``, ``rho_e`` and the loss; ``euclidean``
    if the damage is ``eps sqrt(P)`` rather than ``eps P``."""

    sample_ratio: Any
    radius: Any
    label_variance: Any
    loss: str
    euclidean: bool

    def damage_per_radius(self, size) -> Array:
        """``N``: sqrt(P) for the l2 and Mahalanobis attacks, P for linf."""
        return jnp.sqrt(size) if self.euclidean else size


def sample_averages(problem: Problem, x: Overlaps) -> Channel:
    """What the loss does to the fields of one sample."""
    shift = problem.radius * problem.damage_per_radius(x.P)
    return channel(problem.loss, x, shift, problem.label_variance)


def fields(problem: Problem, x: Overlaps, average: Channel) -> Fields:
    """The hat equations, the same for every geometry and penalty."""
    alpha, radius = problem.sample_ratio, problem.radius
    pull = alpha * radius * average.mean
    return Fields(
        m_hat=alpha * average.teacher,
        q_hat=alpha * average.square,
        V_hat=alpha * average.stiffness,
        P_hat=pull / (2 * jnp.sqrt(x.P)) if problem.euclidean else pull,
    )


def fields_at_zero(problem: Problem) -> Fields:
    """Their limits as the weights vanish: every sample pulls with the slope of the loss at 0."""
    alpha, slope = problem.sample_ratio, HALF_SLOPE[problem.loss]
    pull = alpha * problem.radius * slope
    return Fields(
        m_hat=alpha * slope * jnp.sqrt(2 / (jnp.pi * problem.label_variance)),
        q_hat=alpha * slope**2,
        V_hat=alpha * (0.25 if problem.loss == "logistic" else 0.0),
        P_hat=jnp.where(pull > 0, jnp.inf, 0) if problem.euclidean else pull,
    )


def solve(
    problem: Problem,
    weights: Callable[[Fields], Overlaps],
    vanishing: Array,
    solvable: Problem,
    radius_test,
) -> dict[str, Array]:
    """All outputs of the theory.

    Parameters
    ----------
    problem : Problem
    weights : function
        The weight-side equations, ``Fields -> Overlaps``.
    vanishing : bool
        Whether the minimiser is exactly ``w = 0``; its outputs are then the conventional limits.
    solvable : Problem
        ``problem`` with, where ``vanishing``, parameters that have a regular solution instead
        (nothing of it is returned, but derivatives stay finite).
    radius_test : scalar
        ``eps_g``.
    """
    rho = jnp.asarray(problem.label_variance, float_dtype())
    start = Overlaps(
        m=0.1 * jnp.sqrt(rho), q=jnp.ones_like(rho), V=jnp.ones_like(rho), P=1 + 0 * rho
    )
    point = saddle_point(
        lambda x: weights(fields(solvable, x, sample_averages(solvable, x))), start
    )
    x, norm = point.value, problem.damage_per_radius(point.value.P)
    average = sample_averages(solvable, x)
    outputs = {
        **errors(x, norm, rho, radius_test),
        "robust_train_loss": average.loss,
        "robust_train_error": train_error(problem.loss, x, solvable.radius * norm, rho),
        **x._asdict(),
        **fields(solvable, x, average)._asdict(),
        RESIDUAL: point.residual,
    }
    zero = jnp.zeros_like(rho)
    at_zero = {
        **errors_at_zero(),
        "robust_train_loss": loss_value(problem.loss, zero),
        "robust_train_error": 0.5,
        **Overlaps(zero, zero, zero, zero)._asdict(),
        **fields_at_zero(problem)._asdict(),
        RESIDUAL: zero,
    }
    return {name: jnp.where(vanishing, at_zero[name], value) for name, value in outputs.items()}


def errors(x: Overlaps, damage_per_radius, label_variance, radius_test) -> dict[str, Array]:
    """Errors on a fresh sample from the overlaps, exact for Gaussian inputs."""
    label_norm, score_norm = jnp.sqrt(label_variance), jnp.sqrt(x.q)
    damage = radius_test * damage_per_radius
    clean, robust = jax.vmap(lambda c: attacked_error(x.m, label_norm, score_norm, c))(
        jnp.stack([jnp.zeros_like(damage), damage])
    )
    return {
        "generalization_error": clean,
        "adversarial_error": robust,
        "boundary_error": robust - clean,
    }


def errors_at_zero() -> dict[str, float]:
    """The convention for a classifier without weights."""
    return {"generalization_error": 0.5, "adversarial_error": 0.5, "boundary_error": 0.0}
