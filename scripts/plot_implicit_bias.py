"""The price of implicit bias under attack: theory as lines, simulation as points.

python scripts/plot_implicit_bias.py            # a few minutes on two cores
python scripts/plot_implicit_bias.py --full     # larger problems, smaller error bars
"""

import argparse
import os
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # many small matrices: BLAS threads only collide

import numpy as np

import simulator
from simulator.pictures import style as plot

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
    figure, panels = plot.panels(
        2, title="Price of gradient descent's implicit bias", legend_beside=True
    )
    dense, fractions = np.linspace(0, 0.97, 40), np.array([0.0, 0.2, 0.4, 0.6, 0.8])
    for axes, ratio in zip(panels, SAMPLES, strict=True):
        for (label, teacher), colour in zip(
            TEACHERS.items(), plot.colours(list(TEACHERS)), strict=True
        ):
            setting = {"sample_ratio": ratio, **teacher}
            theory = simulator.predict(STUDY, attack_radius_fraction=dense, **setting)
            plot.theory_line(axes, dense, theory["price"], colour, label)
            found = simulator.simulate(
                STUDY, replicates=replicates, dim=dim, attack_radius_fraction=fractions, **setting
            )
            plot.simulation_points(
                axes, fractions, found.mean["price"], found.standard_error["price"], colour
            )
        axes.axhline(0, color="#999999", linewidth=0.8)
        axes.set(xlabel="attack radius / largest", ylabel="price", title=SAMPLES[ratio])
    plot.kinds_legend(panels[-1], beside=True)
    return figure


def samples(dim, replicates):
    """Robust error (= robust generalisation gap) against the number of samples."""
    fractions = (0.0, 0.25, 0.5)
    figure, panels = plot.panels(
        3, 2, title="Robust error of the two implicit biases", legend_beside=True
    )
    dense, ratios = np.geomspace(0.125, 2, 30), [0.125, 0.25, 0.5, 1.0, 2.0]
    for row, (name, teacher) in enumerate(list(TEACHERS.items())[::2]):
        for axes, fraction in zip(panels[3 * row :], fractions, strict=False):
            setting = {"attack_radius_fraction": fraction, **teacher}
            theory = simulator.predict(STUDY, sample_ratio=dense, **setting)["adversarial_error"]
            found = simulator.sweep(
                STUDY, {"sample_ratio": ratios}, replicates=replicates, dim=dim, **setting
            )
            mean, error = (found[part]["adversarial_error"].values
                           for part in ("mean", "standard_error"))  # fmt: skip
            for i, colour in enumerate(plot.colours(GEOMETRIES)):
                plot.theory_line(axes, dense, theory[:, i], colour, GEOMETRIES[i])
                plot.simulation_points(axes, ratios, mean[:, i], error[:, i], colour)
            axes.set(xscale="log", xlabel="samples per dimension α", ylabel="robust error",
                     title=f"{name}, f = {fraction:g}")  # fmt: skip
            plot.few_log_ticks(axes.xaxis)
    plot.kinds_legend(panels[2], beside=True)
    figure.set_size_inches(12.0, 5.4)
    return figure


def sparse(dim, replicates):
    """Sparse inputs: gradient descent's advantage goes as the radius grows (no theory)."""
    figure, panels = plot.panels(
        2, title="Inputs with 4 non-zero entries (simulation ± 2 s.e.)", legend_beside=True
    )
    fractions = np.array([0.0, 0.25, 0.5, 0.75])
    for axes, ratio in zip(panels, SAMPLES, strict=True):
        found = simulator.simulate(
            "implicit-bias.sparse-inputs", replicates=max(replicates // 4, 4), dim=2 * dim,
            sample_ratio=ratio, attack_radius_fraction=fractions, num_samples_test=4000,
        )  # fmt: skip
        for i, colour in enumerate(plot.colours(GEOMETRIES)):
            mean, error = (part["adversarial_error"][:, i]
                           for part in (found.mean, found.standard_error))  # fmt: skip
            plot.simulation_points(axes, fractions, mean, error, colour, GEOMETRIES[i])
        axes.set(xlabel="attack radius / largest", ylabel="robust error", title=SAMPLES[ratio])
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def training(dim, replicates):
    """Robust margin of each optimiser in its own norm, as a share of the largest."""
    figure, panels = plot.panels(2, title="Robust margins along training", legend_beside=True)
    optimizers = ("gradient_descent", "sign_descent", "diagonal_network", "coordinate_descent")
    for axes, fraction in zip(panels, (0.0, 0.5), strict=True):
        for optimizer, colour in zip(optimizers, plot.colours(optimizers), strict=True):
            found = simulator.simulate(
                "implicit-bias.trajectory", replicates=max(replicates // 20, 3), dim=dim,
                optimizer=optimizer, attack_radius_fraction=fraction, num_steps=20000,
            )  # fmt: skip
            steps = 50 * np.arange(1, 401)
            mean = found.mean["robust_margin_fraction"]
            axes.plot(steps, mean, color=colour, label=plot.readable(optimizer))
        axes.axhline(1, color="#444444", linestyle=":", linewidth=1.2)
        axes.set(xscale="log", xlabel="step", ylabel="robust margin / largest", ylim=(-0.2, 1.05),
                 title=f"f = {fraction:g}")  # fmt: skip
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


PICTURES = {
    "implicit-bias-price": (price, "the price against the attack radius"),
    "implicit-bias-samples": (samples, "robust errors against the number of samples"),
    "implicit-bias-sparse": (sparse, "sparse inputs"),
    "implicit-bias-training": (training, "robust margins along training"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="publication quality")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the PNGs")
    parser.add_argument("--only", choices=sorted(PICTURES), help="draw one picture")
    options = parser.parse_args()
    dim, replicates = (256, 400) if options.full else (64, 60)
    for name, (draw, meaning) in PICTURES.items():
        if options.only in (None, name):
            with plot.house_style():
                path = plot.save(draw(dim, replicates), options.out / f"{name}.png")
            print(f"{path}: {meaning}", flush=True)


if __name__ == "__main__":
    main()
