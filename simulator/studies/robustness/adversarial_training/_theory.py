"""From the saddle point to the outputs, shared by the two studies."""

import jax
import jax.numpy as jnp
from jax import Array

from simulator.maths.replica.order_parameters import (  # isort: skip
    Fit, Hats, Order, WeightLaw, averages, conjugates, l2_damage, linf_damage, solve,
)  # fmt: skip
from simulator.maths.gaussian import attacked_error
from simulator.maths.proximal import loss_value
from simulator.maths.replica.channels import CHANNELS, SLOPE_AT_ZERO, train_error
from simulator.study import RESIDUAL


def fit_of(params, label_variance, attack_norm: str) -> Fit:
    """The fit that is trained; ``label_variance`` is ``rho + tau^2``."""
    damage = linf_damage if attack_norm == "linf" else l2_damage
    return Fit(
        CHANNELS[params.loss],
        params.sample_ratio,
        params.attack_radius_train,
        label_variance,
        damage,
    )


def outputs(
    fit: Fit, weights: WeightLaw, loss: str, vanishing: Array, radius_test
) -> dict[str, Array]:
    """All outputs of the theory.

    Parameters
    ----------
    fit : Fit
    weights : function
        The weight law; where ``vanishing``, one with a regular solution without attack (nothing
        of it is returned, but derivatives stay finite).
    loss : str
    vanishing : bool
        Whether the minimiser is exactly ``w = 0``; its outputs are then the conventional limits.
    radius_test : scalar
        ``eps_g``.
    """
    solvable = fit._replace(radius=jnp.where(vanishing, 0.0, fit.radius))
    x, residual = solve(solvable, weights)
    damage, rho = fit.damage(x.P), fit.label_variance
    values = {
        **errors(x, damage, rho, radius_test),
        "robust_train_loss": averages(solvable, x).loss,
        "robust_train_error": train_error(loss, x, solvable.radius * damage, rho),
        **x._asdict(),
        **_named(conjugates(solvable, x)),
        RESIDUAL: residual,
    }
    zero = jnp.zeros_like(rho)
    at_zero = {
        **errors_at_zero(),
        "robust_train_loss": loss_value(loss, zero),
        "robust_train_error": 0.5,
        **Order(zero, zero, zero, zero)._asdict(),
        **_named(conjugates_at_zero(fit, loss)),
        RESIDUAL: zero,
    }
    return {name: jnp.where(vanishing, at_zero[name], value) for name, value in values.items()}


def conjugates_at_zero(fit: Fit, loss: str) -> Hats:
    """Their limits as the weights vanish: every sample pulls with the slope of the loss at 0."""
    alpha, slope = fit.sample_ratio, SLOPE_AT_ZERO[loss]
    pull = alpha * fit.radius * slope
    return Hats(
        m=alpha * slope * jnp.sqrt(2 / (jnp.pi * fit.label_variance)),
        q=alpha * slope**2,
        V=alpha * (0.25 if loss == "logistic" else 0.0),
        P=jnp.where(pull > 0, jnp.inf, 0) if fit.damage is l2_damage else pull,
    )


def _named(hats: Hats) -> dict[str, Array]:
    return {f"{name}_hat": value for name, value in hats._asdict().items()}


def errors(x: Order, damage_per_radius, label_variance, radius_test) -> dict[str, Array]:
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
