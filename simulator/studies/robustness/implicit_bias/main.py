"""The price of implicit bias in robust linear classification, for Gaussian inputs.

Question. Adversarial training of a linear model has no explicit regulariser: the optimiser selects
one of many robust separators. Gradient descent selects the one of largest l2 margin, coordinate
descent and diagonal networks the one of largest l1 margin. Under an linf attack, whose dual norm
is l1, how much robust accuracy does the l2 geometry of gradient descent cost?

Model. Inputs ``x ~ N(0, I_d)``, labels ``y = sign(w*.x)``, ``n = alpha d`` of them. A share k of
the teacher's entries is non-zero. The attack moves every coordinate by at most ``e = f e_max``,
``e_max`` being the largest linf margin of the training set. Steepest descent on the robust
exponential loss ``sum_i exp(-y_i w.x_i + e ||w||_1)`` tends to

    argmin ||w||_p  s.t.  y_i w.x_i - e ||w||_1 >= 1 for all i,   p = 1, 2.

The l1 direction does not depend on e; the l2 direction moves to it as ``f -> 1``.

Theory. In the limit ``d -> inf`` the order parameters ``m, q, P`` of each solution are a fixed
point (`simulator.maths.replica`), ``epsilon = e sqrt(d)``, and with t = m / sqrt(q)

    epsilon_max       = 1 / P at p = 1, epsilon = 0
    adversarial_error = Phi(kappa) - 2 T(kappa, t / sqrt(1 - t^2)),   kappa = epsilon P / sqrt(q)
    generalization_error = arccos(t) / pi
    price             = adversarial_error[l2] - adversarial_error[l1].

Exact as d -> inf; the finite-size simulation solves the two convex problems to rounding.
The limit curves extend the paper, which has bounds and experiments.

Verdicts resolve 10 %: the price is a small difference of two errors, and 1 % would take 10^6 convex
problems.

Reference: N. Tsilivis, N. Frank, N. Srebro, J. Kempe, "The Price of Implicit Bias in Adversarially
Robust Generalization", NeurIPS 2024, arXiv 2406.04981.
"""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import lax

from simulator.maths.replica.order_parameters import (  # isort: skip
    PATH_POINTS, Fit, averages, sample_ratio_path, solve_path,
)  # fmt: skip
from simulator.studies.robustness.implicit_bias._model import (  # isort: skip
    TEACHERS, cosine, draw_teacher, gaussian_errors, margin_directions, norm_ratio, num_samples,
    signed_gaussian_inputs, validate,
)  # fmt: skip
from simulator.maths.gaussian import attacked_error
from simulator.maths.replica.channels import hard_margin
from simulator.maths.replica.weights import soft_weights
from simulator.parameters import SIMULATIONS, choice, parameters, traced
from simulator.studies.robustness.implicit_bias import PAPER
from simulator.study import RESIDUAL, Figure, Output, Study, asymptotic


@parameters
class Params:
    sample_ratio: float = traced(0.5, above=0, static_in=SIMULATIONS)
    attack_radius_fraction: float = traced(0.5, at_least=0, below=1)
    teacher_density: float = traced(1.0, above=0, at_most=1)
    teacher: str = choice("gaussian", TEACHERS, detail="non-zero entries N(0, 1/k) or ±1/√k")
    dim: int = traced(512, detail="simulation only", at_least=10, static_in=SIMULATIONS, grows=1)


def theory(params):
    """Proportional limit of both max-margin directions; exact as d -> inf.

    Relative accuracy about 1e-10 (float64); the radius approaches its largest feasible value
    along a path, ``1 - f`` falling geometrically, so that f = 0.99 is as safe as f = 0.
    """
    f = params.attack_radius_fraction
    sample_ratios = sample_ratio_path(params.sample_ratio)
    share = jnp.arange(1, PATH_POINTS + 1, dtype=float) / PATH_POINTS
    rising = 1 - (1 - f) ** share

    def solve(P, norm):
        """The solution of one geometry; the unattacked P of l1 sets the radii of l2."""
        path = solve_path(
            Fit(hard_margin, sample_ratios, jnp.where(norm == 2, rising / P, 0)),
            lambda hats, _: soft_weights(hats, norm, params.teacher, params.teacher_density),
        )
        return path.order.P, path.end()

    _, (ends, residuals) = lax.scan(solve, jnp.ones_like(share), jnp.array([1, 2]))
    m, q, _, P = ends
    radius_max = 1 / P[0]
    radius = f * radius_max
    size = jnp.sqrt(q)
    adversarial_error = jax.vmap(attacked_error)(m, jnp.ones_like(m), size, radius * P)
    l2 = jax.tree.map(lambda x: x[1], ends)
    support_fraction = l2.V * averages(Fit(hard_margin, params.sample_ratio, radius), l2).stiffness
    return {
        "attack_radius_max": radius_max,
        "attack_radius": radius,
        "generalization_error": jnp.arccos(m / size) / math.pi,
        "adversarial_error": adversarial_error,
        "price": adversarial_error[1] - adversarial_error[0],
        "cosine": m / size,
        "norm_ratio": P / size,
        "robust_margin_l2": 1 / size[1],
        "support_fraction_l2": support_fraction,
        RESIDUAL: residuals.max(),
    }


