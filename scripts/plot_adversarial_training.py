"""Pictures of adversarial training in high dimension: theory as lines, simulation as points.

python scripts/plot_adversarial_training.py
python scripts/plot_adversarial_training.py --full     # larger problems, smaller error bars
"""

import numpy as np

import simulator
from simulator import pictures
from simulator.studies.robustness.adversarial_training._any_order import ANY_ORDER

STUDY = "adversarial-training"
OUTPUTS = ("generalization_error", "adversarial_error", "boundary_error")


def against_samples(panels, outputs, series, **options):
    """Errors against the sample ratio, one panel each; given the inputs where that is exact."""
    pictures.against(
        panels,
        STUDY,
        x={"sample_ratio": [0.2, 0.5, 1.0, 2.0, 5.0]},
        y=outputs,
        series=series,
        yscale="linear",
        method="conditional",
        **options,
    )
    for axes in panels:
        axes.set_xlabel("samples per dimension α")
        pictures.few_log_ticks(axes.xaxis)


def penalties(dim, replicates):
    """Sparse penalties win with few samples, the l2 penalty with many."""
    figure, panels = pictures.panels(3, title="l∞ attack, radius 0.3: which penalty?")
    against_samples(
        panels,
        OUTPUTS,
        {"penalty_order": [1.0, 2.0, 3.0]},
        dim=dim,
        replicates=replicates,
        regularization=0.01,
    )
    pictures.kinds_legend(figure, caption=f"Theory: d → ∞; simulation: d = {dim}.")
    return figure


def radii(dim, replicates):
    """Robust error for several radii and strengths of the l2 penalty."""
    strengths = [0.01, 0.1]
    figure, panels = pictures.panels(len(strengths), title="l∞ attack, l2 penalty")
    radii = {
        f"ε = {e:g}": {"attack_radius_train": e, "attack_radius_test": e} for e in (0.1, 0.2, 0.3)
    }
    for axes, strength in zip(panels, strengths, strict=True):
        against_samples(
            [axes],
            ["adversarial_error"],
            radii,
            dim=dim,
            replicates=replicates,
            regularization=strength,
        )
        axes.set_title(f"λ = {strength:g}")
    pictures.kinds_legend(figure, caption=f"Theory: d → ∞; simulation: d = {dim}.")
    return figure


def best_penalty(dim, replicates):
    """The best order of the penalty falls from about 2 to 1 as the attack grows (theory only).

    Dotted where the search ends on its bounds, r >= 1.02 and lambda <= 10.
    """
    figure, panels = pictures.panels(2, title="Best penalty λ Σ|w|ʳ against an l∞ attack")
    ratios = [0.3, 1.0]
    radius = np.linspace(0.02, 0.6, 25)
    hues = pictures.colours([f"{a:g}" for a in ratios])
    for order, (ratio, colour) in enumerate(zip(ratios, hues, strict=True)):
        found = simulator.optimise(
            ANY_ORDER,
            "adversarial_error",
            {"regularization": (1e-4, 10.0), "penalty_order": (1.02, 3.0)},
            sample_ratio=ratio,
            attack_radius_train=radius,
            attack_radius_test=radius,
        )
        free = ~found["at_boundary"].values
        values = found["penalty_order"].values, found["adversarial_error"].values
        for axes, value in zip(panels, values, strict=True):
            inside = np.where(free, value, np.nan)
            pictures.theory_line(axes, radius, inside, colour, f"α = {ratio:g}", order=order)
            pictures.theory_line(axes, radius, value, colour, linestyle=":")
    panels[0].set(xlabel="attack radius ε", ylabel="best order r")
    panels[1].set(xlabel="attack radius ε", ylabel="adversarial error at the best r, λ")
    pictures.note(panels[0], "dotted: λ or r on the bound of its range")
    pictures.kinds_legend(figure, simulated=False)
    return figure


PICTURES = {
    "adversarial-penalties": (penalties, "errors against sample ratio for r = 1, 2, 3"),
    "adversarial-radii": (radii, "robust error for several radii and regularisations"),
    "adversarial-best-penalty": (best_penalty, "optimal regularisation norm against radius"),
}

if __name__ == "__main__":
    pictures.script(__doc__, PICTURES, quick=(100, 20), full=(500, 40))
