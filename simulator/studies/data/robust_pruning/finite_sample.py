"""The same thresholds, fitted on finitely many samples.

Question. How far is a threshold that is fitted on the pruned set from the population's, and what
does that cost?

Model. ``N`` samples with class counts ``round(phi_k N)``; ``round(d_k N_k)`` of class ``k`` are
kept at random (ssp: the ``round(density N)`` largest scores). Estimators: ``erm``, the threshold of
fewest errors, the midpoints of all minimising gaps averaged; ``plug_in``, class means and unbiased
standard deviations put into the population rule (at least 2 samples per class are kept).

Theory. ``n = density N``; with ``c_k = q_k`` (ssp: ``phi_k/density``), ``g_k = c_k f_k(t)``,
``V = g_0 (t - mu_0)/sigma_0² + g_1 (mu_1 - t)/sigma_1²``,

    erm:      threshold_sd = sqrt(0.26355964) n^(-1/3) (2 sqrt(g_0 + g_1)/V)^(2/3),
    plug_in:  threshold_sd² = sum_k [(dt/dmu_k)² sigma_k² + (dt/dsigma_k)² sigma_k²/2]/n_k,
    excess_risk = V threshold_sd²/2,     class_risk_k = R_k + R_k'' threshold_sd²/2

(Chernoff's law of cube-root asymptotics; the delta method). Relative errors: erm O(n^-1/3) in the
spread, plug_in O(1/n). Constant rules and ssp past its jump have no spread at this order.

Verdicts resolve 10 %: a replicate of erm sorts its samples, and a spread to 1 % takes 2 10^5 of
them, minutes. The plug-in's moments are control variates of all its means; erm has none.

Reference: arXiv 2404.05579 (the population model; the finite-sample laws are this package's own).
"""

import jax
import jax.numpy as jnp

from simulator.maths.centred import centred_chi_square, centred_products
from simulator.maths.slopes import ratio, square_root
from simulator.parameters import choice, parameters, traced
from simulator.sampling.gamma import chi
from simulator.studies.data.robust_pruning import PAPER
from simulator.studies.data.robust_pruning import _model as pruning
from simulator.study import CONTROLS, Dispersion, Figure, Output, Study, approximate, asymptotic

_CHERNOFF_VARIANCE = 0.26355964  # of the maximiser of a two-sided Brownian motion minus t²


@parameters
class Params(pruning.ClassParams):
    num_samples: int = traced(
        4000, symbol="N", detail="before pruning", at_least=10, static_in=("direct",), grows=1
    )
    estimator: str = choice("erm", ("erm", "plug_in"), detail="of the threshold")


def theory(params):
    """Cube-root law or delta method around the population's threshold."""
    found = pruning.pruned(params)
    classes, rule = found.classes, found.rule
    t = rule.finite
    share = classes.priors / found.density if params.pruner == "ssp" else found.kept_priors
    pull = jnp.stack([t - classes.means[0], classes.means[1] - t]) / classes.stds**2
    slopes = pruning.density_at(classes, t) * pull  # R_k''
    curvature = share @ slopes
    moves = (rule.constant == 0) & ~found.jumped & (curvature > 0)
    curvature = jnp.where(moves, curvature, 1)
    if params.estimator == "erm":
        crossing = share @ pruning.density_at(classes, t)
        total = found.density * params.num_samples
        spread = (2 * jnp.sqrt(crossing) / curvature) ** (4 / 3)
        variance = _CHERNOFF_VARIANCE * total ** (-2 / 3) * spread
    else:
        variance = _plug_in_variance(found, params.num_samples)
    variance = jnp.where(moves, variance, 0)
    risks = rule.risks + slopes * variance / 2
    return {
        "threshold": rule.threshold,
        "threshold_sd": square_root(variance),
        "class_risk": risks,
        "average_risk": classes.priors @ risks,
        "excess_risk": curvature * variance / 2,
    }


