"""Estimate first, then make robust.

Question. Least squares on ``n`` samples, then the robust optimum for its estimate in place of the
truth: what adversarial risk is left?

Model. Stage 1: ``ŵ0`` by least squares on ``n >= d + 2`` samples ``x ~ N(0, Σ)``, ``y = x·w0 +
N(0, σ²)``. Stage 2, with ``Σ = diag(λ_k)`` known: the minimiser of ``(a + r b)²``
(``risk_two_stage``), or of ``a² + 2 c0 r a b + r² b²`` (``risk_two_stage_exact``), with ``a = ‖w -
ŵ0‖_Σ``, ``b = ‖w‖⋆``. The risk is that at the true ``w0``, with noiseless targets.

Theory. With ``g_k ~ N(w0_k, σ²/((n-d-1) λ_k))`` for the estimate, the path of the study
``robust-regression`` acts coordinate by coordinate, ``v_k = sign(g_k)(|g_k| - θ/λ_k)₊`` (linf) or
``λ_k g_k/(λ_k + θ/B_k)`` (l2: B = 1; mahalanobis), and its ``θ`` is that of the mean sizes ``ŝ² = Σ
λ_k E(v_k - g_k)²``, ``b̂ = Σ E|v_k|`` or ``√(Σ E[v_k²]/B_k)``, in

    λ = r ŝ,     or     λ = r ŝ (r b̂ + c0 ŝ)/(ŝ + c0 r b̂),     λ = θ (linf), θ b̂ (others).

The risk follows from ``a² = Σ λ_k E(v_k - w0_k)²`` and ``b̂``: asymptotic, relative error O(1/n)
away from the radii at which stage 2 starts to move, or has forgotten all. Without label noise it is
exact, ``risk_proxy_minimizer`` and ``risk_optimal`` of the study ``early-stopping``.

Verdicts resolve 0.5 %; 0.1 % takes twenty times the replicates.

Reference: M. Scetbon, E. Dohmatob, arXiv 2301.13486, AISTATS 2023, section 6 (the estimator); its
asymptotics are this package's own.
"""

import jax
import jax.numpy as jnp
from jax import lax

from simulator.attacked import AttackedParams, completed, validate
from simulator.maths.robust_path import MEAN_ABSOLUTE, Problem
from simulator.maths.robust_regression import TIES, robust
from simulator.maths.roots import increasing_root, relative_error
from simulator.maths.slopes import only_slope, ratio, square_root
from simulator.maths.thresholded import scaled_moments, thresholded_moments
from simulator.parameters import choice, parameters, traced
from simulator.sampling.increments import least_squares_increment
from simulator.studies.robustness.early_stopping import PAPER
from simulator.studies.robustness.early_stopping._model import mean_dual_norm, regression, risk
from simulator.study import RESIDUAL, Figure, Study, asymptotic, both, theory_only


@parameters
class Params(AttackedParams):
    attack_norm: str = choice("l2", ("l2", "linf", "mahalanobis"))
    noise_std: float = traced(0.5, at_least=0, detail="in training")
    num_samples: int = traced(400, at_least="dim + 2", static_in=("direct",), grows=1)


