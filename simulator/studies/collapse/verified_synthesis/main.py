"""Synthetic labels, some of them wrong, selected by a verifier that is wrong as well.

Question. A generator labels fresh inputs and an imperfect verifier throws part of the set away. How
accurate is a linear classifier trained on the rest, and when does selection restore the optimal
one?

Model. ``y = ±1``, ``x | y ~ N(y mu, I_d)``, ``|mu| = signal_norm``. Synthetic labels are right with
probability ``p``; right ones are kept with probability ``phi``, wrong ones with ``psi``, all
independently of ``x``. Of ``N`` samples ``n`` are kept; ridge regression of the labels on the
inputs, loss ``(1/n) sum (y' - x.w)² + λ|w|²``, no intercept; prediction ``sign(x.w)``.

Theory. ``keep_rate π = p phi + (1 - p) psi``, ``α = p phi / π``, ``m = 2 α - 1``; exact. The label
error that selection can absorb is ``breakdown_error = phi / (phi + psi)``: as ``N/d -> inf`` the
accuracy tends to ``Phi(|mu|)`` if ``1 - p`` is below it and to ``Phi(-|mu|)`` if above. At
``γ = d/(N π)``, with ``κ - γ κ/(1 + κ) = λ``, ``T1 = |mu|²/(1+κ)``, ``T2 = |mu|²/(1+κ)²``,
``D = γ/(1+κ)²``,

    test_accuracy = Phi( [m T1/(1+T1)] / sqrt([m² (T2+D)/(1+T1)² + (1-m²) D] / (1-D)) ),

relative error O(1/d); 1/2 at ``λ = 0``, ``γ = 1``. For large ``λ`` (best for isotropic noise) it is
that of ``N π m²`` clean samples, ``π m² = effective_sample_fraction``, which ranks verifiers where
data are finite; `breakdown_error` does where they are not.

Reference: Y. Feng, E. Dohmatob, P. Yang, F. Charton, J. Kempe, "Beyond Model Collapse: Scaling Up
with Synthesized Data Requires Verification", ICLR 2025, arXiv 2406.07515 (infinite data: its main
theorem; the sharp limit is this package's own). The paper's loss has ``1/N``: its ridge is ``π λ``.
"""

import jax
import jax.numpy as jnp

from simulator.studies.collapse.verified_synthesis._model import (  # isort: skip
    SelectionParams, bernoulli, empirical, fitted, mixture_accuracy,
)  # fmt: skip
from simulator.maths.gaussian import normal_cdf
from simulator.maths.least_squares import smallest_norm
from simulator.parameters import parameters, traced
from simulator.sampling.counts import multinomial
from simulator.sampling.row_types import ridge_fit, rows_of_types
from simulator.studies.collapse.verified_synthesis import PAPER
from simulator.study import Figure, Study, asymptotic, both, exact, theory_only


@parameters
class Params(SelectionParams):
    generator_accuracy: float = traced(0.6, at_least=0, at_most=1)
    keep_correct: float = traced(0.9, above=0, at_most=1)
    keep_incorrect: float = traced(0.3, at_least=0, at_most=1)


def theory(params):
    """The formulas of the module docstring, through the fit along ``mu`` and in the noise."""
    mu, n = params.signal_norm, params.num_samples_synthetic
    right = params.generator_accuracy * params.keep_correct
    wrong = (1 - params.generator_accuracy) * params.keep_incorrect
    kept = right + wrong
    m = (right - wrong) / kept
    a, noise = fitted(
        jnp.reshape(1 + mu**2, (1, 1)),
        jnp.reshape(m * mu, (1,)),
        params.dim / (n * kept),
        params.ridge,
    )
    balanced = jnp.abs(m) < 8 * jnp.finfo(m.dtype).eps
    return {
        "keep_rate": kept,
        "kept_label_accuracy": right / kept,
        "breakdown_error": params.keep_correct / (params.keep_correct + params.keep_incorrect),
        "effective_sample_fraction": (right - wrong) ** 2 / kept,
        "test_accuracy": mixture_accuracy(mu, a[0], jnp.sqrt(a[0] ** 2 + noise)),
        "test_accuracy_infinite_data": normal_cdf(jnp.where(balanced, 0, jnp.sign(m)) * mu),
        "bayes_accuracy": normal_cdf(mu),
    }


