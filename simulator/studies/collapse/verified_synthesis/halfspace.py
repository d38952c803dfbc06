"""Generator and verifier are halfspaces: their errors depend on the input.

Question. ``verified-synthesis`` has errors that are independent of the inputs, and its accuracy
jumps to the optimum when data are many. What is left of the jump when they are not?

Model. Labels ``y' = sign(x.w_gen)``; the verifier agrees where ``sign(x.w_prune) = y'`` and keeps
with probability ``keep_agree`` where it agrees, ``keep_disagree`` elsewhere. Angles ``tg``, ``tp``
to the truth ``w*``, azimuth ``az`` (pi/2: independent directions, 0: errors on the same side).
Inputs: the mixture ``N(y |mu| w*, I_d)``, or at ``signal_norm = 0`` ``N(0, I_d)`` with
``y = sign(x.w*)`` (another law, not its limit: accuracies jump). Fit and prediction as there.

Theory. With the moments ``c = E[y' t | kept]``, ``C = E[t t' | kept]`` of the three special
coordinates (`maths.wedge`), and ``κ``, ``D`` as in ``verified-synthesis``,

    a = (C + κ)^-1 c,   B² = (1 - 2 a.c + a'C a) D/(1 - D),   ρ = a_1 / sqrt(|a|² + B²),
    test_accuracy = Phi(|mu| ρ), or 1 - arccos(ρ)/pi at signal_norm = 0;   rel. error O(1/d).

For infinitely many data ``a = C^-1 c``: no jump; at ``signal_norm = 0`` the classifier is the
bisector of ``w_gen`` and ``w_prune``, ``ρ = (cos tg + cos tp)/(2 cos(t/2))``.

Reference: arXiv 2406.07515 (rates of agreement; the sharp limit is this package's own).
"""

import jax
import jax.numpy as jnp

from simulator.studies.collapse.verified_synthesis._model import (  # isort: skip
    SelectionParams, accuracy, bernoulli, empirical, fitted,
)  # fmt: skip
from simulator.maths.gaussian import normal_cdf
from simulator.maths.least_squares import smallest_norm
from simulator.maths.slopes import ratio
from simulator.maths.special_directions import infinite_data
from simulator.parameters import parameters, traced
from simulator.studies.collapse.verified_synthesis import PAPER
from simulator.studies.collapse.verified_synthesis import _halfspace as halfspaces
from simulator.study import Figure, Study, asymptotic, both, exact, theory_only


@parameters
class Params(SelectionParams):
    signal_norm: float = traced(
        0.0, at_least=0, detail="0: Gaussian inputs, y = sign(x·w*)", typical=(0, 3)
    )
    generator_angle: float = traced(0.9, at_least=0, at_most=jnp.pi)
    verifier_angle: float = traced(0.9, at_least=0, at_most=jnp.pi)
    azimuth: float = traced(jnp.pi / 2, at_least=0, at_most=jnp.pi)
    keep_agree: float = traced(1.0, "–", "chance to keep where both agree", at_least=0, at_most=1)
    keep_disagree: float = traced(0.0, "–", "chance to keep elsewhere", at_least=0, at_most=1)


def _geometry(params):
    return halfspaces.geometry(params.generator_angle, params.verifier_angle, params.azimuth)


def _kept(params):
    return halfspaces.kept_moments(
        _geometry(params), params.signal_norm, params.keep_agree, params.keep_disagree
    )


def _rates(params):
    """``p``, ``phi``, ``psi`` and the share of right labels that is kept, among all inputs."""
    agree, disagree = params.keep_agree, params.keep_disagree
    cases = halfspaces.confusion(
        _kept(params).sides,
        _geometry(params).angle,
        params.signal_norm,
        params.generator_angle,
        params.verifier_angle,
        params.azimuth,
    )
    right = cases.both_right + cases.generator_right
    wrong = cases.both_wrong + cases.verifier_right
    right_kept = agree * cases.both_right + disagree * cases.generator_right
    wrong_kept = agree * cases.both_wrong + disagree * cases.verifier_right
    return right, ratio(right_kept, right), ratio(wrong_kept, wrong), right_kept


def theory(params):
    """The formulas of the module docstring."""
    mu = params.signal_norm
    p, phi, psi, right_kept = _rates(params)
    kept = _kept(params)
    gamma = params.dim / (params.num_samples_synthetic * kept.rate)
    a, noise = fitted(kept.second, kept.first, gamma, params.ridge)
    limit = infinite_data(kept.second, kept.first)
    angle = params.verifier_angle
    verifier = jnp.where(mu > 0, normal_cdf(mu * jnp.cos(angle)), 1 - angle / jnp.pi)
    return {
        "generator_accuracy": p,
        "verifier_accuracy": verifier,
        "keep_correct": phi,
        "keep_incorrect": psi,
        "breakdown_error": phi / (phi + psi),
        "keep_rate": kept.rate,
        "kept_label_accuracy": right_kept / kept.rate,
        "test_accuracy": accuracy(mu, a[0], a[1] ** 2 + a[2] ** 2 + noise),
        "test_accuracy_infinite_data": accuracy(mu, limit[0], limit[1] ** 2 + limit[2] ** 2),
        "bayes_accuracy": jnp.where(mu > 0, normal_cdf(mu), 1),
    }


