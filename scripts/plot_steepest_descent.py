"""Margins that steepest descent maximises, along training and in high dimension.

python scripts/plot_steepest_descent.py            # five minutes on two cores
python scripts/plot_steepest_descent.py --full     # longer runs, smaller error bars
"""

import numpy as np

import simulator
from simulator import pictures

STUDY = "steepest-descent-margin"
NORMS = ("l1", "l2", "l∞")
RUNS = 16  # of each trajectory
OPTIMIZERS = ("coordinate_descent", "gradient_descent", "sign_descent")


def records(num_steps):
    """Positions of some twenty records, evenly spaced in the logarithm, and their steps."""
    count = num_steps // 50
    kept = np.unique(np.rint(np.geomspace(1, count, 21)).astype(int)) - 1
    return kept, 50 * (kept + 1)


def training(size, replicates):
    """Each margin along the three optimisers, over the largest one (networks: no exact value)."""
    figure, panels = pictures.panels(3, 3, title="Margins along training")
    colours = pictures.colours(OPTIMIZERS)
    num_steps = 10000 * size
    kept, steps = records(num_steps)
    for row, model in enumerate(("linear", "diagonal", "two-layer")):
        if model == "two-layer":  # every optimiser draws its own data: compare means
            setting = {"dim": 5, "num_samples": 20, "width": 20, "num_samples_test": 100}
            name, bound = f"{STUDY}.two-layer", np.ones(3)
        else:
            setting = {"model": model, "init_scale": 0.1}
            name = f"{STUDY}.trajectory"
            bound = simulator.predict(name, model=model, num_steps=50)["margin"][0]
        for order, (optimizer, colour) in enumerate(zip(OPTIMIZERS, colours, strict=True)):
            found = simulator.simulate(
                name, replicates=RUNS, optimizer=optimizer, num_steps=num_steps, **setting
            )
            for column in range(3):
                share, error = (part["margin"][kept, column] / bound[column]
                                for part in (found.mean, found.standard_error))  # fmt: skip
                label = pictures.readable(optimizer)
                axes = panels[3 * row + column]
                pictures.simulation_points(axes, steps, share, error, colour, label, order=order)
        for column, norm in enumerate(NORMS):
            axes = panels[3 * row + column]
            axes.set(xscale="log", title=f"{norm} margin, {model}")
            if row < 2:
                axes.axhline(1, color=pictures.KEY, linewidth=1.2, label="theory: largest margin")
            axes.set_ylim(0, 1.1 if row < 2 else None)
        panels[3 * row].set_ylabel("margin / largest" if row < 2 else "margin")
    for axes in panels[6:]:
        axes.set_xlabel("step")
    caption = f"Means of {RUNS} runs: starts on one data set; two-layer: data sets, too."
    pictures.kinds_legend(figure, theory=False, caption=caption)
    return figure


def stationarity(size, replicates):
    """Margin, smoothed margin and distance to a KKT point, each optimiser in its own norm."""
    figure, panels = pictures.panels(3, 2, title="Linear model, each optimiser in its own norm")
    num_steps = 10000 * size
    kept, steps = records(num_steps)
    colours = pictures.colours(("margin", "smoothed_margin"))
    for column, optimizer in enumerate(OPTIMIZERS):
        found = simulator.simulate(
            f"{STUDY}.trajectory", replicates=1, optimizer=optimizer, num_steps=num_steps
        )
        bound = simulator.predict(f"{STUDY}.trajectory", num_steps=50)["margin"][0, column]
        top, bottom = panels[column], panels[3 + column]
        for order, output in enumerate(("margin", "smoothed_margin")):
            along = found.mean[output][kept, column]
            label = pictures.readable(output)
            pictures.simulation_points(
                top, steps, along, np.zeros_like(along), colours[order], label, order=order
            )
        separated = 50 * (1 + np.argmax(found.mean["log_loss"] < 0))
        top.axvline(
            separated, color=pictures.KEY, linestyle=":", linewidth=1.2, label="loss falls below 1"
        )
        top.axhline(bound, color=pictures.KEY, linewidth=1.2, label="theory: largest margin")
        top.set(xscale="log", title=pictures.readable(optimizer), ylim=(0, 1.1 * bound))
        # Coordinate descent switches between coordinates: stationary along a subsequence.
        nearest = np.minimum.accumulate(found.mean["bregman"][:, column])
        pictures.simulation_points(
            bottom, steps, nearest[kept], np.zeros(len(kept)), pictures.OKABE_ITO[2],
            "smallest Bregman gap so far", order=2,
        )  # fmt: skip
        bottom.set(xscale="log", yscale="log", xlabel="step")
    panels[0].set_ylabel("margin")
    panels[3].set_ylabel("Bregman gap")
    pictures.kinds_legend(
        figure, theory=False, simulated=False, caption="Points: one run each, from a small start."
    )
    return figure


