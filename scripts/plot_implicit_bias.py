"""The price of implicit bias under attack: theory as lines, simulation as points.

python scripts/plot_implicit_bias.py            # a few minutes on two cores
python scripts/plot_implicit_bias.py --full     # larger problems, smaller error bars
"""

import numpy as np

import simulator
from simulator import pictures

STUDY = "implicit-bias"
GEOMETRIES = ("coordinate descent (l1)", "gradient descent (l2)")
SAMPLES = {0.5: "n = d/2", 1.0: "n = d"}
TEACHERS = {
    "dense teacher": {"teacher": "gaussian", "teacher_density": 1.0},
    "k = 1/4": {"teacher": "signs", "teacher_density": 0.25},
    "k = 1/16": {"teacher": "signs", "teacher_density": 0.0625},
}


def price(dim, replicates):
    """Robust error of the l2 solution minus that of the l1 solution, against the radius."""
    figure, panels = pictures.panels(2, title="Price of gradient descent's implicit bias")
    for axes, ratio in zip(panels, SAMPLES, strict=True):
        pictures.against(
            axes,
            STUDY,
            x={"attack_radius_fraction": [0.0, 0.2, 0.4, 0.6, 0.8]},
            y="price",
            series=TEACHERS,
            xscale="linear",
            yscale="linear",
            replicates=replicates,
            dim=dim,
            sample_ratio=ratio,
        )
        axes.axhline(0, color=pictures.KEY, linewidth=0.8)
        axes.set(xlabel="attack radius / largest", title=SAMPLES[ratio])
    pictures.kinds_legend(figure, caption=f"Theory: d → ∞; simulation: d = {dim}.")
    return figure


def samples(dim, replicates):
    """Robust error (= robust generalisation gap) against the number of samples."""
    fractions = (0.0, 0.25, 0.5)
    figure, panels = pictures.panels(3, 2, title="Robust error of the two implicit biases")
    for row, (name, teacher) in enumerate(list(TEACHERS.items())[::2]):
        for axes, fraction in zip(panels[3 * row :], fractions, strict=False):
            for order, geometry in enumerate(GEOMETRIES):
                pictures.against(
                    axes,
                    STUDY,
                    x={"sample_ratio": [0.125, 0.25, 0.5, 1.0, 2.0]},
                    y="adversarial_error",
                    at={"geometry": order},
                    series={geometry: teacher},
                    first=order,
                    yscale="linear",
                    replicates=replicates,
                    dim=dim,
                    attack_radius_fraction=fraction,
                )
            axes.set(
                xlabel="samples per dimension α",
                ylabel="robust error",
                title=f"{name}, f = {fraction:g}",
            )
            pictures.few_log_ticks(axes.xaxis)
    pictures.kinds_legend(figure, caption=f"Theory: d → ∞; simulation: d = {dim}.")
    return figure


def sparse(dim, replicates):
    """Sparse inputs: gradient descent's advantage goes as the radius grows (no theory)."""
    figure, panels = pictures.panels(2, title="Inputs with 4 non-zero entries")
    fractions = np.array([0.0, 0.25, 0.5, 0.75])
    for axes, ratio in zip(panels, SAMPLES, strict=True):
        found = simulator.simulate(
            "implicit-bias.sparse-inputs", replicates=max(replicates // 4, 4), dim=2 * dim,
            sample_ratio=ratio, attack_radius_fraction=fractions, num_samples_test=4000,
        )  # fmt: skip
        for i, colour in enumerate(pictures.colours(GEOMETRIES)):
            mean, error = (part["adversarial_error"][:, i]
                           for part in (found.mean, found.standard_error))  # fmt: skip
            pictures.simulation_points(axes, fractions, mean, error, colour, GEOMETRIES[i], order=i)
        axes.set(xlabel="attack radius / largest", ylabel="robust error", title=SAMPLES[ratio])
    pictures.kinds_legend(figure, theory=False)
    return figure


def training(dim, replicates):
    """Robust margin of each optimiser in its own norm, as a share of the largest."""
    figure, panels = pictures.panels(2, title="Robust margins along training")
    optimizers = ("gradient_descent", "sign_descent", "diagonal_network", "coordinate_descent")
    for axes, fraction in zip(panels, (0.0, 0.5), strict=True):
        for order, optimizer in enumerate(optimizers):
            colour = pictures.colours(optimizers)[order]
            found = simulator.simulate(
                "implicit-bias.trajectory", replicates=max(replicates // 20, 3), dim=dim,
                optimizer=optimizer, attack_radius_fraction=fraction, num_steps=20000,
            )  # fmt: skip
            steps = 50 * np.arange(1, 401)
            kept = np.unique(np.rint(np.geomspace(1, 400, 21)).astype(int)) - 1
            mean, error = (part["robust_margin_fraction"][kept]
                           for part in (found.mean, found.standard_error))  # fmt: skip
            label = pictures.readable(optimizer)
            pictures.simulation_points(axes, steps[kept], mean, error, colour, label, order=order)
        axes.axhline(1, color=pictures.KEY, linewidth=1.2, label="theory: largest margin")
        axes.set(xscale="log", xlabel="step", ylabel="robust margin / largest", ylim=(-0.2, 1.1),
                 title=f"attack radius / largest = {fraction:g}")  # fmt: skip
    pictures.kinds_legend(figure, theory=False)
    return figure


PICTURES = {
    "implicit-bias-price": (price, "the price against the attack radius"),
    "implicit-bias-samples": (samples, "robust errors against the number of samples"),
    "implicit-bias-sparse": (sparse, "sparse inputs"),
    "implicit-bias-training": (training, "robust margins along training"),
}

if __name__ == "__main__":
    pictures.script(__doc__, PICTURES, quick=(64, 60), full=(256, 400))