def theory(params):
    """Where the second stage stops on average, and the risk there."""
    problem, some = regression(params)
    truth = jnp.where(some, problem.truth, 0)
    spread = (params.num_samples - params.dim - 1) * problem.covariance

    def with_noise(noise):
        std = noise / jnp.sqrt(spread)
        stage = jax.vmap(lambda cross: _second_stage(params, problem, truth, std, cross))
        return stage(jnp.asarray([1.0, MEAN_ABSOLUTE], float))

    # Without noise the risk is that of `robust`, whose slope in the noise is not 0 where w0 itself
    # is the second stage: that of as good as no noise.
    noisy = params.noise_std > 0
    least = jnp.sqrt(jnp.finfo(spread.dtype).eps) * problem.signal()
    noise = jnp.where(noisy, params.noise_std, lax.stop_gradient(least))
    risks, slopes, stage_errors = jax.jvp(
        with_noise, (noise,), (jnp.ones_like(noise),), has_aux=True
    )
    best = robust(problem, params.attack_radius)
    known = jnp.stack(
        [
            jnp.where(some, risk(found.distance, found.dual_norm, params.attack_radius), 0)
            for found in (best["proxy"], best["optimum"])
        ]
    )
    near = known + only_slope(params.noise_std * lax.stop_gradient(slopes))
    two_stage, exact = jnp.where(noisy, risks, near)
    errors = jnp.stack([best["optimum"].residual, best["proxy"].residual])
    errors = jnp.maximum(errors, jnp.where(noisy, stage_errors, 0))
    return {
        "risk_two_stage": two_stage,
        "risk_two_stage_exact": exact,
        "risk_optimal": known[1],
        RESIDUAL: jnp.max(errors),
    }


def _sizes(theta, params, problem, truth, std):
    """``a``, ``b``, ``s`` and ``lambda`` of the second stage at ``theta``."""
    spread = problem.covariance
    if params.attack_norm == "linf":
        moments = thresholded_moments(truth, std, theta / spread)
        exposed, multiplier = jnp.sum(moments.exposed), theta
    else:
        inverse = 1 / problem.norm.metric
        moments = scaled_moments(truth, std, spread, theta * inverse)
        exposed = square_root(jnp.sum(moments.exposed * inverse))
        multiplier = theta * exposed
    distance = square_root(jnp.sum(spread * moments.error))
    moved = square_root(jnp.sum(spread * moments.change))
    return distance, exposed, moved, multiplier


def _second_stage(params, problem, truth, std, cross):
    """The risk where the rule holds, ``cross`` being 1 for the proxy and c0 for the risk itself."""
    r, spread, metric = params.attack_radius, problem.covariance, problem.norm.metric
    rounding = float(jnp.finfo(std.dtype).eps)
    nearest, farthest = rounding**1.5, 1 / rounding  # theta, relative to its natural scale
    tied = cross * (1 + TIES * rounding)  # where all thresholds do as well, none is taken
    square = truth**2 + std**2
    strength = jnp.sqrt(jnp.sum(spread * square))
    if params.attack_norm == "linf":
        at_start = r * jnp.sqrt(jnp.sum(1 / spread)) <= tied
        at_end = jnp.zeros((), bool)
        largest = 2 * jnp.where(r > 0, r, 1) * strength / MEAN_ABSOLUTE
        ends = nearest * largest, largest
    else:
        at_start = r * jnp.sqrt(jnp.sum(square / (metric**2 * spread))) <= tied * jnp.sqrt(
            jnp.sum(square / metric)
        )
        at_end = cross * r * strength >= jnp.sqrt(jnp.sum(metric * spread**2 * square))
        scale = metric * spread
        ends = nearest * jnp.min(scale), farthest * jnp.max(scale)
    inside = jnp.where(at_start | at_end, _between(params, problem, square, cross), r)

    def excess(theta, inside, params, problem, truth, std):
        _, b, s, multiplier = _sizes(theta, params, problem, truth, std)
        wanted = inside * s * ratio(inside * b + cross * s, s + cross * inside * b)
        return jnp.log(multiplier) - jnp.log(wanted)

    arguments = inside, params, problem, truth, std
    theta = increasing_root(excess, *ends, *arguments)
    a, b, _, _ = _sizes(theta, params, problem, truth, std)
    first = jnp.sqrt(jnp.sum(spread * std**2)), mean_dual_norm(params, truth, std)
    last = jnp.sqrt(jnp.sum(spread * truth**2)), jnp.zeros((), float)
    distance, exposed = (
        jnp.where(at_start, x, jnp.where(at_end, y, z))
        for x, y, z in zip(first, last, (a, b), strict=True)
    )
    error = jnp.where(at_start | at_end, 0, relative_error(excess, theta, *arguments))
    return risk(distance, exposed, params.attack_radius), error