def adam(size, replicates):
    """Adam turns from the l-infinity to the l2 geometry with its stability constant."""
    figure, (axes,) = pictures.panels(1, title="Adam: from l∞ to l2 by its stability constant")
    constants, num_steps = np.geomspace(1e-4, 10, 16), 20000 * size
    found = simulator.simulate(
        f"{STUDY}.adam", replicates=1, stability_constant=constants, num_steps=num_steps
    )
    for i, (norm, colour) in enumerate(zip(NORMS, pictures.colours(NORMS), strict=True)):
        share = found.mean["margin_fraction"][:, i]
        pictures.simulation_points(
            axes, constants, share, np.zeros_like(share), colour, f"{norm} margin", order=i
        )
    axes.axhline(1, color=pictures.KEY, linewidth=1.2, label="theory: largest margin")
    axes.set(xscale="log", xlabel="stability constant δ", ylabel="margin / largest")
    caption = f"Points: one deterministic run each, after {num_steps} steps."
    pictures.kinds_legend(figure, theory=False, simulated=False, caption=caption)
    return figure


def two_points(size, replicates):
    """The largest ReLU margin of two points and what gradient descent finds."""
    figure, (axes,) = pictures.panels(1, title="Two points, two-layer ReLU network")
    pictures.against(
        axes,
        f"{STUDY}.two-points",
        x={"angle_degrees": [1.0, 15.0, 45.0, 75.0, 90.0, 105.0, 120.0, 135.0, 165.0, 179.0]},
        y="relu_margin_l2",
        series={"same labels": {"second_label": 1}, "opposite labels": {"second_label": -1}},
        xscale="linear",
        yscale="linear",
        replicates=4,
        num_steps=10000 * size,
    )
    axes.set(xlabel="angle between the points (degrees)", ylabel="l2 margin")
    axes.set_xticks(range(0, 181, 30))
    pictures.kinds_legend(figure)
    return figure


def samples(size, replicates):
    """Largest margins of Gaussian data, and how well their directions generalise."""
    figure, panels = pictures.panels(3, title="Gaussian data in the proportional limit")
    ratios = {"teacher": [0.1, 0.25, 0.75, 2.0], "random": [0.1, 0.25, 0.75, 1.5]}
    for axes, rule in zip(panels, ratios, strict=False):
        outputs = {"margin": axes}
        if rule == "teacher":
            outputs["generalization_error"] = panels[2]
        for order, norm in enumerate(NORMS):
            pictures.against(
                list(outputs.values()),
                STUDY,
                x={"sample_ratio": ratios[rule]},
                y=list(outputs),
                at={"geometry": order},
                series={norm: {"label_rule": rule}},
                first=order,
                replicates=replicates,
                dim=64 * size,
            )
        axes.set_title(f"{rule} labels")
    for axes in panels:
        axes.set_xlabel("samples per dimension α")
    panels[2].set_yscale("linear")
    panels[2].set_title("teacher labels")
    pictures.few_log_ticks(panels[0].yaxis)
    for axes in panels:
        pictures.few_log_ticks(axes.xaxis)
    pictures.kinds_legend(figure, caption=f"Theory: d → ∞; simulation: d = {64 * size}.")
    return figure


PICTURES = {
    "steepest-descent-training": (training, "margins along training"),
    "steepest-descent-stationarity": (stationarity, "margin, smoothed margin and KKT gap"),
    "steepest-descent-adam": (adam, "the geometry that Adam follows"),
    "steepest-descent-two-points": (two_points, "an exactly solvable network"),
    "steepest-descent-samples": (samples, "margins of Gaussian data"),
}

if __name__ == "__main__":
    pictures.script(__doc__, PICTURES, quick=(1, 60), full=(3, 400))
