"""When gradient descent should stop, if its linear model will be attacked.

Question. A linear model is trained by gradient descent and attacked at test time. When should
training stop, how far is the best early-stopped model from the most robust one, when does plain
gradient descent fail, and which preconditioner repairs it?

Model. ``x ~ N(0, Σ)``, ``Σ = diag(λ_k)``, target ``x·w0`` without noise, attacks of norm at most
``r``, with the dual norm ``‖w‖⋆ = max {δ·w: ‖δ‖ <= 1}``. The descent starts at 0 and sees the whole
population: ``w_k(t) = (1 - e^(-t λ_k M_k²)) w0_k``, or ``(1 - (1 - η λ_k M_k²)^n) w0_k`` after
``n = t/η`` steps, to the nearest whole number (ties to even). Preconditioners ``M``: ``none``;
``attack``, ``B^½`` of a Mahalanobis attack; ``whiten``, ``Σ^-½``; ``matched``, built so that the
flow passes the proxy minimiser at ``t = 1``: ``λ_k M_k² = -log(1 - |w⋆_k|/|w0_k|)``, at most 40
(theorem 5.2).

Theory (exact). With ``a = ‖w - w0‖_Σ``, ``b = ‖w‖⋆``, ``c0 = √(2/π)``,

    E(w, r) = a² + 2 c0 r a b + r² b²;

``risk_early_stopped`` is its infimum over all times (or numbers of steps), 0 and ∞ included, where
``stopping_time`` is 0 or ``inf``. For Euclidean attacks it is at most ``1.6859 E_opt``, and equal
to ``E_opt`` up to ``r = c0 ‖w0‖/‖w0‖_{Σ⁻¹}``, from ``‖Σw0‖/(c0 ‖w0‖_Σ)`` on, and for equal
eigenvalues (propositions 4.1-4.3). ``risk_proxy_minimizer`` is the risk at the minimum of
``(a + r b)²``, at most ``1.1124 E_opt`` for every norm. Where the best time is at a kink of ``b``
(``l1``), derivatives of ``risk_early_stopped`` are those at that time. Steps are rounded: outputs
jump in ``step_size``.

Reference: M. Scetbon, E. Dohmatob, arXiv 2301.13486, AISTATS 2023; the exact optimum is this
package's own (study ``robust-regression``).
"""

import jax
import jax.numpy as jnp

from simulator.attacked import completed, inputs
from simulator.maths.centred import centred_size
from simulator.maths.robust_regression import Predictor, attack, robust, truth
from simulator.maths.slopes import square_root
from simulator.parameters import choice, parameters
from simulator.sampling.shared import once
from simulator.studies.robustness.early_stopping import PAPER
from simulator.studies.robustness.early_stopping import _model as stopping
from simulator.study import CONTROLS, RESIDUAL, Figure, Study, both, exact, theory_only


@parameters
class Params(stopping.AnyNormParams):
    preconditioner: str = choice(
        "none", ("none", "attack", "whiten", "matched"), "M", "what multiplies inputs"
    )


def predictors(params):
    """Predictors along the path, early stopped, best and proxy; the stopping time; and ``w0``."""
    problem, some = stopping.regression(params)
    course = stopping.descent(params, problem)
    path = jax.vmap(
        lambda time: stopping.at(course, *stopping.rounded_time(params.step_size, time))
    )(params.times)
    stopped, time = stopping.early_stopped(course, params.attack_radius)
    best = robust(problem, params.attack_radius)
    found = {
        "path": path,
        "risk_early_stopped": stopped,
        "risk_optimal": best["optimum"],
        "risk_proxy_minimizer": best["proxy"],
        "risk_ground_truth": truth(problem),
    }
    found = jax.tree.map(lambda leaf: jnp.where(some, leaf, 0), found)
    return found, jnp.where(some, time, 0), jnp.where(some, problem.truth, 0)


def theory(params):
    """Risks along the path, at its best time, and of the optimum."""
    found, time, _ = predictors(params)
    path = found.pop("path")
    risks = {name: _risk(params, predictor) for name, predictor in found.items()}
    best = risks["risk_optimal"]
    compared = risks["risk_early_stopped"] / jnp.where(best > 0, best, 1)
    return {
        "risk_path": _risk(params, path),
        "excess_risk_path": path.distance**2,
        "dual_norm_path": path.dual_norm,
        **risks,
        "stopping_time": time,
        "suboptimality_ratio": jnp.where(best > 0, compared, 1),
        RESIDUAL: jnp.maximum(
            found["risk_optimal"].residual, found["risk_proxy_minimizer"].residual
        ),
    }


def _risk(params, predictor: Predictor):
    return stopping.risk(predictor.distance, predictor.dual_norm, params.attack_radius)


_SIMULATED = ("risk_early_stopped", "risk_optimal", "risk_proxy_minimizer")


