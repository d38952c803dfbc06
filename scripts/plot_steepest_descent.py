"""Margins that steepest descent maximises, along training and in high dimension.

python scripts/plot_steepest_descent.py            # five minutes on two cores
python scripts/plot_steepest_descent.py --full     # longer runs, smaller error bars
"""

import argparse
import os
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # many small matrices: BLAS threads only collide

import numpy as np

import simulator
from simulator.pictures import style as plot

STUDY = "steepest-descent-margin"
NORMS = ("l1", "l2", "l∞")
OPTIMIZERS = ("coordinate_descent", "gradient_descent", "sign_descent")


def records(num_steps):
    """Positions of some sixty records, evenly spaced in the logarithm, and their steps."""
    count = num_steps // 50
    kept = np.unique(np.rint(np.geomspace(1, count, 60)).astype(int)) - 1
    return kept, 50 * (kept + 1)


def training(size, replicates):
    """Each margin along the three optimisers, over the largest one (networks: no exact value)."""
    figure, panels = plot.panels(3, 3, title="Margins along training", legend_beside=True)
    figure.set_size_inches(11.5, 7.8)
    colours = plot.colours(OPTIMIZERS)
    num_steps = 10000 * size
    kept, steps = records(num_steps)
    for row, model in enumerate(("linear", "diagonal", "two-layer")):
        if model == "two-layer":  # every optimiser draws its own data: compare means
            setting = {"dim": 5, "num_samples": 20, "width": 20, "num_samples_test": 100}
            name, runs, bound = f"{STUDY}.two-layer", 16, np.ones(3)
        else:
            setting = {"model": model, "init_scale": 0.1}
            name, runs = f"{STUDY}.trajectory", 1
            bound = simulator.predict(name, model=model, num_steps=50)["margin"][0]
        for optimizer, colour in zip(OPTIMIZERS, colours, strict=True):
            found = simulator.simulate(
                name, replicates=runs, optimizer=optimizer, num_steps=num_steps, **setting
            )
            for column in range(3):
                share = found.mean["margin"][kept, column] / bound[column]
                label = plot.readable(optimizer)
                panels[3 * row + column].plot(steps, share, color=colour, label=label)
        for column, norm in enumerate(NORMS):
            axes = panels[3 * row + column]
            axes.set(xscale="log", title=f"{norm} margin, {model}")
            axes.set_ylim(0, 1.05 if row < 2 else None)
        panels[3 * row].set_ylabel(
            "margin / largest" if row < 2 else "margin, mean of 16 data sets"
        )
    for axes in panels[6:]:
        axes.set_xlabel("step")
    panels[2].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def stationarity(size, replicates):
    """Margin, smoothed margin and distance to a KKT point, each optimiser in its own norm."""
    figure, panels = plot.panels(
        3, 2, title="Linear model, each optimiser in its own norm", legend_beside=True
    )
    num_steps = 10000 * size
    kept, steps = records(num_steps)
    colours = plot.colours(("margin", "smoothed_margin"))
    for column, optimizer in enumerate(OPTIMIZERS):
        found = simulator.simulate(
            f"{STUDY}.trajectory", replicates=1, optimizer=optimizer, num_steps=num_steps
        )
        bound = simulator.predict(f"{STUDY}.trajectory", num_steps=50)["margin"][0, column]
        top, bottom = panels[column], panels[3 + column]
        for output, colour in zip(("margin", "smoothed_margin"), colours, strict=True):
            label = plot.readable(output)
            top.plot(steps, found.mean[output][kept, column], color=colour, label=label)
        separated = 50 * (1 + np.argmax(found.mean["log_loss"] < 0))
        top.axvline(separated, color="#999999", linewidth=1, label="loss below 1")
        top.axhline(bound, color="#444444", linestyle=":", linewidth=1.2, label="largest margin")
        top.set(xscale="log", title=plot.readable(optimizer), ylim=(0, 1.1 * bound))
        # Coordinate descent switches between coordinates: stationary along a subsequence.
        nearest = np.minimum.accumulate(found.mean["bregman"][:, column])
        bottom.plot(steps, nearest[kept], color="#444444")
        bottom.set(xscale="log", yscale="log", xlabel="step")
    panels[0].set_ylabel("margin")
    panels[3].set_ylabel("smallest Bregman gap 1 - β so far")
    panels[2].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def adam(size, replicates):
    """Adam turns from the l-infinity to the l2 geometry with its stability constant."""
    figure, (axes,) = plot.panels(
        1, title="Adam turns from l∞ to l2 as its stability constant grows", legend_beside=True
    )
    constants = np.geomspace(1e-4, 10, 16)
    found = simulator.simulate(
        f"{STUDY}.adam", replicates=1, stability_constant=constants, num_steps=20000 * size
    )
    for i, (norm, colour) in enumerate(zip(NORMS, plot.colours(NORMS), strict=True)):
        axes.plot(constants, found.mean["margin_fraction"][:, i], "o-", color=colour, label=norm)
    axes.axhline(1, color="#444444", linestyle=":", linewidth=1.2)
    axes.set(xscale="log", xlabel="stability constant δ", ylabel="margin / largest")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def two_points(size, replicates):
    """The largest ReLU margin of two points and what gradient descent finds."""
    figure, (axes,) = plot.panels(1, title="Two points, two-layer ReLU network", legend_beside=True)
    dense, angles = np.linspace(1, 179, 179), np.array([15.0, 45, 75, 90, 105, 120, 135, 165])
    colours = plot.colours(["same", "opposite"])
    for label, sign, colour in zip(("same labels", "opposite"), (1, -1), colours, strict=True):
        theory = simulator.predict(f"{STUDY}.two-points", angle_degrees=dense, second_label=sign)
        plot.theory_line(axes, dense, theory["relu_margin_l2"], colour, label)
        found = simulator.simulate(
            f"{STUDY}.two-points", replicates=4, angle_degrees=angles, second_label=sign,
            num_steps=10000 * size,
        )  # fmt: skip
        mean, error = (part["relu_margin_l2"] for part in (found.mean, found.standard_error))
        plot.simulation_points(axes, angles, mean, error, colour)
    axes.set(xlabel="angle (degrees)", ylabel="l2 margin")
    plot.kinds_legend(axes, beside=True)
    return figure


