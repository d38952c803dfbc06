"""Do the optimisers reach the robust margins that the theory of their implicit bias promises?

Question. Gradient descent, coordinate descent, sign descent and a diagonal network minimise the
same robust loss. How fast does the robust margin of each, in its own norm, approach its optimum,
and what happens to the robust error on the way?

Model. Gaussian inputs and teacher as in `gaussian_inputs`; robust exponential loss ``sum_i
exp(-y_i w.x_i + e ||w||_1)``, ``e = f e_max``. With ``b = A^T p``, p the softmax of the robust
margins' negatives and A the rows ``y_i x_i``, its subgradient of least norm is, per coordinate,

    g_j = -b_j + e sign(w_j)  where w_j != 0,      g_j = -soft(b_j, e)  where w_j = 0.

Steps ``w <- w - (step_size / sqrt(t)) u``, u the unit steepest-ascent direction of g in the
optimiser's norm. The diagonal network ``w = u^2 - v^2`` starts at ``u = v = init_scale`` and moves
along the joint gradient (2 u g, -2 v g) of unit l2 norm; its margin is measured in l1.

Theory. Robust margin over its optimum (gamma_2(e); e_max - e for coordinate descent and diagonal
network; gamma_inf(e)) is at most 1, exactly, and tends to 1: the gap is O(log t / sqrt(t)) for
the steepest descents (for diagonal networks only stationarity is proved).

Reference: N. Tsilivis, N. Frank, N. Srebro, J. Kempe, "The Price of Implicit Bias in Adversarially
Robust Generalization", NeurIPS 2024, arXiv 2406.04981.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax, nn

from simulator.studies.robustness.implicit_bias._model import (  # isort: skip
    TEACHERS, draw_teacher, gaussian_errors, signed_gaussian_inputs, validate,
)  # fmt: skip
from simulator.maths.margins import max_margin, robust_margin
from simulator.maths.norms import soft_threshold, steepest_direction
from simulator.maths.steepest_descent import log_exponential_loss
from simulator.parameters import SIMULATIONS, choice, parameters, static, traced
from simulator.studies.robustness.implicit_bias import PAPER
from simulator.study import RESIDUAL, Figure, Output, Study, simulation_only, upper_bound

ORDERS = {
    "gradient_descent": 2.0,
    "coordinate_descent": 1.0,
    "sign_descent": math.inf,
    "diagonal_network": 1.0,
}
RECORD_EVERY = 50


@parameters
class Params:
    sample_ratio: float = traced(0.5, above=0, static_in=SIMULATIONS)
    attack_radius_fraction: float = traced(0.5, at_least=0, below=1)
    teacher_density: float = traced(1.0, above=0, at_most=1)
    teacher: str = choice("gaussian", TEACHERS, detail="non-zero entries N(0, 1/k) or ±1/√k")
    dim: int = static(200, at_least=10)
    optimizer: str = choice("gradient_descent", tuple(ORDERS), detail="who selects the separator")
    num_steps: int = static(20000, symbol="T", detail="recorded every 50", at_least=1)
    step_size: float = traced(0.05, symbol="η₀", detail="steps of length η₀/√t", above=0)
    init_scale: float = traced(0.01, detail="s N(0,1); u = v = s (network)", at_least=0)


def theory(params):
    """No run exceeds the largest robust margin: 1 at every step; exact bound, attained late."""
    return {"robust_margin_fraction": jnp.ones(params.num_steps // RECORD_EVERY, float)}


def simulate_direct(key, params):
    """One training set and one run of the optimiser on it, measured every 50 steps."""
    key_teacher, key_inputs, key_start = jax.random.split(key, 3)
    teacher = draw_teacher(key_teacher, params)
    rows = signed_gaussian_inputs(key_inputs, params, teacher)
    order = ORDERS[params.optimizer]
    l1 = max_margin(rows, 1)
    radius = params.attack_radius_fraction * l1.margin
    if order == 1:
        best = l1._replace(margin=l1.margin - radius, upper_bound=l1.upper_bound - radius)
    else:
        best = max_margin(rows, order, radius)
    network = params.optimizer == "diagonal_network"

    def weights(state):
        return state[0] ** 2 - state[1] ** 2 if network else state

    def step(state, t):
        w = weights(state)
        gradient = robust_subgradient(rows, w, radius)
        if network:
            gradient = jnp.stack([2 * state[0] * gradient, -2 * state[1] * gradient])
            direction = steepest_direction(gradient.ravel(), 2).reshape(gradient.shape)
        else:
            direction = steepest_direction(gradient, order)
        return state - params.step_size / jnp.sqrt(t) * direction

    def block(state, first):
        def one(i, state):
            return step(state, (first + i).astype(float))

        state = lax.fori_loop(0, RECORD_EVERY, one, state)
        w = weights(state)
        return state, {
            "robust_margin_fraction": robust_margin(rows, w, radius, order) / best.margin,
            "log_robust_loss": log_exponential_loss(rows @ w - radius * jnp.abs(w).sum()),
            "generalization_error": gaussian_errors(w, teacher, 0.0),
            "adversarial_error": gaussian_errors(w, teacher, radius),
        }

    if network:
        start = jnp.full((2, params.dim), params.init_scale, float)
    else:
        start = params.init_scale * jax.random.normal(key_start, (params.dim,), float)
    firsts = 1 + RECORD_EVERY * jnp.arange(params.num_steps // RECORD_EVERY)
    _, records = lax.scan(block, start, firsts)
    return records | {RESIDUAL: jnp.maximum(l1.residual, best.residual)}


def robust_subgradient(rows, w, radius):
    """Least-norm subgradient of ``log sum_i exp(-y_i w.x_i + e ||w||_1)``."""
    pull = rows.T @ nn.softmax(-(rows @ w))
    return jnp.where(w == 0, -soft_threshold(pull, radius), -pull + radius * jnp.sign(w))


def _validate(params, side):
    validate(params, side)
    if params.optimizer == "diagonal_network" and not params.init_scale > 0:
        raise ValueError(
            "init_scale = 0 is not allowed with optimizer = 'diagonal_network': it must be > 0 "
            "(u = v = 0 never moves)"
        )


figures = {
    optimizer: Figure(
        title=f"Robust margin along {optimizer.replace('_', ' ')}, as a share of its optimum",
        x="step",
        y=("robust_margin_fraction", "adversarial_error"),
        grid={"attack_radius_fraction": [0.0, 0.5]},
        series="attack_radius_fraction",
        params={"optimizer": optimizer, "dim": 100, "num_steps": 10000},
        replicates=5,
        yscale="linear",
        caption="Dense Gaussian teacher, n = d/2.",
    )
    for optimizer in ORDERS
}

check_cells = (
    {"dim": 20, "num_steps": 1500, "optimizer": "sign_descent", "attack_radius_fraction": 0.3},
    {"dim": 20, "num_steps": 1500, "sample_ratio": 0.75, "attack_radius_fraction": 0.2},
)  # fmt: skip

STUDY = Study(
    name="implicit-bias.trajectory",
    title="robust margins and errors along the optimisers of the robust exponential loss",
    paper=PAPER, params=Params,
    outputs=(
        Output(
            "robust_margin_fraction", "robust margin in the optimiser's norm over its optimum",
            upper_bound("attained as t -> inf"), dims=("step",),
        ),
        *simulation_only(
            dims=("step",),
            log_robust_loss="log of the loss",
            generalization_error="clean error",
            adversarial_error="error under attack",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, validate=_validate,
    coordinates={
        "step": lambda params: [
            RECORD_EVERY * (1 + i) for i in range(params.num_steps // RECORD_EVERY)
        ]
    },
    figures=figures, check_cells=check_cells,
)  # fmt: skip
