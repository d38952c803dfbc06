"""Margins, smoothed margins and stationarity along one steepest-descent trajectory.

Question. Is the theory visible on the way: does the smoothed margin never fall once the data are
separated, do margin and smoothed margin meet, does the run become stationary in its own norm?

Model. Linear ``w.x`` (L = 1) or diagonal network ``(u * v).x`` (L = 2) on a given data set,
exponential loss ``L(theta) = sum_i exp(-m_i)``. Steps ``c u(k) / max(||k||_*, 1e-3)``, ``k =
-grad log L``, each lower ``log L`` by about c and so follow the flow ``d theta/dt = Delta(grad
L)``. Recorded every 50 steps, in the l1, l2 and linf geometry whatever the optimiser.

Theory (arXiv 2410.22069; `simulator.maths.steepest_descent` defines the measures). For the flow,
once L < 1: the smoothed margin is non-decreasing in the optimiser's own norm; loss to 0 and norm to
infinity; margin and smoothed margin share their limit,

    smoothed <= margin <= smoothed + log(n) / ||theta||^L,

limit points are KKT points (alignment 1, Bregman gap 0). Exact upper bounds on the margins:
gamma_p (linear); gamma_1/4, gamma_1/2, gamma_inf (diagonal; l1, l2, linf).

Reference: N. Tsilivis, G. Vardi, J. Kempe, "Flavors of Margin", ICLR 2025, arXiv 2410.22069.
"""

import jax
import jax.numpy as jnp

from simulator.maths.steepest_descent import OPTIMIZERS
from simulator.parameters import array, choice, parameters, static, traced
from simulator.studies.robustness.steepest_descent_margin import PAPER
from simulator.studies.robustness.steepest_descent_margin import _model as training
from simulator.study import RESIDUAL, Figure, Output, Study, both, lower_bound, upper_bound


@parameters
class Params:
    inputs: tuple = array(training.DATASET_A[0], detail="separable", dims=("point", "feature"))
    labels: tuple = array(training.DATASET_A[1], dims=("point",), integer=True)
    model: str = choice("linear", tuple(training.HOMOGENEITY), "f", "w.x, or (u*v).x")
    optimizer: str = choice(
        "gradient_descent", OPTIMIZERS, detail="steepest descent in l1, l2, linf"
    )
    num_steps: int = static(
        30000, symbol="T", detail="recorded every 50", at_least=training.RECORD_EVERY
    )
    step_size: float = traced(0.02, symbol="c", detail="decrease of the log-loss per step", above=0)
    init_scale: float = traced(0.1, detail="standard deviation", above=0)


def theory(params):
    """Largest margins, at every step; alignment 1 and Bregman gap 0 of a stationary point."""
    best, residual = training.linear_margins(params)
    if params.model == "diagonal":
        best = jnp.stack([best[0] / 4, best[0] / 2, best[2]])
    steps = jnp.ones((params.num_steps // training.RECORD_EVERY, 1), best.dtype)
    return {
        "margin": steps * best,
        "smoothed_margin": steps * best,
        "alignment": steps * jnp.ones_like(best),
        "bregman": steps * jnp.zeros_like(best),
        RESIDUAL: residual,
    }


def simulate_direct(key, params):
    """One run from a Gaussian start; everything measured every 50 steps."""
    rows = training.signed_inputs(params)
    model = training.linear_model if params.model == "linear" else training.diagonal_model
    homogeneity = training.HOMOGENEITY[params.model]

    def margins(theta):
        return model(rows, theta)

    start = jax.random.normal(key, (homogeneity * rows.shape[1],), float)
    _, records = training.recorded_descent(
        margins,
        params.init_scale * start,
        training.loss_paced_descent(params.optimizer, params.step_size),
        params.num_steps,
        lambda theta: training.measures(margins, theta, homogeneity),
    )
    return records


validate = training.validate_dataset

figures = {
    f"{optimizer}-{model}": Figure(
        title=f"Margins along {optimizer.replace('_', ' ')}, {model} model",
        x="step",
        y=("margin", "smoothed_margin", "bregman"),
        grid={"step_size": [0.02]},
        params={"optimizer": optimizer, "model": model, "num_steps": 10000},
        replicates=3,
        xscale="log",
        yscale="linear",
        caption="Data set A; lines: the largest margins in l1, l2 and linf.",
    )
    for optimizer in OPTIMIZERS
    for model in training.HOMOGENEITY
}

_STEPS = ("step", "geometry")

check_cells = (
    {"num_steps": 1000, "step_size": 0.03, "init_scale": 0.2, "optimizer": "sign_descent"},
    {"num_steps": 1000, "step_size": 0.03, "init_scale": 0.3, "model": "diagonal"},
)  # fmt: skip

STUDY = Study(
    name="steepest-descent-margin.trajectory",
    title="margins and stationarity along steepest descent",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            upper_bound(),
            dims=_STEPS,
            margin="min_i m_i / ‖θ‖^L",
            smoothed_margin="-log L / ‖θ‖^L",
            alignment="⟨θ, k⟩ / (‖θ‖ ‖k‖_*)",
        ),
        Output("bregman", "1 - alignment: distance to a KKT point", lower_bound(), dims=_STEPS),
        Output(
            "slackness", "complementary slackness (undefined before separation)", dims=_STEPS,
            where="simulation", nan_where_undefined=True,
        ),
        Output("log_loss", "log sum_i exp(-m_i)", dims=("step",), where="simulation"),
        Output("parameter_norm", "norm of all parameters", dims=_STEPS, where="simulation"),
    ),
    theory=theory, simulate_direct=simulate_direct, validate=validate,
    coordinates={"step": training.recorded_steps, "geometry": training.geometries}, figures=figures,
    check_cells=check_cells,
)  # fmt: skip
