"""Pictures of fair rankings: theory as lines, simulation as points.

    python scripts/plot_fair_ranking.py                            # a minute or two on two cores
    python scripts/plot_fair_ranking.py --full                     # smaller error bars
    python scripts/plot_fair_ranking.py --data ratings.csv         # your log: user, item, score
    python scripts/plot_fair_ranking.py --data table.csv --table   # your relevances in [0, 1]

Every curve is `simulator.predict`, every point `simulator.simulate`, at the same parameters. With
``--data`` the script prints the Pareto frontier of utility against unfairness and which weight to
deploy for ``--unfairness``, and writes ``NAME-frontier.png`` into the current folder.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import simulator
from simulator import pictures
from simulator.data.files import DataError
from simulator.data.preferences import preference_table, rating_log

WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
EPOCHS, CHECKPOINTS = 128, 8


def ways(axes, weights, replicates, **market):
    """The frontier, and the ways of the online ranker towards it."""
    line = np.concatenate([[0.0], np.geomspace(0.05, 64, 40)])
    found = simulator.predict("fair-ranking", fairness_weight=line, **market)
    pictures.theory_line(
        axes, found["optimal_unfairness"], found["optimal_utility"], "0.25", "frontier"
    )
    hues = pictures.colours([str(w) for w in weights])
    for order, (weight, hue) in enumerate(zip(weights, hues, strict=True)):
        path = simulator.simulate(
            "fair-ranking", replicates=replicates, fairness_weight=weight, arrivals="shuffled",
            num_epochs=EPOCHS, num_checkpoints=CHECKPOINTS, **market,
        )  # fmt: skip
        x, y = path.mean["unfairness"], path.mean["utility"]
        axes.plot(x, y, color=hue, linewidth=0.8)
        error = path.standard_error["utility"]
        pictures.simulation_points(axes, x, y, error, hue, f"β = {weight:g}", order=order)
    axes.set(xlabel="unfairness of exposure", ylabel="mean utility of users")


def frontier(replicates):
    """The frontier with ways towards it, and regret over epochs for all algorithms."""
    figure, (tradeoff, regret) = pictures.panels(
        2, title="A ranker that only sorts reaches the Pareto frontier"
    )
    ways(tradeoff, (1.0, 4.0, 16.0), replicates)
    pictures.note(tradeoff, "points: after 1, 2, 4, ..., 128 epochs", (0.4, 0.03))
    rules = {
        "online": ("fair-ranking", "regret_controlled", {"arrivals": "uniform"}),
        "online, shuffled": ("fair-ranking", "regret_controlled", {"arrivals": "shuffled"}),
        "batch": ("fair-ranking.baselines", "regret", {}),
        "FairCo": (
            "fair-ranking.baselines", "regret", {"algorithm": "fairco", "arrivals": "shuffled"}
        ),
        "relevance": (
            "fair-ranking.baselines", "regret", {"algorithm": "relevance", "arrivals": "shuffled"}
        ),
    }  # fmt: skip
    epochs = EPOCHS >> np.arange(CHECKPOINTS)[::-1]
    hues = pictures.colours(list(rules))
    for order, ((name, rule), hue) in enumerate(zip(rules.items(), hues, strict=True)):
        study, output, options = rule
        found = simulator.simulate(
            study, replicates=replicates, num_epochs=EPOCHS, num_checkpoints=CHECKPOINTS, **options
        )
        mean, error = found.mean[output], found.standard_error[output]
        regret.plot(epochs, mean, color=hue, linewidth=0.8)
        pictures.simulation_points(regret, epochs, mean, error, hue, name, order=order)
    regret.set(xscale="log", yscale="log", xlabel="epochs", ylabel="regret f* - f")
    for axes in (tradeoff, regret):
        axes.legend()
    return figure


def exposure(replicates):
    """Exposures over time: of the online ranker, and of the controller."""
    figure, panels = pictures.panels(
        2, title="Exposures over time: sorting finds the optimum's, FairCo makes all equal"
    )
    epochs = EPOCHS >> np.arange(CHECKPOINTS)[::-1]
    best = simulator.predict("fair-ranking")["optimal_exposure"]
    settings = {
        "online ranker (β = 4)": ("fair-ranking", {}, best),
        "FairCo": ("fair-ranking.baselines", {"algorithm": "fairco"}, np.full(20, best.mean())),
    }
    items = (0, 5, 10, 15, 19)
    hues = pictures.colours([f"item {j + 1}" for j in items])
    for axes, (title, (study, options, limit)) in zip(panels, settings.items(), strict=True):
        found = simulator.simulate(
            study, replicates=replicates, arrivals="shuffled", num_epochs=EPOCHS,
            num_checkpoints=CHECKPOINTS, **options,
        )  # fmt: skip
        mean, error = found.mean["exposure"], found.standard_error["exposure"]
        for order, (item, hue) in enumerate(zip(items, hues, strict=True)):
            line = np.full(len(epochs), limit[item])
            pictures.theory_line(axes, epochs, line, hue, order=order)
            pictures.simulation_points(
                axes, epochs, mean[:, item], error[:, item], hue, f"item {item + 1}", order=order
            )
        axes.set(title=title, xscale="log", xlabel="epochs", ylabel="mean exposure so far")
    pictures.kinds_legend(figure)
    return figure


def decide(options):
    """The report on a user's table: the frontier, what fairness costs, what to deploy."""
    read = preference_table if options.table else rating_log
    prefs = read(options.data)
    users, items = prefs.table.shape
    print(f"{users} users, {items} items, {prefs.observed:.0%} of the table observed")
    if prefs.observed < 1:
        print(f"imputed scores are off by {prefs.held_out_error:.3f} (spread of the table "
              f"{prefs.table.std():.3f})")  # fmt: skip
    market = {"num_slots": options.num_slots, **prefs.parameters()}
    found = simulator.predict("fair-ranking", fairness_weight=WEIGHTS, **market)
    print("fairness_weight  utility  unfairness")
    for row in zip(WEIGHTS, found["optimal_utility"], found["optimal_unfairness"], strict=True):
        print("{:15g}  {:7.4f}  {:10.4f}".format(*row))
    first, last = found["optimal_unfairness"][[0, -1]]
    wanted = options.unfairness
    if wanted is None:
        weight = 4.0
    elif last < wanted < first:
        solved = simulator.solve(
            "fair-ranking", "optimal_unfairness", equals=wanted,
            over={"fairness_weight": (1e-3, WEIGHTS[-1])}, **market,
        )  # fmt: skip
        weight = float(solved["fairness_weight"])
    else:
        raise DataError(
            f"--unfairness {wanted:g} is not on the frontier; allowed: {last:.4f} to {first:.4f}"
        )
    best = simulator.predict("fair-ranking", fairness_weight=weight, **market)
    price = 1 - float(best["optimal_utility"]) / found["optimal_utility"][0]
    print(f"deploy fairness_weight = {weight:.4g}: unfairness {best['optimal_unfairness']:.4f}, "
          f"utility {best['optimal_utility']:.4f}, {price:.1%} less than by relevance")  # fmt: skip
    ranker = prefs.ranker(options.num_slots, weight)
    print(f"first list of {prefs.users[0]}: {', '.join(ranker.rank(prefs.users[0]))}")
    return weight, market


