"""Of K candidates the verifier keeps the one that it likes best.

Question. How often is the kept candidate correct?

Model. Per prompt ``K`` candidates, each correct with probability ``p``; the verifier's score is
``N(g, 1)`` for a correct one and ``N(0, 1)`` for a wrong one; the largest score is kept. A
replicate is the share of correct ones among ``num_prompts`` prompts.

Theory. Exact:

    kept_label_accuracy = int K p phi(x - g) [p Phi(x - g) + (1 - p) Phi(x)]^(K-1) dx,

``p`` for ``K = 1`` or ``g = 0``, and ``1 - (1 - p)^K`` for ``g -> inf``. (A verifier that accepts
or rejects, first accepted of K, keeps the accuracy of ``verified-synthesis`` and raises its keep
rate to ``1 - (1 - π)^K``.)

Verdicts resolve 0.1 %.

Reference: arXiv 2406.07515 (selection among several candidates); the formula is elementary.
"""

import jax
import jax.numpy as jnp

from simulator.maths.gaussian import normal_cdf, normal_pdf
from simulator.maths.quadrature import panel_rule
from simulator.parameters import parameters, static, traced
from simulator.studies.collapse.verified_synthesis import PAPER
from simulator.studies.collapse.verified_synthesis._model import bernoulli
from simulator.study import Figure, Study, both, exact

#: Standard deviations around the mean score: below, probability 1e-19; above, room for the best of
#: as many candidates as there are whole numbers.
_LOWEST, _HIGHEST, _PANELS, _ORDER = -9.0, 12.0, 21, 32


@parameters
class Params:
    generator_accuracy: float = traced(0.6, at_least=0, at_most=1)
    num_candidates: int = static(4, at_least=1, traced_in=("theory",))
    score_gap: float = traced(1.0, at_least=0)
    num_prompts: int = static(20000, detail="of a replicate", at_least=1, traced_in=("theory",))


def theory(params):
    """The integral of the module docstring; exact."""
    p, gap = params.generator_accuracy, params.score_gap
    z, weight = panel_rule(jnp.linspace(_LOWEST, _HIGHEST, _PANELS + 1), _ORDER)
    below = p * normal_cdf(z) + (1 - p) * normal_cdf(z + gap)
    above = p * normal_cdf(-z) + (1 - p) * normal_cdf(-z - gap)
    # Many candidates count the last digits of a probability near 1.
    logarithm = jnp.where(above < 0.5, jnp.log1p(-jnp.where(above < 0.5, above, 0)), jnp.log(below))
    best = normal_pdf(z) * jnp.exp((params.num_candidates - 1) * logarithm)
    return {"kept_label_accuracy": params.num_candidates * p * (weight @ best)}


def simulate_direct(key, params):
    """Draw all candidates and their scores; keep the best of every prompt."""
    key_correct, key_scores = jax.random.split(key)
    shape = (params.num_prompts, params.num_candidates)
    correct = bernoulli(key_correct, params.generator_accuracy, shape)
    scores = jax.random.normal(key_scores, shape, float) + params.score_gap * correct
    kept = jnp.take_along_axis(correct, jnp.argmax(scores, axis=1)[:, None], axis=1)
    return {"kept_label_accuracy": jnp.mean(kept, dtype=float)}


figures = {
    "candidates": Figure(
        title="A better verifier makes more of the same candidates",
        x="num_candidates", y=("kept_label_accuracy",), series="score_gap", yscale="linear",
        grid={"num_candidates": [1, 2, 4, 8, 16, 32, 64], "score_gap": [0.5, 1.0, 2.0, 4.0]},
        params={"generator_accuracy": 0.3, "num_prompts": 1000}, caption="Generator accuracy 0.3.",
    ),
}  # fmt: skip

check_cells = (
    {"generator_accuracy": 0.55, "num_candidates": 3, "score_gap": 0.8, "num_prompts": 500},
    {"generator_accuracy": 0.25, "num_candidates": 9, "score_gap": 1.9, "num_prompts": 500},
)  # fmt: skip

STUDY = Study(
    name="verified-synthesis.best-of-k",
    title="keeping the best-scored of K candidates",
    paper=PAPER, params=Params,
    outputs=both(exact(), kept_label_accuracy="share of prompts whose kept candidate is correct"),
    theory=theory, simulate_direct=simulate_direct, figures=figures, tolerance=0.001,
    check_cells=check_cells,
)  # fmt: skip