def simulate_direct(key, params):
    """Draw classes, inputs, labels and the verifier's bits; fit on what is kept."""
    keys = jax.random.split(key, 4)
    shape = (params.num_samples_synthetic,)
    y = jax.random.rademacher(keys[0], shape, float)
    inputs = jax.random.normal(keys[1], (*shape, params.dim), float)
    inputs = inputs.at[:, 0].add(params.signal_norm * y)
    right = bernoulli(keys[2], params.generator_accuracy, shape)
    labels = jnp.where(right, y, -y)
    chance = jnp.where(right, params.keep_correct, params.keep_incorrect)
    kept = bernoulli(keys[3], chance, shape)

    count = jnp.sum(kept)
    solve = smallest_norm(jnp.where(kept[:, None], inputs, 0), params.ridge * count)
    weights = solve(jnp.where(kept, labels, 0)[:, None])[:, 0]
    numbers = [jnp.sum(kept & right), jnp.sum(~kept & right)]
    numbers += [jnp.sum(kept & ~right), jnp.sum(~kept & ~right)]
    return _outputs(params, numbers, weights)


def simulate_fast(key, params):
    """The same law from four counts, two sums of rows and a trapezoidal factor."""
    key_counts, key_rows = jax.random.split(key)
    p, phi, psi = params.generator_accuracy, params.keep_correct, params.keep_incorrect
    chances = jnp.stack([p * phi, p * (1 - phi), (1 - p) * psi, (1 - p) * (1 - psi)])
    numbers = multinomial(key_counts, params.num_samples_synthetic, chances)
    # Times the true label, every row is mu plus noise, and its target 1 if the label is right.
    means = jnp.zeros((2, params.dim), float).at[:, 0].set(params.signal_norm)
    kept = numbers[::2]
    rows = rows_of_types(key_rows, kept, means, jnp.asarray([1.0, -1.0], float))
    weight = 1 / jnp.maximum(rows.number, 1)
    return _outputs(params, list(numbers), ridge_fit([rows], [weight], params.ridge))


def _outputs(params, numbers, weights):
    """Rates among the drawn samples, and the accuracy of ``weights`` in closed form."""
    right_kept, right_dropped, wrong_kept, wrong_dropped = numbers
    p, phi, psi = params.generator_accuracy, params.keep_correct, params.keep_incorrect
    count = right_kept + wrong_kept
    keep_correct = empirical(right_kept, right_kept + right_dropped, phi)
    keep_incorrect = empirical(wrong_kept, wrong_kept + wrong_dropped, psi)
    return {
        "keep_rate": count / params.num_samples_synthetic,
        "kept_label_accuracy": empirical(right_kept, count, p * phi / (p * phi + (1 - p) * psi)),
        "breakdown_error": empirical(
            keep_correct, keep_correct + keep_incorrect, phi / (phi + psi)
        ),
        "test_accuracy": mixture_accuracy(params.signal_norm, weights[0], jnp.linalg.norm(weights)),
    }


def validate(params, side):
    """Something must be kept."""
    if params.generator_accuracy == 0 and params.keep_incorrect == 0:
        raise ValueError(
            "keep_incorrect = 0 is not allowed at generator_accuracy = 0: nothing is ever kept "
            "(it must be > 0)"
        )


figures = {
    "breakdown": Figure(
        title="Selection moves the breakdown of synthetic labels",
        x="generator_accuracy", y=("test_accuracy",), series="keep_incorrect", xscale="linear",
        yscale="linear",
        grid={"generator_accuracy": [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95],
              "keep_incorrect": [0.1, 0.3, 0.9]},
        params={"dim": 40, "num_samples_synthetic": 4000, "keep_correct": 0.9},
        caption="d = 40, N = 100 d, keep_correct = 0.9: curves cross 1/2 at psi / (phi + psi).",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 32, "num_samples_synthetic": 1600},
    {"dim": 32, "num_samples_synthetic": 2000, "signal_norm": 2.1, "ridge": 0.001,
     "generator_accuracy": 0.8, "keep_correct": 0.7, "keep_incorrect": 0.2},
    {"dim": 32, "num_samples_synthetic": 40000, "generator_accuracy": 0.1, "ridge": 1.3},
)  # fmt: skip

STUDY = Study(
    name="verified-synthesis",
    title="training on synthetic data that an imperfect verifier selects",
    paper=PAPER, params=Params,
    outputs=(
        *both(exact(), keep_rate="share of the synthetic samples that is kept"),
        *both(
            exact("given that one is kept"), kept_label_accuracy="share of right labels among them"
        ),
        *both(
            asymptotic("O(1/N): a ratio of empirical rates"),
            breakdown_error="largest label error that selection can absorb",
        ),
        *theory_only(
            effective_sample_fraction="clean samples that a synthetic one is worth (large ridge)"
        ),
        *both(asymptotic("O(1/d)"), test_accuracy="accuracy of the trained classifier"),
        *theory_only(
            test_accuracy_infinite_data="its limit for infinitely many samples",
            bayes_accuracy="accuracy of the best classifier",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, validate=validate,
    figures=figures, tolerance=0.003, check_cells=check_cells,
)  # fmt: skip
