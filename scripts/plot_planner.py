"""A scaling law with honest intervals: on a table of runs, and on tables whose truth is known.

python scripts/plot_planner.py                  # public runs, if ../shared/data has them
python scripts/plot_planner.py --full           # 1,000 tables instead of 100
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

import simulator
from simulator import pictures
from simulator.planner import optima
from simulator.planner.design import usual_plans

PUBLIC = Path(__file__).parents[2] / "shared" / "data" / "chinchilla_points.csv"
TRUTH = {"E": 1.83, "A": 498.0, "B": 2555.0, "alpha": 0.35, "beta": 0.3755}
BUDGET = 5.88e23


def losses(params, tokens):
    """The truth of simulated runs."""
    size, data = params ** -TRUTH["alpha"], tokens ** -TRUTH["beta"]
    return TRUTH["E"] + TRUTH["A"] * size + TRUTH["B"] * data


def simulated(seed, budgets=5, sizes=6, low=1e18, high=1e20, ratios=(4, 90)):
    """Runs of a known law, with 0.7 % of noise."""
    flop = np.repeat(np.geomspace(low, high, budgets), sizes)
    params = np.sqrt(flop / (6 * np.tile(np.geomspace(*ratios, sizes), budgets)))
    tokens = flop / (6 * params)
    noise = np.exp(0.007 * np.random.default_rng(seed).standard_normal(len(params)))
    return {"params": params, "tokens": tokens, "loss": losses(params, tokens) * noise}


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
    return losses(table["params"], table["tokens"])


# --------------------------------------------------------------------------------------------
# Which runs to do next
# --------------------------------------------------------------------------------------------
EXTRA, DECISION = 1e21, 1e23  # FLOP of the next runs together, and of the decision
WIDE = (1, 1000)  # tokens per parameter of the runs there are
GOALS = {
    "goal ratio, 1 run": {"goal": "ratio", "max_runs": 1},
    "goal ratio, up to 4 runs": {"goal": "ratio", "max_runs": 4},
    "goal loss, up to 4 runs": {"goal": "loss", "max_runs": 4},
}


def optimum(p, flop):
    """Parameters, tokens and loss of the optimal model of a law."""
    alpha, beta = p["alpha"], p["beta"]
    g = (alpha * p["A"] / (beta * p["B"])) ** (1 / (alpha + beta))
    params = g * (flop / 6) ** (beta / (alpha + beta))
    tokens = flop / 6 / params
    return params, tokens, p["E"] + p["A"] * params**-alpha + p["B"] * tokens**-beta


def next_runs(tables, goals=GOALS):
    """What next runs are worth: errors of the decision, and the regret, after each plan.

    Returns
    -------
    mapping plan -> array of (tables, 4)
        Errors of ln D/N and of ln L*, regret of the loss, and the predicted shrinkage of the
        interval (NaN for plans that predict none).
    """
    true_params, true_tokens, least = optimum(TRUTH, DECISION)
    found = {}
    for seed in range(tables):
        table = simulated(seed, ratios=WIDE)
        fit = simulator.fit(table, holdout="none")
        plans = {"no run": (np.array([]), np.nan)}
        plans |= {name: (ratio, np.nan) for name, ratio in usual_plans(fit, EXTRA).items()}
        for name, told in goals.items():
            runs = fit.next_runs(EXTRA, at=DECISION, **told)
            plans[name] = runs.tokens_per_param, runs.shrinkage
        for name, (ratio, predicted) in plans.items():
            after = fit if not len(ratio) else simulator.fit(_added(table, ratio, seed),
                                                             holdout="none")  # fmt: skip
            params, tokens, loss = optimum(after.constants, DECISION)
            error = np.log(tokens / params) - np.log(true_tokens / true_params)
            regret = losses(params, tokens) - least
            row = (error, np.log(loss / least), regret, predicted)
            found.setdefault(name, []).append(row)
    return {name: np.array(rows) for name, rows in found.items()}


def _added(table, ratio, seed):
    """A table with next runs, which share the extra budget; their noise is that of the table."""
    params = np.sqrt(EXTRA / len(ratio) / 6 / ratio)
    tokens = ratio * params
    noise = np.exp(0.007 * np.random.default_rng((seed, 1)).standard_normal(len(ratio)))
    new = {"params": params, "tokens": tokens, "loss": losses(params, tokens) * noise}
    return {name: np.r_[values, new[name]] for name, values in table.items()}


def designs(tables):
    """Errors of the decision after each plan, relative to no run, over a fifth of the tables."""
    found = next_runs(max(tables // 5, 1))
    none = np.sqrt(np.mean(found["no run"][:, :2] ** 2, axis=0))
    print(f"{'plan':<26}{'ln D/N':>8}{'predicted':>11}{'L*':>8}{'regret':>10}")
    shown = {}
    for name, rows in found.items():
        relative = np.sqrt(np.mean(rows[:, :2] ** 2, axis=0)) / none
        regret = rows[:, 2].mean()
        shown[name] = *relative, regret / found["no run"][:, 2].mean()
        predicted = "" if np.isnan(rows[0, 3]) else f"{np.mean(rows[:, 3]):.2f}"
        print(f"{name:<26}{relative[0]:>8.2f}{predicted:>11}{relative[1]:>8.2f}{regret:>10.2g}")
    figure, (axes,) = pictures.panels(1, title=f"What {EXTRA:g} FLOP of runs teach")
    x = np.arange(len(shown))
    for order, label in enumerate(("tokens per parameter", "optimal loss", "regret")):
        values = np.array([row[order] for row in shown.values()])
        pictures.simulation_points(axes, x, values, np.zeros(len(x)), pictures.OKABE_ITO[order],
                                   label, order=order)  # fmt: skip
    axes.set_xticks(x, list(shown), rotation=35, ha="right")
    axes.set(ylabel="error relative to no run", ylim=(0, 1.3))
    handles, labels = axes.get_legend_handles_labels()
    pictures.below(figure, dict(zip(labels, handles, strict=True)))
    return figure


PICTURES = {
    # The README's picture is of the published runs: simulated ones do not replace it.
    "planner" if PUBLIC.exists() else "planner-simulated": (
        extrapolation,
        "loss and allocation of a table of runs, with intervals",
    ),
    "planner-coverage": (coverage, "how often intervals hold the truth"),
    "planner-next-runs": (designs, "what the next runs of usual and of planned designs teach"),
}

if __name__ == "__main__":
    pictures.script(__doc__, PICTURES, quick=(100,), full=(1000,))
