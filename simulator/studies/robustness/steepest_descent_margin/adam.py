"""Which geometry does Adam follow: linf or l2?

Question. Adam with a vanishing stability constant resembles sign descent, with a large one gradient
descent with momentum. Which margin does it maximise on a given data set?

Model. Linear model from ``w = 0`` on the logarithm of the exponential loss; ``beta1 = 0.9``,
``beta2 = 0.95``, both moments bias-corrected, ``w <- w - (step_size / sqrt(t)) m / (sqrt(v) +
delta)``, t = 1..T (0/0 counts as 0).

Theory. The largest margins ``gamma_p`` bound the fractions ``gamma_p(w_T) / gamma_p`` by 1 in
each of the three norms; the norm in which 1 is reached is the geometry that Adam follows. That it
moves from linf to l2 is an observation, not a theorem: on data set B the fraction is 0.996 in linf
at delta = 0 and 0.984 in l2 at delta = 1.

Reference: N. Tsilivis, G. Vardi, J. Kempe, "Flavors of Margin", ICLR 2025, arXiv 2410.22069.
"""

import jax
import jax.numpy as jnp
from jax import lax

from simulator.maths.margins import robust_margin
from simulator.maths.norms import GEOMETRIES, ORDERS
from simulator.maths.steepest_descent import log_exponential_loss
from simulator.parameters import array, parameters, static, traced
from simulator.studies.robustness.steepest_descent_margin import PAPER
from simulator.studies.robustness.steepest_descent_margin import _model as training
from simulator.study import RESIDUAL, Figure, Output, Study, upper_bound

MOMENTUM, SQUARES = 0.9, 0.95


@parameters
class Params:
    inputs: tuple = array(training.DATASET_B[0], detail="separable", dims=("point", "feature"))
    labels: tuple = array(training.DATASET_B[1], dims=("point",), integer=True)
    num_steps: int = static(60000, symbol="T", at_least=1)
    step_size: float = traced(0.1, symbol="η₀", detail="steps of size η₀/√t", above=0)
    stability_constant: float = traced(0.0, "δ", "added to the root of the squares", at_least=0)


def theory(params):
    """No direction has more than the largest margin: 1 in every norm."""
    return {"margin_fraction": jnp.ones(len(GEOMETRIES), float)}


def simulate_direct(key, params):
    """Adam to the end (the run is deterministic: the key is not used)."""
    rows = training.signed_inputs(params)
    gradient = jax.grad(lambda w: log_exponential_loss(training.linear_model(rows, w)))

    def step(count, carry):
        w, mean, square = carry
        t = (count + 1).astype(w.dtype)
        g = gradient(w)
        mean = MOMENTUM * mean + (1 - MOMENTUM) * g
        square = SQUARES * square + (1 - SQUARES) * g**2
        root = jnp.sqrt(square / (1 - SQUARES**t)) + params.stability_constant
        move = mean / (1 - MOMENTUM**t) / jnp.where(root > 0, root, 1)
        return w - params.step_size / jnp.sqrt(t) * move, mean, square

    zero = jnp.zeros(rows.shape[1], float)
    w, _, _ = lax.fori_loop(0, params.num_steps, step, (zero, zero, zero))
    reached = jnp.stack([robust_margin(rows, w, 0.0, ORDERS[name]) for name in GEOMETRIES])
    best, residual = training.linear_margins(params)
    return {"margin_fraction": reached / best, RESIDUAL: residual}


validate = training.validate_dataset

figures = {
    "stability": Figure(
        title="Adam moves from the linf to the l2 geometry as its stability constant grows",
        x="stability_constant", y=("margin_fraction",), replicates=1, yscale="linear",
        grid={"stability_constant": [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]},
        params={"num_steps": 20000}, caption="Data set B; 1 is the largest margin in each norm.",
    ),
}  # fmt: skip

check_cells = (
    {"num_steps": 2000, "stability_constant": 0.003},
    {"num_steps": 2000, "stability_constant": 0.8},
)  # fmt: skip

STUDY = Study(
    name="steepest-descent-margin.adam",
    title="margins that Adam reaches, by its stability constant",
    paper=PAPER, params=Params,
    outputs=(
        Output(
            "margin_fraction", "margin over the largest one in that norm",
            upper_bound("attained in the norm that Adam follows"), dims=("geometry",),
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, deterministic=True, validate=validate,
    coordinates={"geometry": training.geometries}, figures=figures, check_cells=check_cells,
)  # fmt: skip
