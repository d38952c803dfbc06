"""The smallest adversarial risk of linear regression, and what comes close to it.

Question. An attacker may move a test input by at most ``r`` in a given norm. What is the smallest
adversarial risk, what is it among predictors that stay accurate, when does robustness cost nothing,
and how far from optimal are the ground truth, shrinkage and explicit regularisation?

Model. ``x ~ N(0, Σ)``, ``y = x·w0 + N(0, σ²)``; the attack ``x + δ``, ``‖δ‖ <= r``, knows ``x`` and
``y``. Dual norm ``‖w‖⋆ = max {δ·w: ‖δ‖ <= 1}``: the largest size for ``l1``, the sum of sizes for
``linf``, ``lq`` with ``1/p + 1/q = 1`` for ``lp``, ``√(Σ w_k²/B_k)`` for ``mahalanobis``, which is
``‖δ‖² = Σ B_k δ_k²``.

Theory (exact). With ``a = ‖w - w0‖_Σ``, ``b = ‖w‖⋆``, ``s² = a² + σ²`` and ``c0 = √(2/π)``,

    E(w, r) = s² + 2 c0 r s b + r² b²,

convex in ``w``. All best pairs (a, b) lie on the path ``argmin ½‖w - w0‖²_Σ + λ‖w‖⋆``, on which
``λ = ‖Σ(w0 - w)‖`` in the norm of the attack; its points are known to be best by duality, ``b =
max_{‖z‖ <= 1} z·w0 - a ‖z‖_{Σ⁻¹}``. Stopping the path at

    λ = r s (r b + c0 s)/(s + c0 r b)    is optimal,
    a = ε                                is optimal among a <= ε, where that matters,
    λ = r s      minimises the proxy (s + r b)²:   E <= 2/(1 + c0) E_opt = 1.1124 E_opt,
    λ = r² b     minimises a² + r² b²:             E <= (1 + c0) E_opt   = 1.7979 E_opt.

The predictor 0 is optimal from ``radius_high = ‖Σw0‖/(c0 √(‖w0‖²_Σ + σ²))`` on, and ``w0`` up to
``radius_low = c0 / min {‖g‖_{Σ⁻¹}: g ∈ ∂‖w0‖⋆}`` where there is no label noise. A constraint ``a <=
ε`` costs nothing from ``free_lunch_threshold``, the ``a`` of the optimum, on. The frontier (a, b)
is the sweep of ``excess_error_budget``. For Euclidean attacks with ``λ_k = k^-β``, ``w0_k² = k^-δ``
the transition is at δ = 1: there is a free lunch above, and below, with ``e = (1 - δ)/β``,
``E_opt ~ C r^(2(1 - e))`` while ``E(w0)`` grows with the dimension.

Reference: E. Dohmatob, M. Scetbon, arXiv 2308.00556, 2023 (ICML 2024); exact optimum, path and
constants are this package's own.
"""

import jax
import jax.numpy as jnp

from simulator.maths.robust_regression import (  # isort: skip
    Predictor, adversarial_risk, attack, null, radius_high, radius_low, robust, shrunk, truth,
)  # fmt: skip
from simulator.attacked import completed, inputs, problem_of, validate_truth
from simulator.maths.centred import centred_size
from simulator.maths.robust_path import residual_std
from simulator.maths.slopes import square_root
from simulator.parameters import parameters, traced
from simulator.sampling.shared import once
from simulator.studies.robustness.robust_regression import PAPER
from simulator.studies.robustness.robust_regression._model import RobustParams
from simulator.study import CONTROLS, RESIDUAL, Figure, Study, both, exact, theory_only


@parameters
class Params(RobustParams):
    noise_std: float = traced(0.0, at_least=0)
    excess_error_budget: float = traced(
        float("inf"), "ε", "largest ‖w - w0‖_Σ of the constrained optimum", above=0, infinite=True
    )


def predictors(params) -> dict[str, Predictor]:
    """The predictor of each risk, from population formulas."""
    problem, r, sigma = problem_of(params), params.attack_radius, params.noise_std
    found = robust(problem, r, sigma, params.excess_error_budget, regularised=True)
    return {
        "risk_optimal": found["optimum"],
        "risk_constrained": found["constrained"],
        "risk_ground_truth": truth(problem),
        "risk_null": null(problem),
        "risk_proxy_minimizer": found["proxy"],
        "risk_proximal": found["regularised"],
        "risk_shrinkage": shrunk(problem, r, sigma),
    }


def theory(params):
    """Risks of the predictors, and where the optimum lies."""
    problem, found = problem_of(params), predictors(params)
    best = found["risk_optimal"]
    return {
        **{name: _risk(params, predictor) for name, predictor in found.items()},
        "free_lunch_threshold": best.distance,
        "dual_norm_optimal": best.dual_norm,
        "radius_low": radius_low(problem),
        "radius_high": radius_high(problem, params.noise_std),
        RESIDUAL: jnp.max(jnp.stack([predictor.residual for predictor in found.values()])),
    }


