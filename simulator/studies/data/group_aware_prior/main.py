"""A small group-balanced set enters as a prior: what does the worst group gain, at finite size?

Question. Training data carry a spurious attribute that agrees with the label most of the time. A
few group-balanced samples enter as a prior of weight ``k``. When does the worst group gain?

Model. Groups as in `_model`. ``N`` training samples, ``M`` group samples (``M/4`` in each of the
four groups); ridge regression on labels ±1 with the objective

    J(w) = mean_train (y - x.w)² + k mean_group (y - x.w)² + λ|w|²,

the MAP estimate of the paper for ``k = tau_c / N``, ``λ = tau / (2 N)``, perturbation radius 0.

Theory. ``n = N + M``, ``γ = d/n``; two types of rows with shares ``N/n``, ``M/n``, weights ``n/N``,
``k n/M`` and correlations ``delta``, 0 of label and attribute. `maths.special_directions` gives the
two special coordinates ``(w1, w2)`` and ``noise_norm``, relative error O(1/d); then, exactly,

    majority, minority error = Phi(-(w1 c ± w2 s) / |w|),   minimax_error = Phi(-c).

Larger ``k`` removes the spurious weight, but the noise grows, since ``M`` samples carry the fit.
Where the groups' errors are close, the mean of the larger exceeds the larger mean by O(d^-1/2).
Verdicts resolve 2 %: control variates (moments of both sets) leave half of the variance of the
noise norm, and 1 % would take four times the replicates, minutes of them.

Reference: T. G. J. Rudner, Y. S. Zhang, A. G. Wilson, J. Kempe, "Mind the GAP", AISTATS 2024,
arXiv 2403.09869 (the method; the Gaussian model and its limit are this package's own).
"""

import jax
import jax.numpy as jnp

from simulator.maths.gaussian import normal_cdf
from simulator.maths.least_squares import smallest_norm
from simulator.maths.slopes import square_root
from simulator.maths.special_directions import weighted_ridge
from simulator.parameters import parameters, static, traced
from simulator.sampling.row_types import ridge_fit
from simulator.studies.data.group_aware_prior import PAPER
from simulator.studies.data.group_aware_prior import _model as groups
from simulator.study import Figure, Output, Study, asymptotic, both, theory_only


@parameters
class Params(groups.GroupParams):
    num_samples: int = traced(1000, symbol="N", at_least=1, static_in=("direct",), grows=1)
    num_group_samples: int = traced(100, at_least=4, multiple_of=4, static_in=("direct",), grows=1)
    dim: int = static(100, at_least=2, traced_in=("theory",), grows=1)
    group_prior_weight: float = traced(1.0, at_least=0)
    ridge: float = traced(0.01, at_least=0)


def theory(params):
    """Two types of rows in the sharp limit."""
    train, group = params.num_samples, params.num_group_samples
    total = train + group
    delta = jnp.stack([1 - 2 * params.minority_fraction, jnp.zeros(())])
    a, noise = weighted_ridge(
        jnp.stack([train / total, group / total]),
        jnp.stack([total / train, params.group_prior_weight * total / group]),
        jax.vmap(lambda d: groups.second_moment(params, d))(delta),
        jax.vmap(lambda d: groups.first_moment(params, d))(delta),
        params.dim / total,
        params.ridge,
    )
    return {
        **groups.group_errors(params, a[0], a[1], jnp.sqrt(a @ a + noise)),
        "core_weight": a[0],
        "spurious_weight": a[1],
        "noise_norm": square_root(noise),
        "minimax_error": normal_cdf(-params.core_strength),
    }


def simulate_direct(key, params):
    """Draw both sets, times their labels; one linear solve."""
    train, group = params.num_samples, params.num_group_samples
    inputs, balanced = groups.drawn_sets(key, params)
    scale = jnp.sqrt(1 / train), jnp.sqrt(params.group_prior_weight / group)
    design = jnp.concatenate([scale[0] * inputs, scale[1] * balanced])
    targets = jnp.concatenate([jnp.full(train, scale[0]), jnp.full(group, scale[1])])
    found = _outputs(params, smallest_norm(design, params.ridge)(targets[:, None])[:, 0])
    return groups.with_moments(
        params, found, (inputs, jnp.ones(train)), (balanced, jnp.ones(group))
    )


def simulate_fast(key, params):
    """The same law from the number of minority samples and turned rows."""
    blocks = groups.turned_sets(key, params)
    weights = 1 / params.num_samples, params.group_prior_weight / params.num_group_samples
    found = _outputs(params, ridge_fit(blocks, weights, params.ridge))
    return groups.with_moments(params, found, *[(block.rows, block.targets) for block in blocks])


def _outputs(params, weights):
    """Group errors of ``weights`` in closed form, and its coordinates."""
    return {
        **groups.group_errors(params, weights[0], weights[1], jnp.linalg.norm(weights)),
        "core_weight": weights[0],
        "spurious_weight": weights[1],
        "noise_norm": jnp.linalg.norm(weights[2:]),
    }


def controls(params):
    """Means of the control variates."""
    return {"moments": jnp.zeros(())}


def validate(params, side):
    """A unique minimum."""
    active = params.num_samples + (params.group_prior_weight > 0) * params.num_group_samples
    if params.ridge == 0 and params.dim > active:
        raise ValueError(
            f"ridge = 0 is not allowed for dim = {params.dim} > {active} active samples: "
            "it must be > 0"
        )


def _of_the_larger(params):
    """Where the groups' errors agree, the mean of the larger one is off by O(d^-1/2)."""
    if params.spurious_strength == 0 or params.minority_fraction == 0.5:
        return asymptotic("O(d^-1/2): the groups' errors agree", rate=0.5)
    return asymptotic("O(1/d)")


figures = {
    "prior-weight": Figure(
        title="A group-aware prior trades spurious weight for noise",
        x="group_prior_weight", y=("worst_group_error", "average_error"),
        series="minority_fraction", yscale="linear",
        grid={"group_prior_weight": [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0],
              "minority_fraction": [0.02, 0.2]},
        params={"dim": 100, "num_samples": 1000, "num_group_samples": 100},
        caption="N = 1000, M = 100, d = 100, c = 1, s = 1.5, λ = 0.01.",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 64, "num_samples": 640, "num_group_samples": 128},
    {"dim": 96, "num_samples": 120, "num_group_samples": 48, "core_strength": 1.5,
     "spurious_strength": 1.3, "minority_fraction": 0.1, "group_prior_weight": 0.3, "ridge": 0.1},
)  # fmt: skip

STUDY = Study(
    name="group-aware-prior",
    title="a group-balanced set as a prior: errors of all groups at finite size",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            asymptotic("O(1/d)"),
            majority_error="error where the attribute agrees with the label",
            minority_error="error where it does not",
        ),
        Output("worst_group_error", "the larger of the two", _of_the_larger),
        *both(
            asymptotic("O(1/d)"),
            average_error="error on the training law",
            core_weight="w·e1",
            spurious_weight="w·e2",
            noise_norm="norm of the other coordinates",
        ),
        *theory_only(minimax_error="smallest worst-group error of any linear classifier"),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, controls=controls,
    validate=validate, figures=figures, tolerance=0.02, check_cells=check_cells,
)  # fmt: skip