def simulate_direct(key, params):
    """One test input; every predictor is attacked at its own worst."""
    found, _, w0 = once(predictors, params)
    problem, _ = stopping.regression(params)
    x = inputs(params, jax.random.normal(key, (params.dim,), float))
    y = x @ w0

    def loss(w):
        moved = x + attack(problem, w, x @ w - y, params.attack_radius)
        return (moved @ w - y) ** 2

    def size(w):
        error = w - w0
        return centred_size(x @ error, square_root(error @ problem.spread(error)))

    path = found["path"].weights
    best = jnp.stack([found[name].weights for name in _SIMULATED])
    return {
        "risk_path": jax.vmap(loss)(path),
        "excess_risk_path": (path @ x - y) ** 2,
        **dict(zip(_SIMULATED, jax.vmap(loss)(best), strict=True)),
        CONTROLS: {"residual": jax.vmap(size)(jnp.concatenate([path, best]))},
    }


def simulate_fast(key, params):
    """The residual is ``a Z``, and the attack adds ``r b`` to its size: one normal number.

    Each predictor's loss has its law; their joint law is another one.
    """
    found, _, _ = once(predictors, params)
    normal = jnp.abs(jax.random.normal(key, (), float))

    def loss(predictor):
        return (predictor.distance * normal + params.attack_radius * predictor.dual_norm) ** 2

    return {
        "risk_path": loss(found["path"]),
        "excess_risk_path": (found["path"].distance * normal) ** 2,
        **{name: loss(found[name]) for name in _SIMULATED},
        CONTROLS: {"residual": centred_size(normal)},
    }


def controls(params):
    """Means of the control variates, sizes of residuals."""
    return {"residual": jnp.zeros(())}


figures = {
    "time": Figure(
        title="Robust models stop early",
        x="time", y=("risk_path", "excess_risk_path"), series="attack_radius", replicates=4000,
        grid={"attack_radius": [0.03, 0.1, 0.3]},
        caption="Euclidean attacks, λ_k = k^-2, w0_k² = k^-½, d = 200.",
    ),
    "radius": Figure(
        title="The best time to stop is nearly optimal",
        x="attack_radius", y=("risk_early_stopped", "risk_optimal"), series="signal_exponent",
        replicates=4000,
        grid={"attack_radius": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
              "signal_exponent": [0.0, 0.5, 1.5]},
        params={"dim": 1000, "times": [0.0]},
        caption="Euclidean attacks, λ_k = k^-2, d = 1000.",
    ),
    "mahalanobis": Figure(
        title="A metric that the data do not have: plain descent fails",
        x="attack_radius", y=("risk_early_stopped", "risk_optimal"), series="preconditioner",
        replicates=4000,
        grid={"attack_radius": [0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0],
              "preconditioner": ["none", "attack"]},
        params={"dim": 2, "spectrum": "isotropic", "signal": "custom", "signal_vector": [0.1, 1.0],
                "attack_norm": "mahalanobis", "attack_metric": "custom",
                "attack_metric_diagonal": [0.01, 100.0], "times": [0.0]},
        caption="Two isotropic inputs, B = diag(1/m, m), w0 = (1/√m, 1), m = 100.",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 12, "spectrum_exponent": 1.3, "signal_exponent": 0.4, "covariance_scale": 0.8,
     "signal_scale": 1.3, "attack_radius": 0.45, "times": [0.3, 1.0, 4.0, 20.0]},
    {"dim": 9, "spectrum": "isotropic", "signal": "harmonic", "covariance_scale": 0.6,
     "attack_norm": "mahalanobis", "attack_metric_exponent": 1.4, "attack_radius": 0.6,
     "step_size": 0.7, "times": [0.7, 2.8, 7.0]},
)  # fmt: skip

STUDY = Study(
    name="early-stopping",
    title="when gradient descent on an attacked linear model should stop",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            exact(),
            dims=("time",),
            risk_path="adversarial risk at each time",
            excess_risk_path="risk without attack at each time",
        ),
        *theory_only(dims=("time",), dual_norm_path="‖w(t)‖⋆"),
        *both(
            exact(),
            risk_early_stopped="smallest adversarial risk over all times",
            risk_optimal="smallest adversarial risk of all predictors",
            risk_proxy_minimizer="that of the minimiser of (a + r b)²",
        ),
        *theory_only(
            stopping_time="the best time; 0 or inf where an end is best",
            risk_ground_truth="adversarial risk of w0",
            suboptimality_ratio="risk_early_stopped / risk_optimal",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, controls=controls,
    complete=completed, validate=stopping.validate_descent,
    coordinates={"time": stopping.time_coordinates}, figures=figures, check_cells=check_cells,
    tolerance=0.001, residual_tolerance=1e-9,
)  # fmt: skip
