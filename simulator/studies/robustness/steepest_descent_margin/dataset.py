"""Three steepest descents to the end, on any separable data set.

Question. On *my* data: how large are the l1, l2 and linf margins, and do coordinate, gradient and
sign descent reach them, for a linear model and for a diagonal network?

Model. Unit-norm steps ``eta0 / sqrt(1 + t)`` on the exponential loss. The linear model ``w.x``
starts at 0; the diagonal network ``(u * v).x`` at ``init_scale * N(0, 1)``, best of
``num_starts`` starts.

Theory (exact). ``gamma_p = max_w min_i y_i w.x_i / ||w||_p`` by convex programming. For the
diagonal network, because ``min ||u||^2 + ||v||^2 = 2 ||w||_1`` over ``u * v = w``,

    l2: gamma_1 / 2,      linf: gamma_inf (a bound: sign descent can stop at other KKT points).

All are upper bounds at every finite time. For the linear model the gap is at most
``(log n + R^2 sum eta^2 / 2) / sum eta`` with R the largest dual norm of a point.

Reference: N. Tsilivis, G. Vardi, J. Kempe, "Flavors of Margin", ICLR 2025, arXiv 2410.22069.
"""

import jax
import jax.numpy as jnp

from simulator.maths.steepest_descent import OPTIMIZERS
from simulator.parameters import array, parameters, static, traced
from simulator.studies.robustness.steepest_descent_margin import PAPER
from simulator.studies.robustness.steepest_descent_margin import _model as training
from simulator.study import RESIDUAL, Figure, Output, Study, upper_bound


@parameters
class Params:
    inputs: tuple = array(training.DATASET_A[0], detail="separable", dims=("point", "feature"))
    labels: tuple = array(training.DATASET_A[1], dims=("point",), integer=True)
    num_steps: int = static(40000, symbol="T", detail="of every run", at_least=1)
    step_size: float = traced(0.5, symbol="η₀", detail="steps of length η₀/√(1+t)", above=0)
    init_scale: float = traced(0.05, detail="of the diagonal network", above=0)
    num_starts: int = static(4, symbol="–", detail="of the diagonal network", at_least=1)


def theory(params):
    """Largest margins of the linear model, and of the diagonal network through them; exact."""
    linear, residual = training.linear_margins(params)
    return {
        "linear_margin": linear,
        "linear_alignment": jnp.ones_like(linear),
        "diagonal_margin_l2": linear[0] / 2,
        "diagonal_margin_linf": linear[2],
        RESIDUAL: residual,
    }


def simulate_direct(key, params):
    """Each optimiser to the end; margin and alignment in its own norm."""
    rows = training.signed_inputs(params)
    dim = rows.shape[1]

    def run(model, homogeneity, optimizer, start):
        def margins(theta):
            return model(rows, theta)

        optimiser = training.unit_step_descent(optimizer, params.step_size)
        theta, _ = training.descend(margins, start, optimiser, params.num_steps)
        found = training.measures(margins, theta, homogeneity)
        own = OPTIMIZERS.index(optimizer)
        return found["margin"][own], found["alignment"][own]

    zero = jnp.zeros(dim, float)
    linear = [run(training.linear_model, 1, optimizer, zero) for optimizer in OPTIMIZERS]
    margin, alignment = (jnp.stack(column) for column in zip(*linear, strict=True))

    shape = (params.num_starts, 2 * dim)
    starts = params.init_scale * jax.random.normal(key, shape, float)

    def best(optimizer):
        return jax.vmap(lambda start: run(training.diagonal_model, 2, optimizer, start)[0])(
            starts
        ).max()

    return {
        "linear_margin": margin,
        "linear_alignment": alignment,
        "diagonal_margin_l2": best("gradient_descent"),
        "diagonal_margin_linf": best("sign_descent"),
    }


validate = training.validate_dataset

figures = {
    "steps": Figure(
        title="Margins of the three steepest descents against training time",
        x="num_steps", y=("linear_margin", "diagonal_margin_l2"), replicates=5, xscale="log",
        yscale="linear", grid={"num_steps": [100, 300, 1000, 3000, 10000]},
        caption="Data set A. Lines: the largest margins, which each optimiser approaches.",
    ),
}  # fmt: skip

check_cells = (
    {"inputs": ((2.0, 1.0, 0.2), (-1.0, -3.0, -1.0), (1.0, -0.5, 2.0)), "labels": (1, -1, 1),
     "num_steps": 1500, "step_size": 0.4, "init_scale": 0.07},
)  # fmt: skip

STUDY = Study(
    name="steepest-descent-margin.dataset",
    title="margins that steepest descent reaches on a given data set",
    paper=PAPER, params=Params,
    outputs=(
        Output(
            "linear_margin", "margin of the linear model, each optimiser in its own norm",
            upper_bound("attained, gap O(log T / √T)"), dims=("geometry",),
        ),
        Output(
            "linear_alignment", "stationarity at the end of the run (1 at a KKT point)",
            upper_bound("attained"), dims=("geometry",),
        ),
        Output(
            "diagonal_margin_l2", "l2 margin of the diagonal network under gradient descent",
            upper_bound("attained"),
        ),
        Output(
            "diagonal_margin_linf", "linf margin of the diagonal network under sign descent",
            upper_bound("not always attained: other KKT points"),
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, validate=validate,
    coordinates={"geometry": training.geometries}, figures=figures, check_cells=check_cells,
)  # fmt: skip
