"""The price of implicit bias for sparse inputs, where the l2 geometry is the natural one.

Question. On dense inputs coordinate descent wins under attack. Inputs with few non-zero entries
have a small l2 norm and favour gradient descent: does that advantage survive an linf attack?

Model. ``x_j`` in {-1, 0, 1}, non-zero with probability s/d, fair signs; zero inputs, and inputs
with ``w*.x = 0``, are redrawn. Labels ``y = sign(w*.x)``; then training and test points move by
``rho y ||w*||_1 w* / ||w*||_2^2``, which guarantees ``y w*.x >= rho ||w*||_1``. Directions and
attack as in `gaussian_inputs`. Errors on a test set: the share of points with ``y w.x <= e
||w||_1``; ties, which sparse directions make frequent, are errors.

There is no closed form. Bounds, up to a constant over sqrt(n), predict
the order of the two geometries:

    l1:  (max_i ||x_i||_inf sqrt(2 log 2d) + e) / (e_max - e)
    l2:  (max_i ||x_i||_2 + e sqrt(d)) / gamma_2(e).

The l1 direction is not unique on such data; a vertex of the set of solutions is taken (at random),
as coordinate descent and the simplex method would.

Reference: N. Tsilivis, N. Frank, N. Srebro, J. Kempe, "The Price of Implicit Bias in Adversarially
Robust Generalization", NeurIPS 2024, arXiv 2406.04981.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

from simulator.studies.robustness.implicit_bias._model import (  # isort: skip
    TEACHERS, cosine, draw_teacher, norm_ratio, num_samples, validate,
)  # fmt: skip
from simulator.maths.margins import max_margin
from simulator.maths.norms import lp_norm
from simulator.parameters import SIMULATIONS, choice, parameters, static, traced
from simulator.studies.robustness.implicit_bias import PAPER
from simulator.study import RESIDUAL, Figure, Output, Study


@parameters
class Params:
    sample_ratio: float = traced(0.5, above=0, static_in=SIMULATIONS)
    attack_radius_fraction: float = traced(0.5, at_least=0, below=1)
    teacher_density: float = traced(1.0, above=0, at_most=1)
    dim: int = static(200, at_least=10)
    teacher: str = choice("gaussian", TEACHERS, detail="non-zero entries N(0, 1/k) or ±1/√k")
    input_sparsity: float = traced(
        4.0, "s", "expected non-zero entries of an input", above=0, at_most="dim"
    )
    distribution_margin: float = traced(0.0, "ρ", "shift along the teacher", at_least=0)
    num_samples_test: int = static(20000, symbol="–", at_least=1)


def simulate_direct(key, params):
    """One teacher, one training set, both directions, and their errors on one test set."""
    key_teacher, key_train, key_test, key_vertex = jax.random.split(key, 4)
    teacher = draw_teacher(key_teacher, params)
    rows = _signed_inputs(key_train, params, teacher, num_samples(params))
    test_rows = _signed_inputs(key_test, params, teacher, params.num_samples_test)

    radius_max = max_margin(rows, 1)
    vertex = _vertex(key_vertex, rows)
    radius = params.attack_radius_fraction * radius_max.margin
    l2 = max_margin(rows, 2, radius)
    directions = (vertex, l2.direction)

    def errors(radius):
        return jnp.stack([_test_error(test_rows, w, radius) for w in directions])

    root = math.sqrt(params.dim)
    adversarial_error = errors(radius)
    return {
        "attack_radius_max": root * radius_max.margin,
        "attack_radius": root * radius,
        "generalization_error": errors(0.0),
        "adversarial_error": adversarial_error,
        "price": adversarial_error[1] - adversarial_error[0],
        "cosine": jnp.stack([cosine(w, teacher) for w in directions]),
        "norm_ratio": jnp.stack([norm_ratio(w) for w in directions]),
        "robust_margin_l2": l2.margin,
        RESIDUAL: jnp.maximum(radius_max.residual, l2.residual),
    }


def _signed_inputs(key, params, teacher, count):
    """Rows ``y x`` of redrawn and shifted inputs."""
    shape = (count, params.dim)

    def redraw(carry):
        attempt, rows, scores = carry
        key_size, key_sign = jax.random.split(jax.random.fold_in(key, attempt))
        share = params.input_sparsity / params.dim
        active = jax.random.uniform(key_size, shape, float) < share
        fresh = jnp.where(active, jax.random.rademacher(key_sign, shape, float), 0)
        rows = jnp.where(_tied(scores, teacher)[:, None], fresh, rows)
        return attempt + 1, rows, rows @ teacher

    def unfinished(carry):
        return (carry[0] < 10_000) & _tied(carry[2], teacher).any()

    nothing = (0, jnp.zeros(shape, float), jnp.zeros(count, float))
    _, rows, scores = lax.while_loop(unfinished, redraw, nothing)
    # A label that 10 000 draws have not decided is NaN, which the engine refuses.
    labels = jnp.where(_tied(scores, teacher), jnp.nan, jnp.sign(scores))
    shift = params.distribution_margin * lp_norm(teacher, 1) * teacher / (teacher @ teacher)
    return labels[:, None] * rows + shift


def _vertex(key, rows):
    """A solution of the l1 problem at a vertex: the unique one of slightly unequal prices.

    ``min sum_j c_j |w_j|`` for random c near 1 is an l1 problem for the columns ``A_j / c_j``.
    """
    spread = float(jnp.finfo(rows.dtype).eps) ** (1 / 3)  # 6e-6 in float64, 5e-3 in float32
    costs = 1 + spread * jax.random.uniform(key, rows.shape[1:], rows.dtype)
    return max_margin(rows / costs, 1).direction / costs


def _test_error(rows, weights, radius):
    """Share of test points within e ||w||_1 of the wrong side; equality up to rounding counts."""
    size = lp_norm(weights, 1)
    rounding = math.sqrt(float(jnp.finfo(weights.dtype).eps))
    wrong = rows @ weights - radius * size <= rounding * size
    return wrong.astype(weights.dtype).mean()


def _tied(scores, teacher):
    """Scores that are zero up to rounding: sums of a few teacher entries can cancel."""
    return jnp.abs(scores) <= 50 * jnp.finfo(scores.dtype).eps * jnp.abs(teacher).max()


figures = {
    "price": Figure(
        title="Sparse inputs: the l2 advantage shrinks with the attack radius",
        x="attack_radius_fraction", y=("adversarial_error",), series="sample_ratio", replicates=12,
        xscale="linear", yscale="linear",
        grid={"attack_radius_fraction": [0.0, 0.25, 0.5, 0.75], "sample_ratio": [0.5, 1.0]},
        params={"num_samples_test": 5000}, caption="d = 200, s = 4, dense Gaussian teacher.",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 40, "sample_ratio": 0.75, "attack_radius_fraction": 0.3, "num_samples_test": 500},
)  # fmt: skip

STUDY = Study(
    name="implicit-bias.sparse-inputs",
    title="price of implicit bias for inputs with few non-zero entries",
    paper=PAPER, params=Params,
    outputs=tuple(
        Output(name, meaning, dims=dims, where="simulation")
        for name, meaning, dims in (
            ("attack_radius_max", "largest separable radius ε_max = e_max √d", ()),
            ("attack_radius", "ε = f ε_max", ()),
            ("generalization_error", "test error without attack, ties are errors", ("geometry",)),
            ("adversarial_error", "test error under attack, ties are errors", ("geometry",)),
            ("price", "robust error of the l2 geometry minus that of l1", ()),
            ("cosine", "alignment with the teacher", ("geometry",)),
            ("norm_ratio", "‖w‖₁ / (√d ‖w‖₂)", ("geometry",)),
            ("robust_margin_l2", "robust margin over ‖w‖₂ of the l2 solution", ()),
        )
    ),
    simulate_direct=simulate_direct, validate=validate,
    coordinates={"geometry": lambda params: ["l1", "l2"]}, figures=figures, check_cells=check_cells,
)  # fmt: skip
