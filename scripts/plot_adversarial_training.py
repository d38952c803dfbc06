"""Pictures of adversarial training in high dimension: theory as lines, simulation as points.

python scripts/plot_adversarial_training.py
python scripts/plot_adversarial_training.py --full     # larger problems, smaller error bars
"""

import argparse
import os
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # many small matrices: BLAS threads only collide

import numpy as np

import simulator
from simulator.pictures import style as plot
from simulator.studies.robustness.adversarial_training._any_order import ANY_ORDER

STUDY = "adversarial-training"
OUTPUTS = ("generalization_error", "adversarial_error", "boundary_error")


def curves(panels, outputs, colour, label, ratios, dim, replicates, **params):
    """Several errors against the sample ratio, one panel each."""
    dense = np.geomspace(ratios[0], ratios[-1], 41)
    theory = simulator.predict(STUDY, sample_ratio=dense, **params)
    points = simulator.sweep(
        STUDY, {"sample_ratio": list(ratios)}, replicates=replicates, dim=dim,
        method="conditional", **params,
    )  # fmt: skip
    for axes, output in zip(panels, outputs, strict=True):
        plot.theory_line(axes, dense, theory[output], colour, label)
        mean, error = points["mean"][output], points["standard_error"][output]
        plot.simulation_points(axes, ratios, mean.values, error.values, colour)
        axes.set(xscale="log", xlabel="samples per dimension α", ylabel=plot.readable(output))
        plot.few_log_ticks(axes.xaxis)


def penalties(dim, replicates):
    """Sparse penalties win with few samples, the l2 penalty with many."""
    figure, panels = plot.panels(3, title="l∞ attack, radius 0.3: which penalty?")
    ratios = np.array([0.2, 0.5, 1.0, 2.0, 5.0])
    orders = [1.0, 2.0, 3.0]
    for order, colour in zip(orders, plot.colours([f"{r:g}" for r in orders]), strict=True):
        curves(panels, OUTPUTS, colour, f"r = {order:g}", ratios, dim, replicates,
               penalty_order=order, regularization=0.01)  # fmt: skip
    plot.kinds_legend(panels[0])
    return figure


def radii(dim, replicates):
    """Robust error for several radii and strengths of the l2 penalty."""
    strengths = [0.01, 0.1]
    figure, panels = plot.panels(len(strengths), title="l∞ attack, l2 penalty")
    ratios = np.array([0.2, 0.5, 1.0, 2.0, 5.0])
    values = [0.1, 0.2, 0.3]
    for axes, strength in zip(panels, strengths, strict=True):
        for radius, colour in zip(values, plot.colours(values), strict=True):
            curves([axes], ["adversarial_error"], colour, f"ε = {radius:g}", ratios, dim,
                   replicates, regularization=strength, attack_radius_train=radius,
                   attack_radius_test=radius)  # fmt: skip
        axes.set_title(f"λ = {strength:g}", fontsize=10)
    plot.kinds_legend(panels[0])
    return figure


def best_penalty(dim, replicates):
    """The best order of the penalty falls from about 2 to 1 as the attack grows (theory only).

    Dotted where the search ends on its bounds, r >= 1.02 and lambda <= 10.
    """
    figure, panels = plot.panels(2, title="Best penalty λ Σ|w|ʳ against an l∞ attack")
    ratios = [0.3, 1.0]
    radius = np.linspace(0.02, 0.6, 25)
    for ratio, colour in zip(ratios, plot.colours([f"{a:g}" for a in ratios]), strict=True):
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
            plot.theory_line(axes, radius, inside, colour, f"α = {ratio:g}")
            plot.theory_line(axes, radius, value, colour, linestyle=":")
    panels[0].set(xlabel="attack radius ε", ylabel="best order r")
    panels[1].set(xlabel="attack radius ε", ylabel="adversarial error at the best r, λ")
    panels[0].legend()
    return figure


PICTURES = {
    "adversarial_penalties": (penalties, "errors against sample ratio for r = 1, 2, 3"),
    "adversarial_radii": (radii, "robust error for several radii and regularisations"),
    "adversarial_best_penalty": (best_penalty, "optimal regularisation norm against radius"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="publication quality")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the PNGs")
    parser.add_argument("--only", choices=sorted(PICTURES), help="draw one picture")
    options = parser.parse_args()
    dim, replicates = (500, 40) if options.full else (100, 20)
    for name, (draw, meaning) in PICTURES.items():
        if options.only in (None, name):
            with plot.house_style():
                path = plot.save(draw(dim, replicates), options.out / f"{name}.png")
            print(f"{path}: {meaning}", flush=True)


if __name__ == "__main__":
    main()