def of_data(name, weight, market, replicates):
    """The frontier of a user's table, and the way of the ranker to deploy."""
    figure, (axes,) = pictures.panels(1, title=f"{name}: what fairness costs")
    ways(axes, (weight,), replicates, **market)
    axes.legend()
    return figure


def main(arguments=None):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data", type=Path, help="log with rows user, item, score")
    parser.add_argument("--table", action="store_true", help="the file holds relevances in [0, 1]")
    parser.add_argument("--num-slots", type=int, default=5, help="items on a list")
    parser.add_argument("--unfairness", type=float, help="of the ranker to deploy")
    options, others = parser.parse_known_args(arguments)
    if {"-h", "--help"} & set(others):
        print(parser.format_help())
    drawn = {
        "fair-ranking-frontier": (frontier, "the frontier, the ranker's way, regret over epochs"),
        "fair-ranking-exposure": (exposure, "exposures over time"),
    }
    if options.data is not None:
        try:
            weight, market = decide(options)
        except ValueError as error:  # of the file, or of a parameter: one line
            print(f"error: {error}", file=sys.stderr)
            return 2
        name = options.data.name.split(".")[0]
        drawn = {
            f"{name}-frontier": (
                lambda replicates: of_data(name, weight, market, replicates), "what fairness costs"
            )
        }  # fmt: skip
        if "--out" not in others:
            others += ["--out", "."]
    pictures.script(__doc__, drawn, quick=(20,), full=(400,), arguments=others)
    return 0


if __name__ == "__main__":
    sys.exit(main())
