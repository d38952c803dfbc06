"""Pictures of preference labels and of jailbreaks: theory as lines, simulation as points.

    python scripts/plot_alignment.py                       # a minute or two on two cores
    python scripts/plot_alignment.py --full                # smaller error bars
    python scripts/plot_alignment.py --data pairs.csv      # your own comparisons: a row per pair

Every curve is `simulator.predict`, every point `simulator.simulate`, at the same parameters. With
``--data`` the script prints fitted rewards with intervals and which pairs to label next, and writes
``NAME-preferences.png`` into the current folder.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import simulator
from simulator import pictures
from simulator.data.comparisons import fit, load_comparisons
from simulator.data.loading import DataError

SAMPLERS = {
    "T-PILAF": {"sampler": "pilaf", "prompt_weighting": "tilt"},
    "vanilla": {"sampler": "vanilla", "prompt_weighting": "none"},
    "best of 8": {"sampler": "best_of_n", "prompt_weighting": "none"},
    "uniform": {"sampler": "uniform", "prompt_weighting": "none"},
}


def labels(replicates):
    """Regret against labels, where T-PILAF beats vanilla pairs and where it does not."""
    figure, panels = pictures.panels(2, title="Regret against labels, by who picks the pairs")
    settings = {
        "default: β = 0.5, s = 1": {},
        "spread rewards: β = s = 2": {"kl_regularization": 2.0, "reward_scale": 2.0},
    }
    hues = pictures.colours(list(SAMPLERS))
    for axes, (title, setting) in zip(panels, settings.items(), strict=True):
        for order, (name, sampler) in enumerate(SAMPLERS.items()):
            count = np.geomspace(1e3, 1e7, 5).astype(int)
            line = np.geomspace(3e2, 3e7, 50)
            options = setting | sampler
            limit = simulator.predict("pilaf", **options)["regret_coefficient"]
            pictures.theory_line(axes, line, limit / line, hues[order], name, order=order)
            found = [
                simulator.simulate("pilaf", replicates=replicates, num_preferences=n, **options)
                for n in count
            ]
            mean = np.array([f.mean["regret_coefficient"] for f in found]) / count
            error = np.array([f.standard_error["regret_coefficient"] for f in found]) / count
            pictures.simulation_points(axes, count, mean, error, hues[order], order=order)
        axes.set(
            title=title, xscale="log", yscale="log", xlabel="labelled pairs n",
            ylabel="regret J* - J",
        )  # fmt: skip
    pictures.kinds_legend(figure)
    return figure


def harm(replicates):
    """Harmful mass against the penalty with its floor, and the bound against concentration."""
    figure, (mass, bound) = pictures.panels(
        2, title="Harm after alignment: never 0, and smaller from a safe reference"
    )
    setting = {"num_preferences": 8000}
    beta = np.geomspace(0.15, 20, 8)
    pictures.against(
        mass,
        "jailbreaking.alignment",
        x={"kl_regularization": beta},
        y="harm_rlhf",
        series={"RLHF": {}},
        replicates=replicates,
        **setting,
    )
    pictures.against(
        mass,
        "jailbreaking.alignment",
        x={"kl_regularization": beta},
        y="harm_erlhf",
        series={"E-RLHF": {}},
        first=1,
        replicates=replicates,
        **setting,
    )
    hues = pictures.colours(["RLHF", "E-RLHF"])
    for hue, logit in zip(hues, (2.0, -2.0), strict=True):
        line = np.geomspace(beta[0], beta[-1], 80)
        mass.plot(line, _floor(logit, line), color=hue, linestyle=":", linewidth=1.2)
    pictures.note(mass, "dotted: odds of the reference\ntimes exp(-reward range / β)")
    mass.set(xlabel="penalty β", ylabel="harmful mass", ylim=(1e-7, 2))
    pictures.against(
        bound,
        "jailbreaking",
        x={"concentration": np.geomspace(1, 60, 8)},
        y="jailbreak_lower_bound",
        series={
            f"n = {n}": {"num_explanations": n, "num_harmful": 3 * n // 10} for n in (20, 100, 200)
        },
        first=2,
        yscale="linear",
        replicates=20 * replicates,
        attack_radius=0.15,
    )
    bound.set(xlabel="concentration γ of the aligned model", ylabel="P(jailbreak) at least")
    pictures.kinds_legend(figure)
    return figure


def _floor(logit, beta):
    """A bound from below on the harmful mass: no reward differs by more than its range."""
    i = np.arange(10)
    weight = np.exp(0.6 * np.sin(1.7 * (i + 1)) + logit * (i < 4))
    rewards = (i >= 4) + 0.3 * np.cos(2.3 * (i + 1))
    odds = weight[:4].sum() / weight[4:].sum() * np.exp(-np.ptp(rewards) / beta)
    return odds / (1 + odds)


def of_data(rewards, name, pairs):
    """Fitted rewards with their intervals, and the pairs to label next."""
    figure, (axes,) = pictures.panels(1, title=f"{name}: fitted rewards, 95 % intervals")
    place = np.arange(len(rewards.items))[::-1]
    error = np.stack([rewards.rewards - rewards.low, rewards.high - rewards.rewards])
    axes.errorbar(
        rewards.rewards, place, xerr=error, fmt="o", color=pictures.OKABE_ITO[0], capsize=3
    )
    axes.set_yticks(place, rewards.items)
    axes.set(xlabel="reward (mean 0)")
    first = pairs[0]
    pictures.note(axes, f"next: {first.first} or {first.second}")
    return figure


def decide(options):
    """The report on a user's table."""
    rewards = fit(load_comparisons(options.data), prior=options.prior)
    print(rewards)
    pairs = rewards.next_pairs(options.next)
    print("label next (share of the mean variance that it takes away):")
    for pair in pairs:
        print(f"  {pair.first} or {pair.second}: {pair.gain:.1%}")
    if options.kl_regularization is not None:
        print(f"T-PILAF at β = {options.kl_regularization:g} shows most often:")
        for pair in rewards.pilaf_pairs(options.kl_regularization, options.next):
            print(f"  {pair.first} or {pair.second}: {pair.gain:.1%}")
    return rewards, pairs


def main(arguments=None):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data", type=Path, help="table with columns winner and loser")
    parser.add_argument("--prior", type=float, help="standard deviation of the rewards")
    parser.add_argument("--next", type=int, default=5, help="how many pairs to label next")
    parser.add_argument("--kl-regularization", type=float, help="β: T-PILAF's pairs, too")
    options, others = parser.parse_known_args(arguments)
    if {"-h", "--help"} & set(others):
        print(parser.format_help())
    drawn = {
        "pilaf-labels": (labels, "regret against labels for the samplers, in two regimes"),
        "jailbreaking-harm": (harm, "harmful mass after RLHF and E-RLHF, and the lower bound"),
    }
    if options.data is not None:
        try:
            rewards, pairs = decide(options)
        except DataError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        name = options.data.name.split(".")[0]
        drawn = {
            f"{name}-preferences": (
                lambda _: of_data(rewards, name, pairs), "fitted rewards with intervals"
            )
        }  # fmt: skip
        if "--out" not in others:
            others += ["--out", "."]
    pictures.script(__doc__, drawn, quick=(400,), full=(4000,), arguments=others)
    return 0


if __name__ == "__main__":
    sys.exit(main())
