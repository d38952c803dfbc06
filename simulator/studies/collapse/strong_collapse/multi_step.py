"""Iterated mixing: each step's model labels the synthetic share of the next step's data.

Question. If the synthetic labels come from the previous model, does iterating the mixture remove
the damage? (Yes, at the rate ``p2² + p1 p2 u`` per step, at the price of fresh real data.)

Model. Step 0 is ``strong-collapse``: real labels from ``w1``, synthetic ones from ``w1 + δ``. At
step ``t >= 1`` all inputs and noise are fresh, ``n2 = p2 n`` synthetic labels come from the model
``ŵ^(t-1)`` and ``n1`` real ones from ``w1``; classical model, no weights. ``p2 = 1`` is
self-training.

Theory. With the fit's ``κ``, ``df2`` and, per direction in units of label variance, ``t1 = λ_k/
(λ_k+κ)``, ``f = κ/(λ_k+κ)``, ``V_k = t1_k²/(n - df2)``, ``σ² = p1 σ1² + p2 σ2²``; the teacher's
error has second moments ``C_k = λ_k E(error_k)²`` and ``M_k = λ_k E[w1_k error_k]``, initially
``g_k`` and ``ρ sqrt(s_k g_k)``. One step maps

    C_k <- f_k² s_k + V_k Σ_j f_j² s_j + σ² V_k - 2 p2 [f_k t1_k M_k - V_k Σ_j f_j² M_j]
           + p2² [t1_k² C_k + V_k Σ_j f_j² C_j] + p1 p2 V_k Σ_j C_j,
    M_k <- -f_k s_k + p2 t1_k M_k,           test_error^(t) = Σ_k C_k.

For least squares ``E <- σ² u + (p2² + p1 p2 u) E``. Deterministic equivalents at every step, also
at ``λ = 0``: relative error O(1/d), O(1/df2) for power laws. At ``λ = 0`` and ``|n - d| <= 1`` a
step is ``inf`` if there is label noise, or if two sources (``0 < p2 < 1``) disagree.
Verdicts resolve 0.3 % with twenty samples per feature.
For ``ρ ≠ 0`` the slope in ``c²`` is infinite at ``c² = 0``; derivatives leave it out.

Reference: E. Dohmatob, Y. Feng, A. Subramonian, J. Kempe, "Strong Model Collapse", ICLR 2025,
arXiv 2410.04840 (iterative mixing; the recursion holds for any spectrum and penalty).
"""

import jax
import jax.numpy as jnp
from jax import lax

from simulator.studies.collapse.strong_collapse._simulation import (  # isort: skip
    draw_noise, draw_teacher, drawn_fit, experiment, trapezoidal_fit, unit_responses,
)  # fmt: skip
from simulator.eigenbasis import spectrum_of
from simulator.maths.resolvent import ridge_fit
from simulator.parameters import parameters, static, traced
from simulator.studies.collapse.strong_collapse import PAPER, _controls
from simulator.studies.collapse.strong_collapse import _model as mixture
from simulator.studies.collapse.strong_collapse._theory import interpolation_threshold
from simulator.study import CONTROLS, Figure, Output, Study, asymptotic


@parameters
class Params(mixture.MixtureParams):
    shift_correlation: float = traced(0.0, at_least=-1, at_most=1)
    num_steps: int = static(6, detail="after the first fit", at_least=0)


def theory(params):
    """The recursion of the module docstring, one scan step per fit."""
    spectrum, shift = spectrum_of(params), mixture.shift_of(params)
    signal = spectrum.signal
    p1, p2 = fractions = mixture.fractions_of(params)
    noise = jnp.sum(fractions * mixture.noise_of(params) ** 2)
    fit = ridge_fit(spectrum.eigenvalues, params.num_samples, params.ridge)
    t1, lost = fit.survival, fit.shrinkage
    spread = t1**2 * fit.spread_factor
    diverges, _ = interpolation_threshold(params, fractions)

    def step(carry, _):
        second, cross, infinite = carry
        total = jnp.sum(second)
        infinite = infinite | (diverges & ((noise > 0) | (p1 * p2 * total > 0)))
        forgotten = lost**2 * signal + spread * jnp.sum(lost**2 * signal)
        mixed = lost * t1 * cross - spread * jnp.sum(lost**2 * cross)
        inherited = t1**2 * second + spread * jnp.sum(lost**2 * second)
        disagreement = p1 * p2 * spread * jnp.where(infinite, 0, total)
        own_noise = jnp.where(infinite, 0, noise) * spread
        second = forgotten + own_noise - 2 * p2 * mixed + p2**2 * inherited + disagreement
        cross = -lost * signal + p2 * t1 * cross
        return (second, cross, infinite), jnp.where(infinite, jnp.inf, jnp.sum(second))

    start = (
        shift,
        mixture.cross_of(params),
        jnp.array(False),
    )
    return {"test_error": lax.scan(step, start, length=params.num_steps + 1)[1]}


def simulate_direct(key, params):
    """The model taken literally: every step draws its inputs and noise and fits."""
    return _simulated(key, params, drawn_fit(params.num_samples))


def simulate_fast(key, params):
    """The same law through trapezoidal factors: O(d^3) per step for every n."""
    return _simulated(key, params, trapezoidal_fit())