def samples(size, replicates):
    """Largest margins of Gaussian data, and how well their directions generalise."""
    figure, panels = plot.panels(
        3, title="Gaussian data in the proportional limit", legend_beside=True
    )
    ratios = {"teacher": [0.25, 0.75, 2.0], "random": [0.25, 0.75, 1.5]}
    for axes, rule in zip(panels, ratios, strict=False):
        dense = np.geomspace(0.1, ratios[rule][-1] * (1.1 if rule == "teacher" else 1.3), 200)
        theory = simulator.predict(STUDY, sample_ratio=dense, label_rule=rule)
        found = simulator.sweep(
            STUDY, {"sample_ratio": ratios[rule]}, replicates=replicates, dim=64 * size,
            label_rule=rule,
        )  # fmt: skip
        outputs = {"margin": axes}
        if rule == "teacher":
            outputs["generalization_error"] = panels[2]
        for output, target in outputs.items():
            for i, (norm, colour) in enumerate(zip(NORMS, plot.colours(NORMS), strict=True)):
                plot.theory_line(target, dense, theory[output][:, i], colour, norm)
                mean, error = (found[part][output].values[:, i]
                               for part in ("mean", "standard_error"))  # fmt: skip
                plot.simulation_points(target, ratios[rule], mean, error, colour)
            target.set(xscale="log", xlabel="samples per dimension α", ylabel=plot.readable(output))
        axes.set(yscale="log", title=f"{rule} labels")
    panels[2].set_title("teacher labels")
    plot.few_log_ticks(panels[0].yaxis)
    for axes in panels:
        plot.few_log_ticks(axes.xaxis)
    plot.kinds_legend(panels[2], beside=True)
    return figure


PICTURES = {
    "steepest-descent-training": (training, "margins along training"),
    "steepest-descent-stationarity": (stationarity, "margin, smoothed margin and KKT gap"),
    "steepest-descent-adam": (adam, "the geometry that Adam follows"),
    "steepest-descent-two-points": (two_points, "an exactly solvable network"),
    "steepest-descent-samples": (samples, "margins of Gaussian data"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="publication quality")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the PNGs")
    parser.add_argument("--only", choices=sorted(PICTURES), help="draw one picture")
    options = parser.parse_args()
    size, replicates = (3, 400) if options.full else (1, 60)
    for name, (draw, meaning) in PICTURES.items():
        if options.only in (None, name):
            with plot.house_style():
                path = plot.save(draw(size, replicates), options.out / f"{name}.png")
            print(f"{path}: {meaning}", flush=True)


if __name__ == "__main__":
    main()