def _plug_in_variance(found, num_samples):
    """The delta method, with derivatives of ``t_avg`` in means and deviations."""
    priors = jnp.where(found.kept_priors > 0, found.kept_priors, 0.5)

    def threshold(means, stds):
        return pruning.stationary_threshold(pruning.Classes(means, stds, priors), priors)[0]

    by_mean, by_std = jax.grad(threshold, (0, 1))(found.classes.means, found.classes.stds)
    count = num_samples * found.classes.priors * found.class_density
    return jnp.sum(ratio((by_mean**2 + by_std**2 / 2) * found.classes.stds**2, count))


def simulate_direct(key, params):
    """Draw and prune the samples, fit the threshold, measure its risks in closed form."""
    found = pruning.pruned(params)
    classes, total = found.classes, params.num_samples
    counts = pruning.class_counts(classes, total)
    label = (jnp.arange(total) >= counts[0]).astype(int)
    z = jax.random.normal(key, (total,), float)
    x = classes.means[label] + classes.stds[label] * z
    if params.pruner == "ssp":
        score = jnp.abs(x - classes.means[label])
        rank = jnp.argsort(jnp.argsort(-score))
        kept = rank < jnp.round(found.density * total)
    else:
        index = jnp.where(label == 0, jnp.arange(total), jnp.arange(total) - counts[0])
        kept = index < _kept_counts(found, counts, params.estimator)[label]
    if params.estimator == "erm":
        return _outputs(params, found, _fewest_errors(x, label, kept))
    weight = jnp.stack([kept & (label == k) for k in range(2)]).astype(x.dtype)
    number = jnp.sum(weight, axis=1)
    means = weight @ x / number
    variances = jnp.sum(weight * (x - means[:, None]) ** 2, axis=1) / (number - 1)
    return _plugged_in(params, found, number, means, jnp.sqrt(variances))


def simulate_fast(key, params):
    """Plug-in: the same law from means and deviations; the error count needs the samples."""
    found = pruning.pruned(params)
    classes = found.classes
    number = _kept_counts(found, pruning.class_counts(classes, params.num_samples), "plug_in")
    key_mean, key_std = jax.random.split(key)
    means = classes.means + classes.stds * jax.random.normal(key_mean, (2,), float) / jnp.sqrt(
        number
    )
    stds = classes.stds * chi(key_std, number - 1) / jnp.sqrt(number - 1)
    return _plugged_in(params, found, number, means, stds)


def _kept_counts(found, counts, estimator):
    """``round(d_k N_k)``; the plug-in needs two of each class."""
    kept = jnp.round(found.class_density * counts)
    return jnp.maximum(kept, 2) if estimator == "plug_in" else kept


def _plugged_in(params, found, number, means, stds):
    """The population's rule for fitted means and deviations, which are the control variates.

    In standard deviations: two normal numbers, two centred chi-squares and their products.
    """
    classes = found.classes
    rule = pruning.best_rule(pruning.Classes(means, stds, classes.priors), found.kept_priors)
    shifts = (means - classes.means) / classes.stds * jnp.sqrt(number)
    spreads = centred_chi_square((number - 1) * (stds / classes.stds) ** 2, number - 1)
    moments = jnp.concatenate([shifts, spreads])
    known = {"moments": jnp.concatenate([moments, centred_products(moments)])}
    return _outputs(params, found, rule.threshold) | {CONTROLS: known}


def controls(params):
    """Means of the control variates, which the plug-in has."""
    return {"moments": jnp.zeros(())}


def _fewest_errors(x, label, kept):
    """The average of the midpoints of all gaps with fewest errors; ±inf for the constant rules."""
    order = jnp.argsort(jnp.where(kept, x, jnp.inf))
    x, label, kept = x[order], label[order], kept[order]
    step = jnp.where(kept, 2 * label - 1, 0)
    errors = jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(step)])  # up to the zeros kept
    number = jnp.sum(kept)
    gap = jnp.arange(len(errors))
    tied = (errors == jnp.min(jnp.where(gap <= number, errors, len(errors)))) & (gap <= number)
    inner = tied[1:-1] & (gap[1:-1] < number)
    middle = jnp.where(inner, (x[:-1] + jnp.where(inner, x[1:], 0)) / 2, 0)
    average = jnp.sum(jnp.where(inner, middle, 0)) / jnp.maximum(jnp.sum(inner), 1)
    at_the_right = jnp.any(tied & (gap == number))
    return jnp.where(tied[0], -jnp.inf, jnp.where(at_the_right, jnp.inf, average))


