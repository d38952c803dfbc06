"""Which margin does gradient descent find on two points, with a two-layer ReLU network?

Question. For L >= 2 steepest descent is only known to reach stationary points of the margin
problem. Where the largest margin is known exactly, does gradient descent find it?

Model. ``f(x) = sum_j a_j relu(w_j.x)`` with two unit points at angle theta, the first of label
+1. All parameters start at ``init_scale * N(0, 1)``; normalised gradient steps ``eta0 / sqrt(1 +
t)`` on the exponential loss; the best of ``num_starts`` starts is reported.

Theory. Half the largest margin over signed measures of neurons of mass 1; for width >= 2

    same labels:      gamma = max(cos(theta/2), 1/2) / 2    one shared neuron below 120 degrees,
                                                            two specialised ones above
    opposite labels:  gamma = sin(theta) / 4 up to 90 degrees, 1/4 above.

The global maximum bounds every run; the best start attains it (slowly near the kinks).

Reference: arXiv 2410.22069 (stationarity); the exact values are this package's own.
"""

import jax
import jax.numpy as jnp

from simulator.studies.robustness.steepest_descent_margin._model import (  # isort: skip
    descend, relu_network, unit_step_descent,
)  # fmt: skip
from simulator.parameters import parameters, static, traced
from simulator.studies.robustness.steepest_descent_margin import PAPER
from simulator.study import Figure, Output, Study, upper_bound


@parameters
class Params:
    angle_degrees: float = traced(60.0, "θ", "angle between the points", above=0, below=180)
    second_label: int = traced(1, "y₂", "label of the second point", at_least=-1, at_most=1)
    width: int = static(6, symbol="k", at_least=2)
    num_steps: int = static(40000, symbol="T", at_least=1)
    step_size: float = traced(0.3, symbol="η₀", detail="steps of length η₀/√(1+t)", above=0)
    init_scale: float = traced(0.1, detail="standard deviation", above=0)
    num_starts: int = static(4, symbol="–", at_least=1)


def theory(params):
    """The largest l2 margin of any network of width >= 2; exact."""
    angle = jnp.deg2rad(params.angle_degrees)
    same = jnp.maximum(jnp.cos(angle / 2), 0.5) / 2
    opposite = jnp.where(angle < jnp.pi / 2, jnp.sin(jnp.minimum(angle, jnp.pi / 2)), 1) / 4
    return {"relu_margin_l2": jnp.where(params.second_label > 0, same, opposite)}


def simulate_direct(key, params):
    """Gradient descent from several starts; the largest l2 margin among them."""
    angle = jnp.deg2rad(params.angle_degrees)
    inputs = jnp.stack([jnp.eye(2)[0], jnp.stack([jnp.cos(angle), jnp.sin(angle)])])
    labels = jnp.stack([jnp.ones(()), params.second_label.astype(float)])

    def margins(theta):
        return labels * relu_network(inputs, theta)

    def run(start):
        optimiser = unit_step_descent("gradient_descent", params.step_size)
        theta, _ = descend(margins, start, optimiser, params.num_steps)
        return margins(theta).min() / (theta @ theta)

    shape = (params.num_starts, 3 * params.width)
    starts = params.init_scale * jax.random.normal(key, shape, float)
    return {"relu_margin_l2": jax.vmap(run)(starts).max()}


def validate(params, side):
    if params.second_label == 0:
        raise ValueError("second_label = 0 is not allowed: it must be 1 or -1")


figures = {
    "angle": Figure(
        title="Largest ReLU margin of two points and what gradient descent finds",
        x="angle_degrees", y=("relu_margin_l2",), series="second_label", replicates=5,
        xscale="linear", yscale="linear",
        grid={"angle_degrees": [20.0, 45.0, 70.0, 90.0, 110.0, 130.0, 160.0],
              "second_label": [1, -1]},
        params={"num_steps": 20000},
        caption="Same labels: one neuron serves both points below 120 degrees.",
    ),
}  # fmt: skip

check_cells = (
    {"angle_degrees": 55.0, "num_steps": 500, "num_starts": 8},
    {"angle_degrees": 143.0, "num_steps": 500, "num_starts": 8},
    {"angle_degrees": 64.0, "second_label": -1, "num_steps": 500, "num_starts": 8},
    {"angle_degrees": 118.0, "second_label": -1, "num_steps": 500, "num_starts": 8},
)  # fmt: skip

STUDY = Study(
    name="steepest-descent-margin.two-points",
    title="largest margin of a two-layer ReLU network on two points",
    paper=PAPER, params=Params,
    outputs=(
        Output(
            "relu_margin_l2", "l2 margin: global maximum; best of the starts",
            upper_bound("attained by the best start"),
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, validate=validate, figures=figures,
    check_cells=check_cells,
)  # fmt: skip
