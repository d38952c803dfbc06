"""Least squares on ``n`` samples, attacked at test time.

Question. How robust is least squares, and does more data make it robust?

Model. ``n >= d + 2`` samples ``x ~ N(0, Σ)``, ``y = x·w0 + N(0, σ²)``, least squares; a fresh
input is attacked in the norm of the study ``robust-regression``.

Theory. In law ``ŵ = w0 + σ Σ^-½ g/√χ²_{n-d+1}``, ``g ~ N(0, I)``, so that with ``ν = n - d + 1``

    E[s²] = σ² (n-1)/(n-d-1)                                       (exact),
    E[b²] = ‖w0‖⋆² + σ² Σ_k (Σ⁻¹)_kk/B_k /(n-d-1)                  l2, mahalanobis (exact),
    E[b]  = Σ_k E|w0_k + τ_k T_ν|,   τ_k = σ √((Σ⁻¹)_kk/ν)         linf (exact),
    E[b]  ~ (Σ_k E|w0_k + τ_k T_ν|^q)^(1/q)                        lp, for n > d - 1 + q.

The risk is ``s̄² + 2 c0 r s̄ b̄ + r² b̄²`` at ``s̄ = √E[s²]`` and ``b̄ = √E[b²]`` or ``E[b]``:
asymptotic, relative error O(1/(n - d)); for ``lp`` (p ≠ 2) the norm of moments stands for the mean
of the norm besides. For ``n -> ∞`` it falls to the risk of ``w0``: a limit that is not robust where
the ground truth is not.

Reference: E. Dohmatob, M. Scetbon, arXiv 2308.00556, 2023 (the question); the law of least squares
is classical, its adversarial risk this package's own.
"""

import jax
import jax.numpy as jnp
import numpy as np

from simulator.attacked import completed, inputs, problem_of, validate_truth
from simulator.maths.absolute_moments import student_log_moment, student_mean_absolute
from simulator.maths.robust_regression import adversarial_risk, truth
from simulator.parameters import choice, parameters, traced
from simulator.sampling.increments import least_squares_increment
from simulator.studies.robustness.robust_regression import PAPER
from simulator.studies.robustness.robust_regression._model import RobustParams
from simulator.study import Figure, Output, Study, approximate, asymptotic, exact, theory_only


@parameters
class Params(RobustParams):
    attack_norm: str = choice("l2", ("l2", "linf", "lp", "mahalanobis"))
    noise_std: float = traced(0.5, at_least=0)
    num_samples: int = traced(400, at_least="dim + 2", static_in=("direct",), grows=1)


def theory(params):
    """Moments of the two sizes that the risk is made of, put into it."""
    problem, n, d = problem_of(params), params.num_samples, params.dim
    precision = problem.precision if problem.diagonal else jnp.diag(problem.precision)
    excess, freedom = n - d - 1, n - d + 1
    standard = params.noise_std**2 * (n - 1) / excess
    variance = params.noise_std**2 * precision
    if params.attack_norm in ("l2", "mahalanobis"):
        metric = problem.norm.metric
        exposed = jnp.sqrt(jnp.sum((problem.truth**2 + variance / excess) / metric))
    else:
        scale = params.noise_std * jnp.sqrt(precision / freedom)
        if params.attack_norm == "linf":
            exposed = jnp.sum(student_mean_absolute(problem.truth, scale, freedom))
        else:
            order = params.attack_p / (params.attack_p - 1)
            moments = jax.vmap(lambda m, s: student_log_moment(m, s, order, freedom))(
                problem.truth, scale
            )
            exposed = jnp.exp(jax.scipy.special.logsumexp(moments) / order)
    nothing = jnp.zeros((), float)
    return {
        "risk_least_squares": adversarial_risk(
            nothing, exposed, params.attack_radius, params.noise_std * jnp.sqrt((n - 1) / excess)
        ),
        "standard_risk_least_squares": standard,
        "risk_ground_truth": adversarial_risk(
            nothing, truth(problem).dual_norm, params.attack_radius, params.noise_std
        ),
    }


