"""A perturbed group-aware prior with many samples: when is the minimax classifier reached?

Question. The prior also asks for a small group loss after a worst-case perturbation of radius
``rho``. How much does the worst group gain, and is there a radius that is enough?

Model. ``group-aware-prior`` for ``N, M -> inf`` at fixed dimension, squared or logistic loss,

    J(w) = mean_train loss + k mean_group loss(w + eps) + λ|w|²,   eps = rho g/|g|,

``g`` the gradient of the group loss at ``w``, ``eps`` not differentiated (a simulation may:
``perturbation_gradient = full``).

Theory. At ``rho = 0`` with squared loss the prior reweighs: ``delta_e = delta/(1+k)``,
``λ_e = λ/(1+k)``, ``w = (C(delta_e) + λ_e)^-1 v(delta_e)``. The perturbation is an exact penalty:
from ``critical_radius`` on the solution is the group-balanced optimum, ``(c/(1+c²), 0)`` for the
squared and ``(2c, 0)`` for the logistic loss: error ``Phi(-c)`` in every group. For squared loss

    critical_radius = (1/k) sqrt([λ c/(1+c²)²]² + [delta s/((1+c²)(1+s²))]²).

Below it the two coordinates solve ``F(w) = 0`` (see `_perturbed`). Relative error O(d/N + d/M); at
and beyond the critical radius the groups tie, and the mean of the larger error exceeds the larger
mean by O(M^-1/2).

Verdicts resolve 1 %: logistic fits to 0.1 % take 4 10^5 replicates, minutes.

Reference: arXiv 2403.09869 (the prior; the formulas are this package's own).
"""

from math import pi

import jax
import jax.numpy as jnp
from jax import lax

from simulator.studies.data.group_aware_prior._perturbed import (  # isort: skip
    Quadratic, full_gradient_minimum, quadratic_solution, root, smooth_solution,
)  # fmt: skip
from simulator.maths.gaussian import normal_cdf, normal_pdf
from simulator.maths.logistic_normal import logistic_averages
from simulator.maths.slopes import square_root
from simulator.parameters import choice, parameters, static, traced
from simulator.studies.data.group_aware_prior import PAPER
from simulator.studies.data.group_aware_prior import _model as groups
from simulator.study import CONTROLS, Figure, Output, Study, asymptotic, both, theory_only

_DIRECTIONS, _REFINEMENTS = 48, 3  # in which the logistic group loss must grow


@parameters
class Params(groups.GroupParams):
    num_samples: int = traced(
        20000,
        symbol="N",
        detail="simulation only",
        at_least=4,
        static_in=("direct",),
        grows=1,
        typical=(100, 100_000),
    )
    num_group_samples: int = traced(
        20000,
        detail="simulation only",
        at_least=4,
        multiple_of=4,
        static_in=("direct",),
        grows=1,
        typical=(100, 100_000),
    )
    dim: int = static(
        3, detail="simulation only", at_least=2, traced_in=("theory",), typical=(2, 100)
    )
    group_prior_weight: float = traced(1.0, at_least=0)
    ridge: float = traced(0.01, at_least=0)
    perturbation_radius: float = traced(0.0, at_least=0)
    loss: str = choice("squared", ("squared", "logistic"))
    perturbation_gradient: str = choice(
        "stopped", ("stopped", "full"), "–", "whether the perturbation is differentiated"
    )


def theory(params):
    """Two coordinates: a scalar equation for the squared loss, Newton's method for the logistic."""
    delta = 1 - 2 * params.minority_fraction
    k, ridge, radius = params.group_prior_weight, params.ridge, params.perturbation_radius
    if params.loss == "squared":
        found = quadratic_solution(
            Quadratic(groups.second_moment(params, delta), groups.first_moment(params, delta)),
            Quadratic(
                groups.second_moment(params, 0.0 * delta), groups.first_moment(params, 0.0 * delta)
            ),
            k,
            ridge,
            radius,
        )
    else:
        balanced = jnp.stack([2 * params.core_strength, 0 * delta])
        search = _expected_slopes(lax.stop_gradient(params), rough=True)
        solvable = _grows_everywhere(params)
        slopes = _expected_slopes(params)
        found = smooth_solution(slopes, k, radius, balanced, search, solvable)
    w = found.weights
    return {
        **groups.group_errors(params, w[0], w[1], square_root(w @ w)),
        "core_weight": w[0],
        "spurious_weight": w[1],
        "critical_radius": found.critical_radius,
        "minimax_error": normal_cdf(-params.core_strength),
    }