def _risk(params, predictor):
    return adversarial_risk(
        predictor.distance, predictor.dual_norm, params.attack_radius, params.noise_std
    )


def simulate_direct(key, params):
    """One test input and its label; every predictor is attacked at its own worst."""
    key_input, key_noise = jax.random.split(key)
    problem, found = problem_of(params), once(predictors, params)
    x, sigma = inputs(params, jax.random.normal(key_input, (params.dim,), float)), params.noise_std
    y = x @ problem.truth + sigma * jax.random.normal(key_noise, (), float)

    def loss(w):
        moved = x + attack(problem, w, x @ w - y, params.attack_radius)
        return (moved @ w - y) ** 2

    def size(w):
        error = w - problem.truth
        distance = square_root(error @ problem.spread(error))
        return centred_size(x @ w - y, residual_std(distance, sigma))

    weights = jnp.stack([predictor.weights for predictor in found.values()])
    return dict(zip(found, jax.vmap(loss)(weights), strict=True)) | {
        CONTROLS: {"residual": jax.vmap(size)(weights)}
    }


def simulate_fast(key, params):
    """The residual is ``s Z``, and the attack adds ``r b`` to its size: one normal number.

    Each predictor's loss has its law; their joint law is another one.
    """
    normal = jnp.abs(jax.random.normal(key, (), float))

    def loss(predictor):
        size = residual_std(predictor.distance, params.noise_std) * normal
        return (size + params.attack_radius * predictor.dual_norm) ** 2

    losses = {name: loss(predictor) for name, predictor in once(predictors, params).items()}
    return losses | {CONTROLS: {"residual": centred_size(normal)}}


def controls(params):
    """Means of the control variates, sizes of residuals."""
    return {"residual": jnp.zeros(())}


_RISKS = ("risk_optimal", "risk_ground_truth", "risk_proximal", "risk_shrinkage")
figures = {
    "radius": Figure(
        title="Euclidean attacks, power laws: above δ = 1 the ground truth is robust",
        x="attack_radius", y=("risk_optimal", "risk_ground_truth"), series="signal_exponent",
        replicates=2000,
        grid={"attack_radius": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
              "signal_exponent": [0.0, 0.5, 1.5]},
        params={"dim": 10_000},
        caption="β = 2, d = 10,000, no label noise. E_opt falls like r^(2(1-(1-δ)/β)) for δ < 1.",
    ),
    "predictors": Figure(
        title="What comes close to the optimum", x="attack_radius", y=_RISKS, replicates=4000,
        grid={"attack_radius": [0.03, 0.1, 0.3, 1.0, 3.0]},
        params={"attack_norm": "linf", "signal": "harmonic", "spectrum": "isotropic"},
        caption="Attacks on every coordinate (linf), w0_k = 1/k, isotropic inputs, d = 200.",
    ),
    "frontier": Figure(
        title="The price of accuracy",
        x="excess_error_budget", y=("risk_constrained",), series="attack_radius", replicates=4000,
        grid={"excess_error_budget": [0.01, 0.02, 0.05, 0.1, 0.2, 0.5],
              "attack_radius": [0.01, 0.03, 0.1]},
        params={"dim": 2000},
        caption="Smallest risk among predictors with ‖w - w0‖_Σ <= ε; flat from ε_FL(r) on.",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 12, "spectrum_exponent": 1.3, "signal_exponent": 0.4, "covariance_scale": 0.8,
     "signal_scale": 1.3, "attack_radius": 0.45, "noise_std": 0.35, "excess_error_budget": 0.2},
    {"dim": 9, "spectrum": "ar1", "correlation": -0.6, "signal": "harmonic", "signal_scale": 1.4,
     "attack_norm": "linf", "attack_radius": 0.35, "noise_std": 0.2, "excess_error_budget": 0.2},
)  # fmt: skip

STUDY = Study(
    name="robust-regression",
    title="the smallest adversarial risk of linear regression, for attacks in any norm",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            exact(),
            risk_optimal="smallest adversarial risk",
            risk_constrained="smallest one among predictors with ‖w - w0‖_Σ <= ε",
            risk_ground_truth="adversarial risk of w0",
            risk_null="adversarial risk of 0",
            risk_proxy_minimizer="that of the minimiser of (s + r b)²",
            risk_proximal="that of the minimiser of a² + r² b²",
            risk_shrinkage="the smallest one among γ w0, 0 <= γ <= 1",
        ),
        *theory_only(
            free_lunch_threshold="‖w - w0‖_Σ of the optimum: larger budgets ε change nothing",
            dual_norm_optimal="‖w‖⋆ of the optimum",
            radius_low="radius up to which w0 is optimal without label noise",
            radius_high="radius from which on 0 is optimal",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, controls=controls,
    complete=completed, validate=validate_truth, figures=figures, check_cells=check_cells,
    tolerance=0.001, residual_tolerance=1e-9,
)  # fmt: skip
