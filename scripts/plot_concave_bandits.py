"""Regret of bandits whose average rewards have a concave value: curves, laws, bounds, exponents.

python scripts/plot_concave_bandits.py            # a minute or two on two cores
python scripts/plot_concave_bandits.py --full     # smaller error bars, longer curves
"""

import numpy as np

import simulator
from simulator import pictures

RULES = {
    "squarecb": "inverse gap weights",
    "epsilon_greedy": "ε-greedy",
    "ucb": "optimistic (ucb)",
    "oracle": "means known",
    "stationary": "best fixed policy",
}
BESIDE = {"epsilon_greedy": 5, "squarecb": -5}  # points up: close curves, legible slopes


def seen(axes, study, rules, rounds, replicates):
    """Simulated curves with the slopes of their last octaves; the law of the fixed policy."""
    time = rounds // 2 ** np.arange(8)[::-1]
    hues = dict(zip(RULES, pictures.colours(list(RULES)), strict=True))
    for order, (rule, name) in enumerate(RULES.items()):
        if rule not in rules:
            continue
        played = {"algorithm": rule, "num_rounds": rounds, "num_checkpoints": 8}
        found = simulator.simulate(study, replicates=replicates, **played)
        mean, error = (x["regret_controlled"] for x in (found.mean, found.standard_error))
        if rule == "stationary":
            law = simulator.predict(study, **played)["regret_controlled"]
            pictures.theory_line(axes, time, law, hues[rule], None, order=order)
        pictures.simulation_points(axes, time, mean, error, hues[rule], name, order=order)
        slope = np.polyfit(np.log(time[-3:]), np.log(mean[-3:]), 1)[0]
        axes.annotate(
            f"{slope:.2f}".replace("-", "\N{MINUS SIGN}"), (time[-1], mean[-1]),
            xytext=(6, BESIDE.get(rule, 0)), textcoords="offset points", va="center",
            fontsize="small", color=hues[rule],
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="round t", ylabel="regret")
    axes.set_xlim(right=2 * rounds)
    return time


def regret(replicates, rounds):
    """Arms with the proven bound; contexts with the predicted exponents."""
    figure, (arms, contexts) = pictures.panels(
        2, title="Regret of bandits with concave rewards; beside the curves, their last slopes"
    )
    time = seen(arms, "concave-bandits", ("ucb", "oracle", "stationary"), rounds, replicates)
    bound = simulator.predict("concave-bandits", num_rounds=rounds, num_checkpoints=8)["regret"]
    arms.plot(time, bound, color=pictures.KEY, linestyle="--", linewidth=1.2)
    arms.annotate(
        "proven bound, means known", (time[1], bound[1]), xytext=(0, 3),
        textcoords="offset points", color=pictures.KEY, fontsize="small",
    )  # fmt: skip
    guide = pictures.Guide((time[1], time[5]), 4e-5 * (100 / time[1]) ** 2, -2, "$t^{-2}$")
    pictures.slope_guide(arms, guide)
    arms.set_title("five arms: feedback beats any fixed mixture")
    rules = ("epsilon_greedy", "squarecb", "oracle", "stationary")
    seen(contexts, "concave-bandits.gaussian-contexts", rules, rounds, replicates)
    ends = (time[3], time[6])
    for start, slope, text in (
        (0.25, -1 / 3, "$t^{-1/3}$"),
        (0.05, -1 / 2, "$t^{-1/2}$"),
        (0.003, -1.0, "$t^{-1}$"),
    ):
        at_start = start * (time[3] / 400) ** slope
        pictures.slope_guide(contexts, pictures.Guide(ends, at_start, slope, text))
    contexts.set_title("contexts: exploration costs")
    pictures.kinds_legend(figure)
    return figure


PICTURES = {
    "bandits-regret": (regret, "regret against rounds, with bounds and exponents"),
}

if __name__ == "__main__":
    pictures.script(__doc__, PICTURES, quick=(100, 6400), full=(1000, 25_600))
