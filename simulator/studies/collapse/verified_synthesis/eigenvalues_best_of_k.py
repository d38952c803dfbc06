"""The same small task with a verifier that scores: the best of K candidates is kept.

Question. What does a verifier gain that ranks candidates instead of rejecting them?

Model. See `_eigenvalue_task`. The score of a candidate is minus its relative L1 error plus
``N(0, eta²)``; the largest of ``K`` scores is the label of every input. (First accepted by a
perfect verifier is below best of K: it drops the inputs without a correct candidate.)

Simulation only: no theory is known.

Reference: arXiv 2406.07515 (selection among several candidates; this small counterpart is the
package's own).
"""

import jax
import jax.numpy as jnp

from simulator.parameters import parameters, traced
from simulator.studies.collapse.verified_synthesis import PAPER
from simulator.studies.collapse.verified_synthesis._eigenvalue_task import TaskParams, run_task
from simulator.study import Figure, Study, simulation_only


@parameters
class Params(TaskParams):
    noise_std_score: float = traced(
        0.1, "η", "standard deviation of the verifier's score", at_least=0
    )


def simulate_direct(key, params):
    """The best-scored candidate is the label."""

    def verifier(key, errors):
        scores = params.noise_std_score * jax.random.normal(key, errors.shape, float) - errors
        return jnp.argmax(scores, axis=1), jnp.ones(len(errors), bool)

    outputs = run_task(key, params, verifier)
    del outputs["keep_rate"]  # all of them
    return outputs


figures = {
    "scores": Figure(
        title="The less noise in the verifier's score, the nearer to clean labels",
        x="noise_std_score", replicates=10, yscale="linear",
        y=("test_accuracy", "test_accuracy_clean", "generator_accuracy"),
        grid={"noise_std_score": [0.01, 0.03, 0.1, 0.3, 1.0]},
        params={"num_samples": 800, "num_samples_synthetic": 4000, "num_samples_test": 4000,
                "width": 300},
        caption="Eigenvalues of 3x3 matrices, 300 random features, best of 16 candidates.",
    ),
}  # fmt: skip

check_cells = (
    {"num_samples": 60, "num_samples_synthetic": 200, "num_samples_test": 100, "width": 24,
     "ridge": 1e-3, "num_candidates": 3, "error_tolerance": 0.4},
)  # fmt: skip

STUDY = Study(
    name="verified-synthesis.eigenvalues-best-of-k",
    title="predicting eigenvalues from the best-scored of K candidates",
    paper=PAPER, params=Params,
    outputs=simulation_only(
        generator_accuracy="share of test inputs that the generator predicts correctly",
        kept_label_accuracy="share of correct labels among the kept",
        test_accuracy="accuracy of the model trained on the kept labels",
        test_accuracy_clean="accuracy of the same model trained on clean labels",
    ),
    simulate_direct=simulate_direct, figures=figures, check_cells=check_cells,
)  # fmt: skip
