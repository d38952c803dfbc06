"""What a finite-size replicate measures, shared by the two studies."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from simulator.maths.proximal import loss_value
from simulator.maths.replica.order_parameters import Order
from simulator.maths.robust_risk import RobustFit
from simulator.studies.robustness.adversarial_training._theory import errors, errors_at_zero
from simulator.study import RESIDUAL

TEST_SAMPLES = 500


class Trained(NamedTuple):
    """A fitted classifier and all that its errors depend on.

    ``margins`` are the robust margins of the training points, ``teacher_variance`` is
    ``w*.Sx w* / d`` of the drawn teacher and ``damage`` the margin lost per unit of attack.
    """

    m: Array
    q: Array
    P: Array
    teacher_variance: Array
    damage: Array
    margins: Array
    fit: RobustFit


def num_samples(params) -> int:
    """That of a ``sample_ratio``, at least one."""
    return max(round(params.sample_ratio * params.dim), 1)


def signs(scores) -> Array:
    """Labels: +1 or -1, never 0."""
    return jnp.where(scores < 0, -1, 1).astype(scores.dtype)


def labels(key, scores, noise_std) -> Array:
    """``sign(score + noise_std * xi)``."""
    return signs(scores + noise_std * jax.random.normal(key, scores.shape, float))


def measurements(trained: Trained, loss: str, test: dict[str, Array]) -> dict[str, Array]:
    """The outputs of a replicate; ``test`` holds its errors on fresh samples."""
    trivial = trained.q == 0
    error = jnp.where(trivial, 0.5, jnp.mean(trained.margins < 0))
    test = {k: jnp.where(trivial, v, test[k]) for k, v in errors_at_zero().items()}
    return {
        **test,
        "robust_train_loss": jnp.mean(loss_value(loss, trained.margins)),
        "robust_train_error": error,
        "m": trained.m,
        "q": trained.q,
        "P": trained.P,
        RESIDUAL: trained.fit.residual,
    }


def test_errors(margins, damage) -> dict[str, Array]:
    """Shares of fresh samples that are lost without and under attack."""
    clean, robust = jnp.mean(margins < 0), jnp.mean(margins < damage)
    return {
        "generalization_error": clean,
        "adversarial_error": robust,
        "boundary_error": robust - clean,
    }


def projected_test(key, trained: Trained, noise_std, radius) -> dict[str, Array]:
    """The same shares, from the two-dimensional Gaussian law of teacher's and student's scores."""
    key_scores, key_noise = jax.random.split(key)
    first, second = jax.random.normal(key_scores, (2, TEST_SAMPLES), float)
    rho = trained.teacher_variance
    rest = jnp.maximum(trained.q - trained.m**2 / rho, 0)
    student = trained.m / jnp.sqrt(rho) * first + jnp.sqrt(rest) * second
    y = labels(key_noise, jnp.sqrt(rho) * first, noise_std)
    return test_errors(y * student, radius * trained.damage)


def expected_test(trained: Trained, noise_std, radius) -> dict[str, Array]:
    """Their expectation given classifier and teacher, exact at every dimension."""
    q = jnp.where(trained.q > 0, trained.q, 1)
    order = Order(m=trained.m, q=q, V=q, P=q)
    return errors(order, trained.damage, trained.teacher_variance + noise_std**2, radius)