def _outputs(params, found, threshold):
    """Risks of a fitted threshold on the unpruned law and, in excess, on what was kept."""
    risks = pruning.class_risks(found.classes, threshold)
    if params.pruner == "ssp":
        best = pruning.pruned_risk(found.classes, found.radius, found.rule.threshold)
        here = pruning.pruned_risk(found.classes, found.radius, threshold)
        excess = (here - best) / found.density
    else:
        excess = found.kept_priors @ (risks - found.rule.risks)
    return {
        "threshold": threshold,
        "class_risk": risks,
        "average_risk": found.classes.priors @ risks,
        "excess_risk": excess,
    }


def validate(params, side):
    """Two classes, and a plug-in for whole classes only."""
    allowed = pruning.check_classes(params, side)
    if params.estimator == "plug_in" and params.pruner == "ssp":
        raise ValueError(
            "estimator = 'plug_in' is not allowed with pruner = 'ssp': truncated classes have "
            "other means and deviations (it must be erm)"
        )
    if params.estimator == "plug_in" and side != "theory":
        first = round(float(params.priors[0]) * params.num_samples)
        if not 2 <= first <= params.num_samples - 2:
            raise ValueError(
                f"num_samples = {params.num_samples} is not allowed with priors = {params.priors} "
                "and estimator = 'plug_in': a deviation needs at least 2 samples of each class"
            )
    return allowed


def _in_threshold(params):
    if params.estimator == "plug_in":
        return asymptotic("O(1/n)")
    return approximate("o(n^-1/3): no rate is known", accuracy=0.05)


def _in_spread(params):
    """The averaged ties make a fitted threshold less variable than Chernoff's law says."""
    if params.estimator == "plug_in":
        return asymptotic("O(1/n)")
    return approximate("3 to 7 % too large at n = 2000", accuracy=0.1)


def _in_excess(params):
    if params.estimator == "plug_in":
        return asymptotic("O(1/n)")
    return approximate("twice the relative error of the spread", accuracy=0.2)


figures = {
    "rates": Figure(
        title="Counting errors costs n^(-2/3), knowing the law 1/n",
        x="num_samples", y=("excess_risk",), series="estimator", replicates=400,
        grid={"num_samples": [300, 1000, 3000, 10000], "estimator": ["erm", "plug_in"]},
        caption="Means ±1, deviations 0.5 and 1, equal priors, half of the data kept (drop).",
    ),
}  # fmt: skip

check_cells = (
    {"num_samples": 2000, "estimator": "plug_in", "priors": (0.7, 0.3), "density": 0.6},
    {"num_samples": 2000, "pruner": "optimal", "density": 0.9},
)  # fmt: skip

STUDY = Study(
    name="robust-pruning.finite-sample",
    title="thresholds fitted on a pruned data set",
    paper=PAPER, params=Params,
    outputs=(
        Output("threshold", "the fitted threshold", _in_threshold),
        Output(
            "threshold_sd", "its standard deviation over replicates", _in_spread,
            dispersion=Dispersion("std", "threshold"),
        ),
        Output(
            "class_risk", "risk of each class at the fitted threshold", _in_threshold,
            dims=("class",),
        ),
        Output("average_risk", "their mean with the original priors", _in_threshold),
        Output("excess_risk", "risk on the law of what is kept, above its minimum", _in_excess),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, controls=controls,
    shortcuts=(("fast", lambda params: params.estimator == "erm", simulate_direct),),
    validate=validate, coordinates={"class": lambda params: range(2)}, figures=figures,
    tolerance=0.1, check_cells=check_cells,
)  # fmt: skip
