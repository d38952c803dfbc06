"""Retraining the last layer: biased data learn the features, balanced data combine them.

Question. When is it enough to learn features from biased data and to fit only their combination on
balanced ones?

Model. Two features from the ``N`` biased samples: the label contrast ``(1/N) sum y x`` and the
attribute contrast ``(1/N) sum a x``; the best robust head on their span (its two parameters are
fitted on many balanced samples; the limit is taken).

Theory. ``P`` projects on the span; the best ``w`` is the point of smallest norm of
``P (c e1 + t s e2)``, ``|t| <= 1``, and its worst-group error ``Phi(-norm)``. With
``η = d / (4 N pi (1 - pi))``, ``delta = 1 - 2 pi``, ``t = -c² delta η / (s² (c² + η))``,

    |t| <= 1:   worst_group_error = Phi(-c / sqrt(1 + η/c²)),
    else (t -> -1):   Phi(-sqrt([c⁴ (s²+η) + s⁴ (c²+η) + 2 t c² s² delta η] / Det)),
                      Det = (c²+η)(s²+η) - delta² η²;   relative error O(1/d), near t = -1 later.

What counts is ``4 N pi (1 - pi)``, the effective number of samples.

Reference: arXiv 2403.09869 (last-layer variant; this counterpart is the package's own).
"""

import jax
import jax.numpy as jnp

from simulator.maths.centred import centred_chi_square
from simulator.maths.gaussian import normal_cdf
from simulator.maths.slopes import ratio, square_root
from simulator.parameters import parameters, static, traced
from simulator.sampling.counts import multinomial
from simulator.studies.data.group_aware_prior import PAPER
from simulator.studies.data.group_aware_prior._model import GroupParams, group_means
from simulator.study import CONTROLS, Figure, Study, asymptotic, both, theory_only


@parameters
class Params(GroupParams):
    spurious_strength: float = traced(1.5, above=0)
    num_samples: int = traced(1000, symbol="N", at_least=1, static_in=("direct",), grows=1)
    dim: int = static(100, at_least=2, traced_in=("theory",), grows=1)


def theory(params):
    """The two cases of the module docstring."""
    c, s, minority = params.core_strength, params.spurious_strength, params.minority_fraction
    delta = 1 - 2 * minority
    eta = params.dim / (4 * params.num_samples * minority * (1 - minority))
    t = -(c**2) * delta * eta / (s**2 * (c**2 + eta))
    inner = c**2 / (1 + eta / c**2)
    determinant = (c**2 + eta) * (s**2 + eta) - (delta * eta) ** 2
    edge = c**4 * (s**2 + eta) + s**4 * (c**2 + eta) - 2 * c**2 * s**2 * delta * eta
    return {
        "worst_group_error": normal_cdf(-jnp.sqrt(jnp.where(t < -1, edge / determinant, inner))),
        "minimax_error": normal_cdf(-c),
    }


def simulate_direct(key, params):
    """Draw the rows, times their labels, and sum them by group."""
    key_groups, key_rows = jax.random.split(key)
    shape = (params.num_samples, params.dim)
    minority = jax.random.uniform(key_groups, shape[:1], float) < params.minority_fraction
    means = group_means(params, params.dim)
    rows = jax.random.normal(key_rows, shape, float) + means[minority.astype(int)]
    counts = jnp.sum(jnp.stack([~minority, minority]), axis=1)
    return _outputs(params, counts, jnp.stack([rows.T @ ~minority, rows.T @ minority]))


def simulate_fast(key, params):
    """The same law from the number of minority rows and two sums."""
    key_counts, key_sums = jax.random.split(key)
    fraction = params.minority_fraction
    counts = multinomial(key_counts, params.num_samples, jnp.stack([1 - fraction, fraction]))
    noise = jax.random.normal(key_sums, (2, params.dim), float)
    sums = counts[:, None] * group_means(params, params.dim) + jnp.sqrt(counts)[:, None] * noise
    return _outputs(params, counts, sums)


def _outputs(params, counts, sums):
    """The error of the head, beside control variates: sums of noise, number of minority rows."""
    root = jnp.sqrt(jnp.maximum(counts, 1.0))[:, None]
    noise = (sums - counts[:, None] * group_means(params, params.dim)) / root
    across, rest = noise[:, 2:], params.dim - 2.0
    there = counts > 0
    expected = params.num_samples * params.minority_fraction
    spread = jnp.sqrt(expected * (1 - params.minority_fraction))
    parts = jnp.concatenate(
        [
            ((counts[1] - expected) / spread)[None],
            noise[:, :2].ravel(),
            jnp.where(there, centred_chi_square(jnp.sum(across**2, axis=1), rest), 0),
            (across[0] @ across[1] * jnp.sqrt(ratio(1.0, rest)))[None],
        ]
    )
    return {"worst_group_error": _best_head(params, sums), CONTROLS: {"sums": parts}}


def controls(params):
    """Their means."""
    return {"sums": jnp.zeros(())}


def _best_head(params, sums):
    """Error of the robust head on the span of the sums of both groups (the contrasts' span)."""
    first = sums[0] * ratio(1.0, jnp.linalg.norm(sums[0]))
    second = sums[1] - (sums[1] @ first) * first
    second = second * ratio(1.0, jnp.linalg.norm(second))
    # Coordinates of P e1 and P e2 in the orthonormal basis of the span.
    core = params.core_strength * jnp.stack([first[0], second[0]])
    spurious = params.spurious_strength * jnp.stack([first[1], second[1]])
    t = jnp.clip(-ratio(core @ spurious, spurious @ spurious), -1, 1)
    nearest = core + t * spurious
    return normal_cdf(-square_root(nearest @ nearest))


figures = {
    "effective-samples": Figure(
        title="Learnt features: only 4 N pi (1 - pi) counts",
        x="num_samples", y=("worst_group_error",), series="minority_fraction", yscale="linear",
        grid={"num_samples": [200, 500, 1000, 2000, 5000, 10000],
              "minority_fraction": [0.02, 0.1, 0.5]},
        caption="d = 100, c = 1, s = 1.5.",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 512, "num_samples": 4800, "minority_fraction": 0.1},
    {"dim": 512, "num_samples": 800, "spurious_strength": 0.5, "minority_fraction": 0.07},
)  # fmt: skip

STUDY = Study(
    name="group-aware-prior.last-layer",
    title="the best robust head on two features learnt from biased data",
    paper=PAPER, params=Params,
    outputs=(
        *both(asymptotic("O(1/d)"), worst_group_error="error of the worst group"),
        *theory_only(minimax_error="smallest worst-group error of any linear classifier"),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, controls=controls,
    figures=figures, tolerance=0.001, check_cells=check_cells,
)  # fmt: skip