def _between(params, problem, square, cross):
    """A radius at which the rule holds inside."""
    spread, metric = problem.covariance, problem.norm.metric
    if params.attack_norm == "linf":
        return 2 * cross / jnp.sqrt(jnp.sum(1 / spread))
    low = cross * jnp.sqrt(jnp.sum(square / metric) / jnp.sum(square / (metric**2 * spread)))
    high = jnp.sqrt(jnp.sum(metric * spread**2 * square) / jnp.sum(spread * square)) / cross
    return jnp.sqrt(low * high)


def simulate_direct(key, params):
    """Draw the data, solve, make robust, measure at the truth."""
    key_inputs, key_noise = jax.random.split(key)
    problem, some = regression(params)
    truth, n = jnp.where(some, problem.truth, 0), params.num_samples
    x = jax.random.normal(key_inputs, (n, params.dim), float)
    noise = params.noise_std * jax.random.normal(key_noise, (n,), float)
    scale = jnp.sqrt(problem.covariance)
    y = x @ (scale * truth) + noise
    return _measured(params, problem, truth, jnp.linalg.solve(x.T @ x, x.T @ y) / scale)


def simulate_fast(key, params):
    """The same law from one normal vector and one chi variate."""
    problem, some = regression(params)
    truth = jnp.where(some, problem.truth, 0)
    whitened = least_squares_increment(key, params.num_samples, params.dim)
    estimate = truth + params.noise_std * whitened / jnp.sqrt(problem.covariance)
    return _measured(params, problem, truth, estimate)


def _measured(params, problem, truth, estimate):
    """The risks, at the truth, of what is robust for the estimate."""
    some = jnp.any(estimate != 0)
    safe = jnp.where(some, estimate, jnp.ones_like(estimate))
    estimated = Problem(problem.covariance, problem.precision, safe, problem.norm)
    found = robust(estimated, params.attack_radius)

    def measured(predictor):
        weights = jnp.where(some, predictor.weights, 0)
        distance = square_root(jnp.sum(problem.covariance * (weights - truth) ** 2))
        exposed = problem.norm.dual(weights)
        return risk(distance, exposed, params.attack_radius)

    return {
        "risk_two_stage": measured(found["proxy"]),
        "risk_two_stage_exact": measured(found["optimum"]),
    }


figures = {
    "samples": Figure(
        title="Estimate, then robustify: the risk comes down to the optimum",
        x="num_samples", y=("risk_two_stage", "risk_optimal"), series="attack_radius",
        replicates=100,
        grid={"num_samples": [250, 400, 1000, 3000, 10_000], "attack_radius": [0.05, 0.1, 0.2]},
        params={"spectrum": "isotropic", "signal": "sparse", "sparsity": 20, "signal_scale": 0.22,
                "attack_norm": "linf"},
        caption="Attacks on every coordinate (linf); 20 of 200 isotropic features count; σ = 0.5.",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 48, "spectrum": "custom", "eigenvalues": [4.0] * 24 + [0.2] * 24, "signal": "dense",
     "signal_scale": 0.2, "attack_radius": 0.9, "noise_std": 0.7, "num_samples": 192},
    {"dim": 48, "spectrum": "isotropic", "signal": "custom",
     "signal_vector": [0.4] * 24 + [0.1] * 24,
     "noise_std": 0.7, "num_samples": 192, "attack_norm": "linf", "attack_radius": 0.18},
)  # fmt: skip

STUDY = Study(
    name="early-stopping.two-stage",
    title="least squares first, the robust optimum of its estimate second",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            asymptotic("O(1/n) away from thresholds"),
            risk_two_stage="adversarial risk where stage 2 minimises (a + r b)²",
            risk_two_stage_exact="where stage 2 minimises the adversarial risk itself",
        ),
        *theory_only(risk_optimal="smallest adversarial risk of all predictors"),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, complete=completed,
    validate=validate, figures=figures, check_cells=check_cells, tolerance=0.005,
    residual_tolerance=1e-8,
)  # fmt: skip
