"""Retraining on one's own labels, selected by a verifier, generation after generation.

Question. The next generator is the classifier that the verified labels of the last one trained.
Where does this end?

Model. ``verified-synthesis.halfspace`` on Gaussian inputs, kept where generator and verifier agree,
``N`` fresh inputs per generation; ``w_gen`` of the next generation is the fit ``ŵ``.

Theory. Only the angles of ``w_gen`` count. With ``(a, B²)`` of the fit, ``R² = |a|² + B²``,

    cos tg' = a_1 / R,   cos t' = w_prune.a / R,
    cos az' = (cos t' - cos tg' cos tp) / (sin tg' sin tp),   test_accuracy = 1 - tg'/pi,

relative error O(1/d); entry 0, the first generator, is exact. With infinitely many data the fixed
point is ``w_gen = w_prune``: retraining converges to the verifier, not to the truth, and at finite
``N/d`` it settles below it.

Reference: arXiv 2406.07515 (verified retraining; the map is this package's own).
"""

import jax
import jax.numpy as jnp
from jax import lax

from simulator.maths.least_squares import smallest_norm
from simulator.maths.slopes import square_root
from simulator.parameters import parameters, static, traced
from simulator.studies.collapse.verified_synthesis import PAPER
from simulator.studies.collapse.verified_synthesis import _halfspace as halfspaces
from simulator.studies.collapse.verified_synthesis._model import angle_of, fitted
from simulator.study import Figure, Study, asymptotic, both, theory_only


@parameters
class Params:
    num_samples_synthetic: int = traced(
        1500,
        detail="per generation, before selection",
        at_least=1,
        static_in=("direct",),
        grows=1,
    )
    dim: int = static(150, at_least=4, traced_in=("theory",), grows=1)
    ridge: float = traced(0.05, at_least=0)
    generator_angle: float = traced(1.25, detail="the first one's", at_least=0, at_most=jnp.pi)
    verifier_angle: float = traced(0.45, above=0, below=jnp.pi)
    azimuth: float = traced(jnp.pi / 2, at_least=0, at_most=jnp.pi)
    num_generations: int = static(4, at_least=0)


def theory(params):
    """The map of the module docstring, from generation to generation."""

    def next_classifier(_, where):
        kept = halfspaces.kept_moments(where, 0.0, 1.0, 0.0)
        gamma = params.dim / (params.num_samples_synthetic * kept.rate)
        return fitted(kept.second, kept.first, gamma, params.ridge)

    return {
        "test_accuracy": _generations(params, next_classifier, None),
        "verifier_accuracy": 1 - params.verifier_angle / jnp.pi,
    }


def simulate_direct(key, params):
    """Every generation draws its inputs, labels, selects and fits."""

    def next_classifier(key, where):
        shape = (params.num_samples_synthetic, params.dim)
        inputs = jax.random.normal(key, shape, float)
        label, _, chance = halfspaces.judged(inputs[:, :3], where, 0.0, 1.0, 0.0)
        kept = chance > 0
        solve = smallest_norm(jnp.where(kept[:, None], inputs, 0), params.ridge * jnp.sum(kept))
        return _special(solve(jnp.where(kept, label, 0)[:, None])[:, 0])

    return {"test_accuracy": _generations(params, next_classifier, key)}


def simulate_fast(key, params):
    """The same law through three special coordinates and turned rows."""

    def next_classifier(key, where):
        key_set, key_fit = jax.random.split(key)
        drawn = halfspaces.draw_set(key_set, params.num_samples_synthetic, where, 0.0, 1.0, 0.0)
        return _special(halfspaces.fit_on_set(key_fit, drawn, params.dim, params.ridge))

    return {"test_accuracy": _generations(params, next_classifier, key)}


def _special(weights):
    return weights[:3], jnp.sum(weights[3:] ** 2)


def _generations(params, next_classifier, key):
    """Accuracies of all generations; ``next_classifier(key, geometry)`` returns ``(a, B²)``."""
    verifier = params.verifier_angle

    def step(angles, key):
        angle, azimuth = angles
        a, noise = next_classifier(key, halfspaces.geometry(angle, verifier, azimuth))
        # The verifier's part across w* points along (cos az, sin az): the fit along it and beside.
        along = a[1] * jnp.cos(azimuth) + a[2] * jnp.sin(azimuth)
        beside = (a[2] * jnp.cos(azimuth) - a[1] * jnp.sin(azimuth)) ** 2 + noise
        nothing = (along == 0) & (beside == 0)
        turned = jnp.arctan2(square_root(beside), jnp.where(nothing, 1, along))
        angles = angle_of(a[0], along**2 + beside), jnp.where(jnp.isinf(noise), jnp.pi / 2, turned)
        return angles, angles[0]

    keys = None if key is None else jax.random.split(key, params.num_generations)
    start = (params.generator_angle + jnp.zeros(()), params.azimuth + jnp.zeros(()))
    later = lax.scan(step, start, keys, length=params.num_generations)[1]
    return 1 - jnp.concatenate([start[0][None], later]) / jnp.pi


def validate(params, side):
    """Something must be kept; a traced point is told so, not refused."""
    kept, _ = halfspaces.may_agree_and_disagree(
        params.generator_angle, params.verifier_angle, params.azimuth
    )
    if not isinstance(kept, jax.core.Tracer) and not kept:
        raise ValueError(
            f"generator_angle = {params.generator_angle} is not allowed here: generator and "
            "verifier never agree, nothing is kept (their angle must be < pi)"
        )
    return kept


figures = {
    "generations": Figure(
        title="Verified retraining converges to the verifier",
        x="generation", y=("test_accuracy",), series="num_samples_synthetic", replicates=50,
        xscale="linear", yscale="linear", grid={"num_samples_synthetic": [400, 1500, 20000]},
        params={"dim": 100, "num_generations": 8}, caption="d = 100, verifier's accuracy 0.857.",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 32, "num_samples_synthetic": 1000, "ridge": 0.1, "generator_angle": 1.3,
     "verifier_angle": 0.6, "azimuth": 1.0, "num_generations": 3},
)  # fmt: skip

STUDY = Study(
    name="verified-synthesis.retraining",
    title="verified retraining over generations",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            asymptotic("O(1/d); generation 0 exact"),
            dims=("generation",),
            test_accuracy="accuracy of each generation's classifier",
        ),
        *theory_only(verifier_accuracy="accuracy of the verifier, the limit for infinite data"),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, validate=validate,
    coordinates={"generation": lambda params: range(params.num_generations + 1)}, figures=figures,
    tolerance=0.003, check_cells=check_cells,
)  # fmt: skip