def simulate_direct(key, params):
    """Draw the data, solve, measure; the risk given the weights is exact."""
    key_inputs, key_noise = jax.random.split(key)
    problem, n = problem_of(params), params.num_samples
    normal = jax.random.normal(key_inputs, (n, params.dim), float)
    x = jax.vmap(lambda row: inputs(params, row))(normal)
    y = x @ problem.truth + params.noise_std * jax.random.normal(key_noise, (n,), float)
    # Columns of unit variance: their products do not lose the small eigenvalues.
    scale = jnp.sqrt(problem.covariance if problem.diagonal else jnp.diag(problem.covariance))
    x = x / scale
    return _measured(params, jnp.linalg.solve(x.T @ x, x.T @ y) / scale - problem.truth)


def simulate_fast(key, params):
    """The same law from one normal vector and one chi variate."""
    problem = problem_of(params)
    whitened = least_squares_increment(key, params.num_samples, params.dim)
    if problem.diagonal:
        error = whitened * jnp.sqrt(problem.precision)
    else:
        factor = jnp.linalg.cholesky(problem.precision)
        error = factor @ whitened
    return _measured(params, params.noise_std * error)


def _measured(params, error):
    problem = problem_of(params)
    excess = error @ problem.spread(error)
    standard = excess + params.noise_std**2
    exposed = problem.norm.dual(problem.truth + error)
    nothing = jnp.zeros((), float)
    return {
        "risk_least_squares": adversarial_risk(
            nothing, exposed, params.attack_radius, jnp.sqrt(standard)
        ),
        "standard_risk_least_squares": standard,
    }


def validate(params, side):
    """As for all, and the moments of ``lp`` attacks are finite."""
    allowed = validate_truth(params, side)
    if params.attack_norm != "lp":
        return allowed
    order = params.attack_p / (params.attack_p - 1)
    finite = params.num_samples > params.dim - 1 + order
    if not isinstance(finite, jax.core.Tracer) and not np.all(finite):
        raise ValueError(
            f"num_samples = {np.min(params.num_samples):g} is not allowed with attack_norm = 'lp' "
            f"and attack_p = {np.min(params.attack_p):g}: it must be > dim - 1 + q = "
            f"{params.dim - 1 + float(np.max(order)):g}, q = p/(p - 1), or moments are infinite"
        )
    return allowed & finite


def _in_risk(params):
    if params.attack_norm == "lp" and params.attack_p != 2:
        return approximate("the norm of moments for the mean of the norm", accuracy=0.02)
    return asymptotic("O(1/(n - d))")


figures = {
    "samples": Figure(
        title="More data make least squares robust only above the transition",
        x="num_samples", y=("risk_least_squares", "risk_ground_truth"), series="signal_exponent",
        replicates=400,
        grid={"num_samples": [210, 250, 400, 1000, 3000, 10_000, 100_000],
              "signal_exponent": [0.5, 1.5]},
        caption="λ_k = k^-2, w0_k² = k^-δ, d = 200, σ = 0.5, Euclidean attacks of radius 0.1.",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 48, "spectrum_exponent": 0.6, "signal_exponent": 0.4, "covariance_scale": 0.8,
     "signal_scale": 1.3, "attack_radius": 0.3, "noise_std": 0.7, "num_samples": 1920},
    {"dim": 12, "spectrum": "ar1", "correlation": -0.5, "signal": "dense", "signal_scale": 0.3,
     "attack_norm": "linf", "attack_radius": 0.2, "noise_std": 0.6, "num_samples": 3840},
)  # fmt: skip

STUDY = Study(
    name="robust-regression.least-squares",
    title="adversarial risk of least squares on finitely many samples",
    paper=PAPER, params=Params,
    outputs=(
        Output("risk_least_squares", "adversarial risk of least squares", _in_risk),
        Output("standard_risk_least_squares", "its risk without attack, σ² included", exact()),
        *theory_only(risk_ground_truth="adversarial risk of w0, the limit of many samples"),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, complete=completed,
    validate=validate, figures=figures, check_cells=check_cells, tolerance=0.001,
)  # fmt: skip
