"""Margins of a two-layer ReLU network trained on a small teacher's labels.

Question. Networks are not convex: does each steepest descent still end with the largest margin in
its own norm, and does that help it generalise?

Model. ``x ~ N(0, I_d)``, labels ``sign t(x)`` of a ReLU teacher ``t(x) = sum_j (-1)^{j+1}
relu(w_j.x)``, ``w_j ~ N(0, I_d)``; inputs on which all teacher units are inactive are redrawn.
Student ``sum_j a_j relu(w_j.x)`` of width k, all parameters started at ``init_scale * N(0, 1)``,
trained as in `trajectory`: steps that each lower ``log L`` by about c, recorded every 50.

There is no theory: no exact margin is known. What holds at every step is smoothed margin <= margin
<= smoothed margin + log(n) / ||theta||^2, and, once L < 1 along the flow, a smoothed margin that
does not fall in the optimiser's own norm (arXiv 2410.22069). Runs that have not
separated the data at the end (coordinate descent often has not) have ``separated = 0``: condition
the margins on it.

Reference: N. Tsilivis, G. Vardi, J. Kempe, "Flavors of Margin", ICLR 2025, arXiv 2410.22069.
"""

import jax
import jax.numpy as jnp
from jax import lax

from simulator.maths.steepest_descent import OPTIMIZERS, log_exponential_loss
from simulator.parameters import choice, parameters, static, traced
from simulator.studies.robustness.steepest_descent_margin import PAPER
from simulator.studies.robustness.steepest_descent_margin import _model as training
from simulator.study import Figure, Output, Study, simulation_only


@parameters
class Params:
    dim: int = static(20, at_least=1)
    num_samples: int = static(100, at_least=1)
    num_samples_test: int = static(10000, symbol="–", at_least=1)
    width_teacher: int = static(2, "–", "hidden units of the teacher", at_least=2)
    width: int = static(100, symbol="k", detail="of the student", at_least=1)
    optimizer: str = choice(
        "gradient_descent", OPTIMIZERS, detail="steepest descent in l1, l2, linf"
    )
    num_steps: int = static(
        30000, symbol="T", detail="recorded every 50", at_least=training.RECORD_EVERY
    )
    step_size: float = traced(0.02, symbol="c", detail="decrease of the log-loss per step", above=0)
    init_scale: float = traced(0.1, detail="standard deviation", above=0)


def simulate_direct(key, params):
    """One teacher, one data set, one run; everything measured every 50 steps."""
    key_teacher, key_train, key_test, key_start = jax.random.split(key, 4)
    shape = (params.width_teacher, params.dim)
    units = jax.random.normal(key_teacher, shape, float)
    inputs, labels = _labelled(key_train, units, params.num_samples)
    test_inputs, test_labels = _labelled(key_test, units, params.num_samples_test)

    def margins(theta):
        return labels * training.relu_network(inputs, theta)

    def record(theta):
        right = test_labels * training.relu_network(test_inputs, theta) > 0
        accuracy = right.astype(theta.dtype).mean()
        return training.measures(margins, theta, 2) | {"test_accuracy": accuracy}

    size = params.width * (params.dim + 1)
    start = params.init_scale * jax.random.normal(key_start, (size,), float)
    optimiser = training.loss_paced_descent(params.optimizer, params.step_size)
    theta, records = training.recorded_descent(margins, start, optimiser, params.num_steps, record)
    separated = log_exponential_loss(margins(theta)) < 0
    return records | {"separated": separated.astype(theta.dtype)}


def _labelled(key, units, num_samples):
    """Inputs with a non-zero teacher output, and its sign."""
    signs = jnp.where(jnp.arange(len(units)) % 2 == 0, 1, -1)

    def teacher(inputs):
        return jax.nn.relu(inputs @ units.T) @ signs.astype(inputs.dtype)

    def redraw(carry):
        attempt, inputs, outputs = carry
        shape = (num_samples, units.shape[1])
        fresh = jax.random.normal(jax.random.fold_in(key, attempt), shape, float)
        inputs = jnp.where((outputs == 0)[:, None], fresh, inputs)
        return attempt + 1, inputs, teacher(inputs)

    # The loop ends whatever the units are: a label still missing after 1000 draws is NaN, which
    # the engine refuses.
    empty = jnp.zeros((num_samples, units.shape[1]), float)
    _, inputs, outputs = lax.while_loop(
        lambda carry: (carry[0] < 1000) & (carry[2] == 0).any(),
        redraw,
        (0, empty, jnp.zeros(num_samples, float)),
    )
    return inputs, jnp.where(outputs == 0, jnp.nan, jnp.sign(outputs))


figures = {
    optimizer: Figure(
        title=f"Margins of a two-layer network along {optimizer.replace('_', ' ')}",
        x="step",
        y=("margin", "test_accuracy"),
        grid={"init_scale": [0.1]},
        params={"optimizer": optimizer, "num_steps": 10000, "num_samples_test": 2000},
        replicates=3,
        yscale="linear",
        caption="d = 20, n = 100, width 100, teacher of two units.",
    )
    for optimizer in ("gradient_descent", "sign_descent")
}

_STEPS = ("step", "geometry")

check_cells = (
    {"dim": 5, "num_samples": 12, "num_samples_test": 500, "width": 10, "num_steps": 1500,
     "init_scale": 0.15},
)  # fmt: skip

STUDY = Study(
    name="steepest-descent-margin.two-layer",
    title="margins of a two-layer ReLU student along steepest descent",
    paper=PAPER, params=Params,
    outputs=(
        *simulation_only(
            dims=_STEPS,
            margin="min_i m_i / ‖θ‖²",
            smoothed_margin="-log L / ‖θ‖²",
            alignment="⟨θ, k⟩ / (‖θ‖ ‖k‖_*)",
            bregman="1 - alignment",
        ),
        Output(
            "slackness", "complementary slackness (undefined before separation)", dims=_STEPS,
            where="simulation", nan_where_undefined=True,
        ),
        Output("parameter_norm", "norm of all parameters", dims=_STEPS, where="simulation"),
        Output("log_loss", "log sum_i exp(-m_i)", dims=("step",), where="simulation"),
        Output("test_accuracy", "on fresh inputs", dims=("step",), where="simulation"),
        Output("separated", "1 if L < 1 at the end of the run", where="simulation"),
    ),
    simulate_direct=simulate_direct,
    coordinates={"step": training.recorded_steps, "geometry": training.geometries}, figures=figures,
    check_cells=check_cells,
)  # fmt: skip
