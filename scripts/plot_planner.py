"""A scaling law with honest intervals: on a table of runs, and on tables whose truth is known.

python scripts/plot_planner.py                  # public runs, if ../shared/data has them
python scripts/plot_planner.py --full           # coverage over 1,000 tables instead of 100
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

import simulator
from simulator import pictures
from simulator.planner import optima

PUBLIC = Path(__file__).parents[2] / "shared" / "data" / "chinchilla_points.csv"
TRUTH = {"E": 1.83, "A": 498.0, "B": 2555.0, "alpha": 0.35, "beta": 0.3755}
BUDGET = 5.88e23


def simulated(seed, budgets=5, sizes=6, low=1e18, high=1e20):
    """Runs of a known law, with 0.7 % of noise."""
    flop = np.repeat(np.geomspace(low, high, budgets), sizes)
    params = np.sqrt(flop / (6 * np.tile(np.geomspace(4, 90, sizes), budgets)))
    tokens = flop / (6 * params)
    loss = (
        TRUTH["E"] + TRUTH["A"] * params ** -TRUTH["alpha"] + TRUTH["B"] * tokens ** -TRUTH["beta"]
    )
    noise = 0.007 * np.random.default_rng(seed).standard_normal(len(loss))
    return {"params": params, "tokens": tokens, "loss": loss * np.exp(noise)}


def runs():
    """The published points without the five largest losses; simulated ones where they are not."""
    if not PUBLIC.exists():
        print(f"the published runs are not at {PUBLIC}: simulated ones are drawn instead")
        return simulated(0, 8, 12, 1e19, 1e22), "simulated runs"
    import pandas as pd

    return pd.read_csv(PUBLIC).sort_values("loss").iloc[:240], "240 published runs"


def extrapolation(_):
    """Loss and allocation, with what the runs allow."""
    table, words = runs()
    fit = simulator.fit(table)
    figure, (left, right) = pictures.panels(2, title=f"{words}: what may one plan from them?")
    columns = fit.table.columns
    flop = np.geomspace(columns["flop"].min(), 1e25, 61)
    blue, orange = pictures.OKABE_ITO[:2]
    left.plot(columns["flop"], columns["loss"], "o", color=blue, markersize=3, label="runs")
    ratio = columns["tokens"] / columns["params"]
    right.plot(columns["flop"], ratio, "o", color=blue, markersize=3)
    for axes, quantity in ((left, optima.optimal_loss), (right, optima.log_ratio)):
        log = axes is left

        def value(theta, quantity=quantity, log=log):
            found = quantity(fit, theta, flop)
            return found if log else jnp.exp(found)

        values = fit.values_of(value)
        low, high = zip(*(v.interval for v in values), strict=True)
        axes.fill_between(flop, low, high, color=orange, alpha=0.3, label="95 % interval")
        pictures.theory_line(axes, flop, [float(v) for v in values], orange, "compute-optimal")
        axes.set(xscale="log", yscale="log", xlabel="FLOP")
    left.set(ylabel="loss", ylim=(1.9, 3.5))
    left.set_yticks([2, 2.5, 3, 3.5], ["2", "2.5", "3", "3.5"])
    left.minorticks_off()
    right.set(ylabel="tokens per parameter", ylim=(2, 500))
    handles, labels = left.get_legend_handles_labels()
    pictures.below(figure, dict(zip(labels, handles, strict=True)))
    print(fit.plan(flop=BUDGET).lines[0])
    return figure


def coverage(tables):
    """Share of simulated tables whose 95 % interval holds the truth, also printed as a table."""
    truth = simulator.fit(simulated(0) | {"loss": _exact()}, holdout="none")
    budget = 1e21
    names = ("alpha", "beta", "E", "loss at 1e21", "D/N at 1e21")
    exact = [truth.constants[n] for n in names[:3]]
    plan = truth.plan(flop=budget)
    exact += [float(plan.loss), float(plan["D/N"])]
    levels, inside = (0.8, 0.9, 0.95), np.zeros((3, len(names)))
    for seed in range(tables):
        fit = simulator.fit(simulated(seed), holdout="none")
        for row, level in enumerate(levels):
            for column, (name, value) in enumerate(zip(names, exact, strict=True)):
                low, high = fit.interval(name, level)
                inside[row, column] += (low <= value <= high) / tables
    print("nominal  " + "  ".join(f"{name:>12}" for name in names))
    for level, row in zip(levels, inside, strict=True):
        print(f"{level:>7}  " + "  ".join(f"{share:>12.3f}" for share in row))
    figure, (axes,) = pictures.panels(
        1, title=f"Coverage over {tables} simulated tables of 30 runs"
    )
    axes.plot((0.75, 1), (0.75, 1), color=pictures.KEY, linewidth=1)
    for order, (name, shares) in enumerate(zip(names, inside.T, strict=True)):
        error = np.sqrt(shares * (1 - shares) / tables)
        pictures.simulation_points(
            axes, np.array(levels) + 0.004 * (order - 2), shares, error / 2,
            pictures.OKABE_ITO[order], name, order=order,
        )  # fmt: skip
    axes.set(xlabel="nominal", ylabel="measured", xlim=(0.77, 0.98), ylim=(0.7, 1.0))
    handles, labels = axes.get_legend_handles_labels()
    pictures.below(figure, dict(zip(labels, handles, strict=True)))
    return figure


def _exact():
    table = simulated(0)
    n, d = table["params"], table["tokens"]
    return TRUTH["E"] + TRUTH["A"] * n ** -TRUTH["alpha"] + TRUTH["B"] * d ** -TRUTH["beta"]


PICTURES = {
    # The README's picture is of the published runs: simulated ones do not replace it.
    "planner" if PUBLIC.exists() else "planner-simulated": (
        extrapolation,
        "loss and allocation of a table of runs, with intervals",
    ),
    "planner-coverage": (coverage, "how often intervals hold the truth"),
}

if __name__ == "__main__":
    pictures.script(__doc__, PICTURES, quick=(100,), full=(1000,))