def simulate_direct(key, params):
    """One training set: both max-margin problems, and the errors of their solutions exactly."""
    key_teacher, key_inputs = jax.random.split(key)
    teacher = draw_teacher(key_teacher, params)
    signed_inputs = signed_gaussian_inputs(key_inputs, params, teacher)
    l1, l2, radius = margin_directions(signed_inputs, params.attack_radius_fraction)

    def of_both(measure):
        return jnp.stack([measure(l1.direction), measure(l2.direction)])

    root = math.sqrt(params.dim)
    adversarial_error = of_both(lambda w: gaussian_errors(w, teacher, radius))
    return {
        "attack_radius_max": root * l1.margin,
        "attack_radius": root * radius,
        "generalization_error": of_both(lambda w: gaussian_errors(w, teacher, 0.0)),
        "adversarial_error": adversarial_error,
        "price": adversarial_error[1] - adversarial_error[0],
        "cosine": of_both(lambda w: cosine(w, teacher)),
        "norm_ratio": of_both(norm_ratio),
        "robust_margin_l2": l2.margin,
        RESIDUAL: jnp.maximum(l1.residual, l2.residual),
    }


def realised(params):
    return replace(
        params,
        sample_ratio=num_samples(params) / params.dim,
        teacher_density=max(round(params.teacher_density * params.dim), 1) / params.dim,
    )


figures = {
    "price": Figure(
        title="Price of gradient descent's implicit bias against the attack radius",
        x="attack_radius_fraction", y=("price",), series="teacher_density", replicates=100,
        xscale="linear", yscale="linear",
        grid={"attack_radius_fraction": [0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9],
              "teacher_density": [0.0625, 0.25, 1.0]},
        params={"dim": 128, "teacher": "signs"},
        caption="Sign teacher, n = d/2. The sparser the teacher, the more the l2 geometry costs.",
    ),
    "sample-ratio": Figure(
        title="Robust error of the l1 and l2 geometries against the number of samples",
        x="sample_ratio", y=("adversarial_error",), series="attack_radius_fraction", replicates=100,
        xscale="log", yscale="linear",
        grid={"sample_ratio": [0.125, 0.25, 0.5, 1.0, 2.0],
              "attack_radius_fraction": [0.0, 0.25, 0.5]},
        params={"dim": 128},
        caption="Dense Gaussian teacher: scarce data make the geometry matter.",
    ),
}  # fmt: skip


def _limit(note="bias below the O(d^-1/2) fluctuations of one data set"):
    return asymptotic(note, rate=1.0)


check_cells = (
    {"dim": 96, "sample_ratio": 0.5, "attack_radius_fraction": 0.35, "teacher": "signs",
     "teacher_density": 1 / 12},
)  # fmt: skip

STUDY = Study(
    name="implicit-bias",
    title="price of the optimiser's implicit bias in robust linear classification",
    paper=PAPER, params=Params,
    outputs=(
        Output("attack_radius_max", "largest separable radius ε_max = e_max √d", _limit()),
        Output("attack_radius", "ε = f ε_max", _limit()),
        Output("generalization_error", "error without attack", _limit(), dims=("geometry",)),
        Output("adversarial_error", "error under attack", _limit(), dims=("geometry",)),
        Output("price", "robust error of the l2 geometry minus that of l1", _limit()),
        Output("cosine", "alignment with the teacher", _limit(), dims=("geometry",)),
        Output("norm_ratio", "‖w‖₁ / (√d ‖w‖₂)", _limit(), dims=("geometry",)),
        Output("robust_margin_l2", "robust margin over ‖w‖₂ of the l2 solution", _limit()),
        Output("support_fraction_l2", "training points on the robust margin (l2)", where="theory"),
    ),
    theory=theory, simulate_direct=simulate_direct, realised=realised, validate=validate,
    coordinates={"geometry": lambda params: ["l1", "l2"]}, figures=figures, tolerance=0.1,
    check_cells=check_cells,
)  # fmt: skip