def simulate_direct(key, params):
    """Draw classes, inputs and the verifier's coins; label, select and fit."""
    keys = jax.random.split(key, 3)
    where, count = _geometry(params), params.num_samples_synthetic
    inputs = jax.random.normal(keys[0], (count, params.dim), float)
    y = jax.random.rademacher(keys[1], (count,), float)
    inputs = inputs.at[:, 0].add(params.signal_norm * y)
    # `judged` speaks of class +1: the mixture's other class is turned, and its labels back.
    turn = jnp.where(params.signal_norm > 0, y, 1)
    label, right, chance = halfspaces.judged(
        turn[:, None] * inputs[:, :3],
        where,
        params.signal_norm,
        params.keep_agree,
        params.keep_disagree,
    )
    kept = bernoulli(keys[2], chance, (count,))
    solve = smallest_norm(jnp.where(kept[:, None], inputs, 0), params.ridge * jnp.sum(kept))
    weights = solve(jnp.where(kept, turn * label, 0)[:, None])[:, 0]
    return _outputs(params, halfspaces.tabled(jnp.ones((count,), bool), right, kept), weights)


def simulate_fast(key, params):
    """The same law: the three special coordinates of all inputs, and turned rows of the rest."""
    key_set, key_fit = jax.random.split(key)
    drawn = halfspaces.draw_set(
        key_set,
        params.num_samples_synthetic,
        _geometry(params),
        params.signal_norm,
        params.keep_agree,
        params.keep_disagree,
    )
    return _outputs(
        params, drawn.numbers, halfspaces.fit_on_set(key_fit, drawn, params.dim, params.ridge)
    )


def _outputs(params, numbers, weights):
    """Rates among the drawn inputs, and the accuracy of ``weights`` in closed form."""
    wrong, right = jnp.sum(numbers, axis=1)
    wrong_kept, right_kept = numbers[:, 1]
    kept = wrong_kept + right_kept
    p, phi, psi, given = _rates(params)
    keep_correct = empirical(right_kept, right, phi)
    keep_incorrect = empirical(wrong_kept, wrong, psi)
    return {
        "generator_accuracy": right / params.num_samples_synthetic,
        "keep_correct": keep_correct,
        "keep_incorrect": keep_incorrect,
        "breakdown_error": empirical(
            keep_correct, keep_correct + keep_incorrect, phi / (phi + psi)
        ),
        "keep_rate": kept / params.num_samples_synthetic,
        "kept_label_accuracy": empirical(right_kept, kept, given / (given + (1 - p) * psi)),
        "test_accuracy": accuracy(params.signal_norm, weights[0], jnp.sum(weights[1:] ** 2)),
    }


def validate(params, side):
    """Something must be kept; a traced point is told so, not refused."""
    agree, disagree = halfspaces.may_agree_and_disagree(
        params.generator_angle, params.verifier_angle, params.azimuth, params.signal_norm
    )
    kept = (agree & (params.keep_agree > 0)) | (disagree & (params.keep_disagree > 0))
    if not isinstance(kept, jax.core.Tracer) and not kept:
        raise ValueError(
            f"keep_agree = {params.keep_agree}, keep_disagree = {params.keep_disagree} is not "
            f"allowed for these angles and signal_norm = {params.signal_norm}: nothing is ever "
            "kept (the keep rate must be > 0)"
        )
    return kept


figures = {
    "verifier-angle": Figure(
        title="A verifier helps when its errors are others than the generator's",
        x="verifier_angle", y=("test_accuracy",), series="azimuth", xscale="linear",
        yscale="linear",
        grid={"verifier_angle": [0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5],
              "azimuth": [0.2, 1.5707963, 2.9]},
        params={"dim": 50, "num_samples_synthetic": 2000},
        caption="Gaussian inputs, d = 50, N = 2000, generator at 0.9 rad (accuracy 0.71).",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 32, "num_samples_synthetic": 1000, "azimuth": 1.1, "verifier_angle": 0.7},
    {"dim": 32, "num_samples_synthetic": 1000, "signal_norm": 1.2, "ridge": 0.5,
     "generator_angle": 2.0, "verifier_angle": 0.5, "azimuth": 0.3, "keep_agree": 0.9,
     "keep_disagree": 0.25},
)  # fmt: skip

STUDY = Study(
    name="verified-synthesis.halfspace",
    title="a linear verifier selects the labels of a linear generator",
    paper=PAPER, params=Params,
    outputs=(
        *both(exact(), generator_accuracy="share of right synthetic labels"),
        *theory_only(verifier_accuracy="accuracy of the verifier's halfspace"),
        *both(
            exact("0 by convention where there is none"),
            keep_correct="share of the right labels that is kept",
            keep_incorrect="share of the wrong labels that is kept",
        ),
        *both(
            asymptotic("O(1/N): a ratio of empirical rates"),
            breakdown_error="largest label error that selection absorbs if errors are independent",
        ),
        *both(
            exact(),
            keep_rate="share of the synthetic samples that is kept",
            kept_label_accuracy="share of right labels among them",
        ),
        *both(asymptotic("O(1/d)"), test_accuracy="accuracy of the trained classifier"),
        *theory_only(
            test_accuracy_infinite_data="its limit for infinitely many samples",
            bayes_accuracy="accuracy of the best classifier",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, validate=validate,
    figures=figures, tolerance=0.005, check_cells=check_cells,
)  # fmt: skip
