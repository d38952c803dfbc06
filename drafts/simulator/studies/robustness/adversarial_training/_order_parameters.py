"""From the saddle point to the outputs, shared by the two studies."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from simulator.maths.gaussian import attacked_error
from simulator.maths.precision import float_dtype
from simulator.maths.proximal import loss_value
from simulator.maths.saddle_point import saddle_point
from simulator.studies.robustness.adversarial_training._channel import (
    HALF_SLOPE,
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


def fields(problem: Problem, x: Overlaps) -> Fields:
    """The hat equations (section 2.2), the same for every geometry and penalty."""
    alpha, radius = problem.sample_ratio, problem.radius
    norm = problem.damage_per_radius(x.P)
    average = channel(problem.loss, x, radius * norm, problem.label_variance)
    pull = alpha * radius * average.mean
    return Fields(
        m_hat=alpha * average.teacher,
        q_hat=alpha * average.square,
        V_hat=alpha * average.stiffness,
        P_hat=pull / (2 * norm) if problem.euclidean else pull,
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
        The weight-side equations, ``Fields -> Overlaps`` (section 2.3).
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
    point = saddle_point(lambda x: weights(fields(solvable, x)), start)
    x, hats = point.value, fields(solvable, point.value)
    outputs = {
        **errors(x, problem.damage_per_radius(x.P), problem.label_variance, radius_test),
        **_training(solvable, x),
        **x._asdict(),
        **hats._asdict(),
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
    outputs[RESIDUAL] = point.residual
    return {name: jnp.where(vanishing, at_zero[name], value) for name, value in outputs.items()}


def _training(problem: Problem, x: Overlaps) -> dict[str, Array]:
    shift = problem.radius * problem.damage_per_radius(x.P)
    label_variance = problem.label_variance
    return {
        "robust_train_loss": channel(problem.loss, x, shift, label_variance).loss,
        "robust_train_error": train_error(problem.loss, x, shift, label_variance),
    }


def errors(x: Overlaps, damage_per_radius, label_variance, radius_test) -> dict[str, Array]:
    """Errors on a fresh sample from the overlaps (section 2.1), exact for Gaussian inputs."""
    label_norm, score_norm = jnp.sqrt(label_variance), jnp.sqrt(x.q)
    clean = attacked_error(x.m, label_norm, score_norm, 0.0)
    robust = attacked_error(x.m, label_norm, score_norm, radius_test * damage_per_radius)
    return {
        "generalization_error": clean,
        "adversarial_error": robust,
        "boundary_error": robust - clean,
    }


def errors_at_zero() -> dict[str, float]:
    """The convention for a classifier without weights."""
    return {"generalization_error": 0.5, "adversarial_error": 0.5, "boundary_error": 0.0}