def _expected_slopes(params, rough=False):
    """Gradients of the training loss with its ridge, and of the group loss, on ``(e1, e2)``."""
    core, spurious = params.core_strength, params.spurious_strength
    means = jnp.stack([jnp.stack([core, spurious]), jnp.stack([core, -spurious])])

    def slope(w, delta):
        share = jnp.stack([1 + delta, 1 - delta]) / 2
        size = square_root(w @ w)
        miss, bend = jax.vmap(lambda m: logistic_averages(m, size, rough))(means @ w)
        return (share @ bend) * w - (share * miss) @ means

    delta = 1 - 2 * params.minority_fraction
    return (
        lambda w: slope(w, delta) + 2 * params.ridge * w,
        lambda w: slope(w, 0 * delta),
    )


def _grows_everywhere(params):
    """Whether ``k L_group(w_b + v) + b.v`` has a minimum: it must grow in every direction."""
    core, spurious = params.core_strength, params.spurious_strength
    pull = _expected_slopes(params)[0](jnp.stack([2 * core, 0 * core]))

    def growth(angle):
        u = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        z = jnp.stack([core * u[0] + spurious * u[1], core * u[0] - spurious * u[1]])
        missed = jnp.mean(normal_pdf(z) - z * normal_cdf(-z))
        return params.group_prior_weight * missed + pull @ u

    angles = jnp.linspace(0, 2 * pi, _DIRECTIONS, endpoint=False, dtype=float)
    least = angles[jnp.argmin(jax.vmap(growth)(angles))]
    for _ in range(_REFINEMENTS):
        slope, curvature = jax.jvp(jax.grad(growth), (least,), (jnp.ones_like(least),))
        move = slope / jnp.where(curvature > 0, curvature, jnp.inf)
        least = least - jnp.clip(move, -2 * pi / _DIRECTIONS, 2 * pi / _DIRECTIONS)
    return growth(least) > 0


def simulate_direct(key, params):
    """Draw both sets, times their labels, and minimise."""
    train, group = params.num_samples, params.num_group_samples
    rows, balanced = groups.drawn_sets(key, params)
    drawn = (rows, jnp.ones(train)), (balanced, jnp.ones(group))
    if params.loss == "squared":
        found = _squared_outputs(
            params,
            Quadratic(rows.T @ rows / train, jnp.mean(rows, axis=0)),
            Quadratic(balanced.T @ balanced / group, jnp.mean(balanced, axis=0)),
        )
        return groups.with_moments(params, found, *drawn)

    losses = (
        lambda w: jnp.mean(jnp.logaddexp(0, -rows @ w)) + params.ridge * (w @ w),
        lambda w: jnp.mean(jnp.logaddexp(0, -balanced @ w)),
    )
    slopes = jax.grad(losses[0]), jax.grad(losses[1])
    optimum = root(slopes[1], jnp.zeros(params.dim, float).at[0].set(2 * params.core_strength))
    found = smooth_solution(
        slopes, params.group_prior_weight, params.perturbation_radius, optimum, slopes
    )
    outputs = groups.with_moments(params, _outputs(params, found, losses), *drawn)
    outputs[CONTROLS]["slopes"] = _slopes_at_balanced(params, rows, balanced)
    return outputs


def _slopes_at_balanced(params, rows, balanced):
    """Slopes of the two logistic losses at the population's group-balanced optimum."""
    weights = jnp.zeros(params.dim, float).at[0].set(2 * params.core_strength)
    penalty = 2 * params.ridge * weights

    def centred(rows, expected):
        found = -jax.nn.sigmoid(-rows @ weights) @ rows / len(rows)
        return found - jnp.zeros_like(weights).at[:2].set(expected(weights[:2]))

    train, group = _expected_slopes(params)
    return jnp.concatenate([centred(rows, train) + penalty, centred(balanced, group)])