def _simulated(key, params, draw_fit):
    """Propagate the noise-free model and the response to all noise so far.

    Their cross term has mean zero and is left out of the error.
    """
    problem = experiment(params, correlation=params.shift_correlation)
    key_teacher, key_steps = jax.random.split(key)
    truth, shift = draw_teacher(key_teacher, problem)
    real = jnp.stack([truth, jnp.zeros_like(truth)], axis=1)  # columns: noise-free, noise

    def step(model, key):
        key_design, key_noise = jax.random.split(key)
        fit = draw_fit(key_design, problem)
        labels = fit.rows @ jnp.stack([real, model])
        model = fit.respond(labels.at[:, :, 1].add(draw_noise(key_noise, problem, fit)))
        return model, jnp.sum((model - real) ** 2)

    keys = jax.random.split(key_steps, params.num_steps + 1)
    start = jnp.stack([truth + shift, jnp.zeros_like(truth)], axis=1)
    return {"test_error": lax.scan(step, start, keys)[1]}


def simulate_conditional(key, params):
    """Averaged over teacher, shift and noise, given the designs: their statistics are controls.

    The model's error is ``A w1 + B δ`` and noise of covariance ``C``. A fit that makes ``H_j`` of
    the true labels of source ``j``, and ``K_j`` of its noise, maps

        A <- H_1 + H_2 - 1 + H_2 A,   B <- H_2 B,   C <- H_2 C H_2' + Σ_j σ_j² K_j K_j'.
    """
    problem = experiment(params, correlation=params.shift_correlation)
    identity, nothing = jnp.eye(params.dim, dtype=float), jnp.zeros((params.dim, params.dim), float)

    def step(error, key):
        to_truth, to_shift, noise = error
        fit = trapezoidal_fit()(key, problem)
        response, (real, synthetic) = unit_responses(fit)
        to_truth = real + synthetic - identity + synthetic @ to_truth
        to_shift = synthetic @ to_shift
        own = problem.noise_std[:, None, None] ** 2 * response
        noise = synthetic @ noise @ synthetic.T + jnp.einsum("jkr,jlr->kl", own, response)
        second = problem.signal * to_truth**2 + problem.shift * to_shift**2
        second = second + 2 * mixture.cross_of(params) * to_truth * to_shift
        found = jnp.sum(second) + jnp.trace(noise), _controls.statistics(problem, fit.rows)
        return (to_truth, to_shift, noise), found

    keys = jax.random.split(key, params.num_steps + 1)
    _, (errors, statistics) = lax.scan(step, (nothing, identity, nothing), keys)
    return {"test_error": errors, CONTROLS: statistics}


def controls(params):
    """Exact means of statistics of the designs; see `_controls`."""
    means = _controls.means(experiment(params, correlation=params.shift_correlation))
    return {name: jnp.full(params.num_steps + 1, mean) for name, mean in means.items()}


figures = {
    "decay": Figure(
        title="Iterating the mixture forgets the shift like p2^(2t)",
        x="step", y=("test_error",), series="synthetic_fraction", xscale="linear",
        grid={"synthetic_fraction": [0.2, 0.5, 0.8]},
        params={"dim": 100, "num_samples": 1000, "ridge": 0.0, "noise_std_real": 0.1,
                "noise_std_synthetic": 0.1, "synthetic_shift": 1.0, "num_steps": 8},
        caption="Least squares, d = 100, n = 1000, c² = 1, σ1 = σ2 = 0.1.",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 32, "num_samples": 640, "synthetic_fraction": 0.55, "ridge": 0.05,
     "noise_std_real": 0.4, "noise_std_synthetic": 0.3, "synthetic_shift": 0.9,
     "signal_variance": 1.3, "shift_correlation": 0.5, "num_steps": 3},
    # The bias is most of the error at all sizes that a ladder stands for.
    {"dim": 32, "num_samples": 640, "synthetic_fraction": 0.6, "ridge": 0.02,
     "spectrum": "power_law", "spectrum_exponent": 1.2, "source_exponent": 0.15,
     "shift_profile": "signal", "shift_correlation": -0.5, "synthetic_shift": 0.02,
     "noise_std_real": 0.03, "noise_std_synthetic": 0.05, "num_steps": 3},
    {"dim": 32, "num_samples": 640, "synthetic_fraction": 0.45, "ridge": 0.0, "noise_std_real": 0.3,
     "noise_std_synthetic": 0.2, "num_steps": 3},
)  # fmt: skip

STUDY = Study(
    name="strong-collapse.multi-step",
    title="iterated mixing: models label the synthetic share of their successor's data",
    paper=PAPER, params=Params,
    outputs=(
        Output(
            "test_error", "excess error on real labels after each step",
            asymptotic("O(1/dim), O(1/df2) for power laws"), dims=("step",),
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast,
    simulate_conditional=simulate_conditional, controls=controls, realised=mixture.realised,
    complete=mixture.completed, validate=mixture.validate,
    coordinates={"step": lambda params: range(params.num_steps + 1)}, figures=figures,
    tolerance=0.003,  # a few thousand replicates; designs' statistics take the noise out
    check_cells=check_cells,
)  # fmt: skip
