"""What the trajectories of arXiv 2410.22069 share: data sets, homogeneous models, the runner.

Array outputs over the dim ``geometry`` are in the order (l1, l2, linf); parameters are flat
vectors, because the norm is that of all parameters jointly.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from simulator.maths.steepest_descent import (  # isort: skip
    OPTIMIZER_ORDERS, all_geometries, log_exponential_loss, scale_by_loss_decrease,
    steepest_descent,
)  # fmt: skip
from simulator.maths.margins import max_margin
from simulator.maths.norms import GEOMETRIES, ORDERS

DATASET_A = ((2.0, 1.0, 0.0), (1.0, 3.0, 1.0), (1.0, 0.0, 2.0)), (1, 1, 1)
DATASET_B = (
    (3.0, 1.0, 0.0, 1.0), (1.0, 2.0, 1.0, 0.0), (-2.0, 1.0, -1.0, 1.0),
    (0.0, -1.0, 2.0, 3.0), (1.0, -4.0, 0.0, 2.0),
), (1, 1, -1, 1, -1)  # fmt: skip

RECORD_EVERY = 50
HOMOGENEITY = {"linear": 1, "diagonal": 2}


# --------------------------------------------------------------------------------------------
# Data and models
# --------------------------------------------------------------------------------------------
def signed_inputs(params):
    """Rows ``y_i x_i``."""
    return params.labels[:, None] * params.inputs


def linear_model(rows, theta):
    """``y_i w.x_i``; homogeneous of degree 1."""
    return rows @ theta


def diagonal_model(rows, theta):
    """``y_i (u * v).x_i`` with theta = (u, v); homogeneous of degree 2."""
    u, v = jnp.split(theta, 2)
    return rows @ (u * v)


def relu_network(inputs, theta):
    """``sum_j a_j relu(w_j.x)`` with theta = (a, w_1, ..., w_k); homogeneous of degree 2."""
    width = theta.size // (inputs.shape[1] + 1)
    outer, inner = theta[:width], theta[width:].reshape(width, inputs.shape[1])
    return jax.nn.relu(inputs @ inner.T) @ outer


def linear_margins(params):
    """The largest linear margins gamma_1, gamma_2, gamma_inf, and the solver's residual."""
    rows = signed_inputs(params)
    found = [max_margin(rows, ORDERS[name], any_units=True) for name in GEOMETRIES]
    margins = jnp.stack([one.margin for one in found])
    return margins, jnp.stack([one.residual for one in found]).max()


#: Features that are smaller than the largest by more than this do not count in float64, where an
#: l2 margin is the root of a square: data that need them are refused, and very short points.
WIDEST, LONGEST = 1e6, 3e15


def validate_dataset(params, side):
    """Labels +-1, one per point, and a separating direction that float64 can find."""
    inputs, labels = np.asarray(params.inputs), np.asarray(params.labels)
    if labels.shape != inputs.shape[:1]:
        raise ValueError(
            f"labels has {labels.size} entries for {len(inputs)} points: one label per point"
        )
    if not np.isin(labels, (-1, 1)).all():
        raise ValueError(f"labels = {labels} is not allowed: every label must be 1 or -1")
    rows = labels[:, None] * inputs
    if not _separable(rows):
        raise ValueError("inputs are not linearly separable with these labels: no margin exists")
    sizes = np.max(np.abs(rows), axis=0)
    small = sizes * WIDEST < np.max(sizes)
    if small.any() and not _separable(rows[:, ~small]):
        few, many = int(np.argmin(np.where(sizes > 0, sizes, np.inf))), int(np.argmax(sizes))
        raise ValueError(
            f"the features of inputs differ too much in size: feature {few} is at most "
            f"{sizes[few]:g} and feature {many} up to {sizes[many]:g}, and without the small ones "
            "no direction separates the points; choose their units so that they differ by less "
            f"than a factor of {WIDEST:g}"
        )
    lengths = np.max(np.abs(rows), axis=1)
    if np.max(lengths) > LONGEST * np.min(lengths):
        short, long = int(np.argmin(lengths)), int(np.argmax(lengths))
        raise ValueError(
            f"the points of inputs differ too much in length: point {short} has entries up to "
            f"{lengths[short]:g} and point {long} up to {lengths[long]:g}; choose lengths that "
            f"differ by less than a factor of {LONGEST:g}"
        )


def _separable(rows):
    """Is there a direction in which all rows are positive?

    That depends neither on the units of the features nor on the lengths of the points; the linear
    program's tolerances do, so that it is asked in two ways: a direction that it finds is a proof.
    """
    from scipy.optimize import linprog  # here, so that listing the studies stays fast

    def scaled(rows, axis):
        size = np.max(np.abs(rows), axis=axis, keepdims=True)
        return rows / np.where(size > 0, size, 1)

    nothing, ones = np.zeros(rows.shape[1]), np.ones(len(rows))
    return any(
        linprog(
            nothing, A_ub=-scaled(scaled(rows, first), 1 - first), b_ub=-ones, bounds=(None, None)
        ).status
        != 2
        for first in (0, 1)
    )


# --------------------------------------------------------------------------------------------
# Runs
# --------------------------------------------------------------------------------------------
def unit_step_descent(optimizer, step_size):
    """Unit-norm steps of length ``eta0 / sqrt(1 + t)``, t = 0, 1, ..."""
    return steepest_descent(
        lambda count: step_size / jnp.sqrt(1.0 + count), OPTIMIZER_ORDERS[optimizer]
    )


def loss_paced_descent(optimizer, step_size):
    """Steps that each lower ``log L`` by about c: they follow the steepest-descent flow."""
    return optax.chain(
        scale_by_loss_decrease(OPTIMIZER_ORDERS[optimizer]),
        optax.scale_by_learning_rate(step_size),
    )


def descend(margins_of, theta, optimiser, num_steps, state=None):
    """``num_steps`` steps on ``log sum_i exp(-m_i(theta))``; the parameters and the state."""
    gradient = jax.grad(lambda theta: log_exponential_loss(margins_of(theta)))

    def step(_, carry):
        theta, state = carry
        updates, state = optimiser.update(gradient(theta), state, theta)
        return optax.apply_updates(theta, updates), state

    state = optimiser.init(theta) if state is None else state
    return lax.fori_loop(0, num_steps, step, (theta, state))


def recorded_descent(margins_of, theta, optimiser, num_steps, record):
    """``record(theta)`` after steps 50, 100, ..., stacked on a leading axis; and the last theta."""

    def block(carry, _):
        theta, state = descend(margins_of, carry[0], optimiser, RECORD_EVERY, carry[1])
        return (theta, state), record(theta)

    start = (theta, optimiser.init(theta))
    (theta, state), records = lax.scan(block, start, length=num_steps // RECORD_EVERY)
    theta, _ = descend(margins_of, theta, optimiser, num_steps % RECORD_EVERY, state)
    return theta, records


def measures(margins_of, theta, homogeneity):
    """All measures in all geometries, and ``log L``, as study outputs."""
    margins = margins_of(theta)
    descent = -jax.grad(lambda theta: log_exponential_loss(margins_of(theta)))(theta)
    found = all_geometries(theta, margins, descent, homogeneity)
    return found._asdict() | {"log_loss": log_exponential_loss(margins)}


def recorded_steps(params):
    """Coordinates of the dim ``step``."""
    return RECORD_EVERY * np.arange(1, params.num_steps // RECORD_EVERY + 1)


def geometries(params):
    return list(GEOMETRIES)