def simulate_fast(key, params):
    """Squared loss: the same law from turned rows, for only Gram matrices enter."""

    def quadratic(turned, total):
        return Quadratic(
            turned.rows.T @ turned.rows / total, turned.rows.T @ turned.targets / total
        )

    train, group = groups.turned_sets(key, params)
    found = _squared_outputs(
        params, quadratic(train, params.num_samples), quadratic(group, params.num_group_samples)
    )
    return groups.with_moments(
        params, found, *[(block.rows, block.targets) for block in (train, group)]
    )


def _squared_outputs(params, train, group):
    found = quadratic_solution(
        train, group, params.group_prior_weight, params.ridge, params.perturbation_radius
    )
    return _outputs(
        params,
        found,
        (
            lambda w: w @ train.second @ w - 2 * train.first @ w + params.ridge * (w @ w),
            lambda w: w @ group.second @ w - 2 * group.first @ w,
        ),
    )


def _outputs(params, found, losses):
    """Group errors of the fit in closed form, and its coordinates."""
    w = found.weights
    if params.perturbation_gradient == "full":
        train, group = losses
        w = full_gradient_minimum(
            train, group, params.group_prior_weight, params.perturbation_radius, w
        )
    return {
        **groups.group_errors(params, w[0], w[1], square_root(w @ w)),
        "core_weight": w[0],
        "spurious_weight": w[1],
        "critical_radius": found.critical_radius,
    }


def controls(params):
    """Means of the control variates."""
    return {"moments": jnp.zeros(()), "slopes": jnp.zeros(())}


def validate(params, side):
    """A group set that determines its optimum, and a theory for what it covers."""
    if side != "theory" and params.num_group_samples < params.dim:
        raise ValueError(
            f"num_group_samples = {params.num_group_samples} is not allowed for dim = "
            f"{params.dim}: fewer samples than dimensions have no unique group-balanced optimum"
        )
    if side == "theory" and params.perturbation_gradient == "full":
        raise ValueError(
            "perturbation_gradient = 'full' is not allowed in the theory: it is for 'stopped'"
        )


def _of_the_larger(params):
    """Where the groups' errors agree, the mean of the larger one is off by O(M^-1/2)."""
    tied = params.spurious_strength == 0 or params.minority_fraction == 0.5
    if tied or params.perturbation_radius > 0:
        return asymptotic("O(M^-1/2) where the groups' errors agree", rate=0.5)
    return asymptotic("O(d/N + d/M)")


figures = {
    "radius": Figure(
        title="From a critical radius on, every group has the minimax error",
        x="perturbation_radius", y=("worst_group_error", "average_error"),
        series="minority_fraction", replicates=30, xscale="linear", yscale="linear",
        grid={"perturbation_radius": [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4],
              "minority_fraction": [0.05, 0.2]},
        params={"ridge": 0.0},
        caption="Squared loss, c = 1, s = 1.5, k = 1, λ = 0; N = M = 20000, d = 3.",
    ),
}  # fmt: skip

check_cells = (
    {"num_samples": 8000, "num_group_samples": 8000, "minority_fraction": 0.1},
    {"num_samples": 8000, "num_group_samples": 8000, "core_strength": 1.2, "spurious_strength": 0.9,
     "minority_fraction": 0.15, "group_prior_weight": 0.7, "ridge": 0.2,
     "perturbation_radius": 0.08},
    # Small sets have a critical radius, too.
    {"num_samples": 2400, "num_group_samples": 2400, "core_strength": 1.2, "spurious_strength": 0.9,
     "minority_fraction": 0.15, "group_prior_weight": 4.0, "ridge": 0.05,
     "perturbation_radius": 0.1, "loss": "logistic"},
)  # fmt: skip

STUDY = Study(
    name="group-aware-prior.population",
    title="a perturbed group-aware prior with many samples",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            asymptotic("O(d/N + d/M)"),
            majority_error="error where the attribute agrees with the label",
            minority_error="error where it does not",
            average_error="error on the training law",
        ),
        Output("worst_group_error", "the larger of the two", _of_the_larger),
        *both(
            asymptotic("O(d/N + d/M)"),
            core_weight="w·e1",
            spurious_weight="w·e2",
            critical_radius="radius from which all groups have the minimax error; inf: none",
        ),
        *theory_only(minimax_error="smallest worst-group error of any linear classifier"),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, controls=controls,
    shortcuts=(("fast", lambda params: params.loss == "logistic", simulate_direct),),
    validate=validate, figures=figures, tolerance=0.01, check_cells=check_cells,
)  # fmt: skip
