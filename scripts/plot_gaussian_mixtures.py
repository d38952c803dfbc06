"""Classifying Gaussian mixtures: selected labels, pruned classes, protected groups.

python scripts/plot_gaussian_mixtures.py                    # theory as lines, simulation as points
python scripts/plot_gaussian_mixtures.py --full             # smaller error bars
python scripts/plot_gaussian_mixtures.py --data my.csv --target species   # advice for your own data
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from scipy.stats import norm

import simulator
from simulator import pictures
from simulator.class_advice import advise_classes
from simulator.data import DataError, labelled, load

VERIFIERS = {
    "no verifier": (1.0, 1.0),
    "weak": (0.9, 0.6),
    "good": (0.9, 0.3),
    "perfect": (1.0, 0.0),
}
BALANCED = {"priors": (0.5, 0.5), "stds": (0.5, 1.0), "means": (-1.0, 1.0)}


def rates(correct, incorrect):
    return {"keep_correct": correct, "keep_incorrect": incorrect}


def verifiers(replicates):
    """Accuracy against the amount of synthetic data, and the transition at the breakdown."""
    figure, (amount, transition) = pictures.panels(
        2, title="Synthetic labels need a verifier, and not a perfect one"
    )
    given = {"dim": 40, "replicates": replicates, "yscale": "linear", "y": "test_accuracy"}
    pictures.against(
        amount,
        "verified-synthesis",
        x={"num_samples_synthetic": [100, 300, 1000, 3000, 10000, 100000]},
        series={name: rates(*pair) for name, pair in VERIFIERS.items()},
        **given,
    )
    dotted = {"color": pictures.KEY, "linewidth": 1, "linestyle": ":"}
    amount.axhline(norm.cdf(1.5), label="best classifier", **dotted)
    amount.set(xlabel="synthetic samples N", title="generator right in 60 %, d = 40")
    pictures.kinds_legend(amount)
    pictures.against(
        transition,
        "verified-synthesis",
        x={"generator_accuracy": [0.05, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 0.8, 0.95]},
        series={f"N = {n} d": {"num_samples_synthetic": 40 * n} for n in (2, 10, 100, 10000)},
        xscale="linear",
        **rates(0.9, 0.3),
        **given,
    )
    transition.axvline(0.25, label="breakdown ψ/(φ+ψ)", **dotted)
    transition.set(
        xlabel="accuracy of the generator", title="good verifier: keeps φ = 90 %, ψ = 30 %"
    )
    pictures.kinds_legend(transition)
    return figure


def diagram(replicates):
    """Accuracy over generator accuracy and selectivity of the verifier, with the breakdown."""
    figure, panels = pictures.panels(
        2, title="Below the breakdown line, more data make it worse (discs: simulation, d = 40)"
    )
    p, psi = np.linspace(0.02, 0.98, 97), np.geomspace(0.02, 1, 81)
    cells = {
        "generator_accuracy": [0.1, 0.3, 0.5, 0.7, 0.9],
        "keep_incorrect": [0.03, 0.1, 0.3, 0.9],
    }
    for axes, per_dim in zip(panels, (4, 400), strict=True):
        given = {"dim": 40, "num_samples_synthetic": 40 * per_dim, "keep_correct": 1.0}
        accuracy = simulator.predict(
            "verified-synthesis", generator_accuracy=p, keep_incorrect=psi[:, None], **given
        )["test_accuracy"]
        scale = {"vmin": 0.05, "vmax": 0.95, "cmap": "cividis"}
        levels = np.linspace(scale["vmin"], scale["vmax"], 19)
        drawn = axes.contourf(p, 1 / psi, accuracy, levels, extend="both", cmap=scale["cmap"])
        axes.plot(psi / (1 + psi), 1 / psi, color="white", linewidth=1.5)
        if replicates:
            tree = simulator.sweep("verified-synthesis", cells, replicates=replicates, **given)
            mean = tree["mean"]["test_accuracy"].transpose("keep_incorrect", "generator_accuracy")
            x, y = np.meshgrid(cells["generator_accuracy"], 1 / np.array(cells["keep_incorrect"]))
            axes.scatter(x, y, c=mean.values, s=60, edgecolors="white", linewidths=0.8, **scale)
        axes.grid(False)
        axes.set(
            yscale="log",
            xlabel="accuracy of the generator",
            ylabel="selectivity of the verifier φ/ψ",
            title=f"N = {per_dim} d",
            xlim=(0.02, 0.98),
            ylim=(1, 50),
        )
    figure.colorbar(drawn, ax=panels, label="test accuracy")
    return figure


def generations(replicates):
    """Retraining on verified labels, and on all of them."""
    figure, (axes,) = pictures.panels(1, title="Retraining: verified labels lead to the verifier")
    given = {"dim": 100, "ridge": 0.05}
    sizes = {"N = 4 d": 400, "N = 15 d": 1500, "N = 200 d": 20000}
    ((*curves,),) = pictures.against(
        axes,
        "verified-synthesis.retraining",
        x="generation",
        y="test_accuracy",
        series={f"verified, {name}": {"num_samples_synthetic": n} for name, n in sizes.items()},
        xscale="linear",
        yscale="linear",
        replicates=replicates,
        num_generations=8,
        **given,
    )
    for count, curve in zip(sizes.values(), curves, strict=True):
        angle, accuracies = 1.25, [1 - 1.25 / np.pi]
        for _ in range(8):
            found = simulator.predict(
                "verified-synthesis.halfspace",
                generator_angle=angle,
                keep_agree=1.0,
                keep_disagree=1.0,
                num_samples_synthetic=count,
                **given,
            )
            accuracies.append(float(found["test_accuracy"]))
            angle = np.pi * (1 - accuracies[-1])
        axes.plot(range(9), accuracies, color=curve.colour, linestyle=":", linewidth=1.4)
    axes.axhline(1 - 0.45 / np.pi, color=pictures.KEY, linewidth=0.8)
    axes.set(xlabel="generation", ylabel="test accuracy")
    pictures.kinds_legend(figure, caption="dotted: no verifier (theory); grey: the verifier itself")
    return figure


def pruning(replicates):
    """Risks of both classes against what is kept, for every pruner."""
    figure, panels = pictures.panels(2, title="Quotas lift the worse class, hard examples drop it")
    pruners = {name: {"pruner": name} for name in ("random", "ssp", "drop", "optimal")}
    for k, axes in enumerate(panels):
        pictures.against(
            axes,
            "robust-pruning.finite-sample",
            x={"density": [0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0]},
            y="class_risk",
            at={"class": k},
            series=pruners,
            xscale="linear",
            yscale="log",
            replicates=replicates,
            **BALANCED,
        )
        axes.axhline(norm.cdf(-2 / 1.5), color=pictures.KEY, linewidth=0.8, linestyle=":")
        axes.set(xlabel="kept share of the data", ylabel=f"risk of class {k}")
        axes.set_title(f"class {k}, deviation {BALANCED['stds'][k]:g}")
    pictures.kinds_legend(figure, caption="4000 samples before pruning; dotted: minimax risk.")
    return figure


def thresholds(_):
    """Densities of both classes as they are left, and where each method cuts."""
    figure, panels = pictures.panels(2, title="Where a pruned data set is cut (40 % kept)")
    x = np.linspace(-3, 4, 600)
    for axes, pruner in zip(panels, ("ssp", "optimal"), strict=True):
        found = simulator.predict("robust-pruning", pruner=pruner, density=0.4, **BALANCED)
        full = simulator.predict("robust-pruning", pruner="full", **BALANCED)
        for k in range(2):
            mean, std = BALANCED["means"][k], BALANCED["stds"][k]
            before = 0.5 * norm.pdf(x, mean, std)
            share = float(found["class_density"][k])
            after = before * share
            if pruner == "ssp":
                after = np.where(np.abs(x - mean) > float(found["prune_radius"]), before, 0)
            colour = pictures.OKABE_ITO[k]
            axes.plot(x, before, color=colour, linewidth=1, linestyle=":")
            axes.fill_between(x, after, color=colour, alpha=0.4, linewidth=0, label=f"class {k}")
        axes.axvline(full["threshold"], color=pictures.KEY, linewidth=1.2, label="full data")
        axes.axvline(found["threshold"], color="black", linestyle="--", linewidth=1.4, label="cut")
        axes.set(xlabel="x", ylabel="density", title=f"{pruner}: worst risk "
                 f"{float(found['worst_class_risk']):.2f}")  # fmt: skip
    pictures.kinds_legend(figure, theory=False, simulated=False, caption="dotted: before pruning")
    return figure


def groups(replicates):
    """Worst-group error against prior weight, and against the perturbation's radius."""
    figure, (weight, radius) = pictures.panels(2, title="A group-aware prior and the worst group")
    minorities = {
        f"minority {share:.0%}": {"minority_fraction": share} for share in (0.02, 0.05, 0.2)
    }
    pictures.against(
        weight,
        "group-aware-prior",
        x={"group_prior_weight": [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]},
        y="worst_group_error",
        series=minorities,
        yscale="linear",
        replicates=replicates,
        mark="minimum",
    )
    pictures.against(
        radius,
        "group-aware-prior.population",
        x={"perturbation_radius": [0.0, 0.05, 0.1, 0.15, 0.2, 0.3]},
        y="worst_group_error",
        series=minorities,
        xscale="linear",
        yscale="linear",
        replicates=replicates // 4,
        ridge=0.0,
    )
    for axes in (weight, radius):
        axes.axhline(norm.cdf(-1), color=pictures.KEY, linewidth=0.8, linestyle=":")
    weight.set(xlabel="prior weight k", title="N = 1000, M = d = 100")
    radius.set(xlabel="perturbation radius ρ", title="k = 1, many samples")
    pictures.kinds_legend(figure, caption="dotted: minimax error; diamonds: best weight.")
    return figure


PICTURES = {
    "mixture-verifiers": (verifiers, "accuracy against synthetic data, and its phase transition"),
    "mixture-diagram": (diagram, "phase diagram of generator and verifier"),
    "mixture-generations": (generations, "verified retraining"),
    "mixture-pruning": (pruning, "class risks against what is kept"),
    "mixture-thresholds": (thresholds, "decision thresholds over the densities"),
    "mixture-groups": (groups, "worst-group error against weight and radius"),
}


def own_data(arguments):
    """Advice for a labelled data set, as text and as JSON."""
    parser = argparse.ArgumentParser(description=own_data.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="table, IDX file, or folder of "
                        "folders of images")  # fmt: skip
    parser.add_argument("--target", help="column, key or file of the classes")
    parser.add_argument("--attribute", help="column of a spurious attribute with two values")
    for flag, meaning in (
        ("--one-hot", "columns of categories: one column of 0 and 1 for each category"),
        ("--impute", "columns with empty cells: filled with the mean"),
        ("--drop", "columns to leave out"),
    ):
        parser.add_argument(flag, nargs="*", metavar="COLUMN", help=f"{meaning} (all if none)")
    parser.add_argument("--density", type=float, default=0.3, help="share kept by pruning")
    parser.add_argument("--generator-accuracy", type=float, default=0.7)
    parser.add_argument("--score-gap", type=float, default=1.5, help="of the verifier's score")
    parser.add_argument("--experiments", type=int, default=200)
    parser.add_argument("--out", type=Path, help="file of the report (NAME-classes.json here)")
    options = parser.parse_args(arguments)
    try:
        wishes = {
            name: wish or True
            for name in ("one_hot", "impute", "drop")
            if (wish := getattr(options, name)) is not None
        }
        attribute = None
        if options.attribute is not None:
            attribute = load(options.data, options.attribute, categories=True, drop=True).targets
            if wishes.get("drop") is True:
                raise DataError("--drop: no column; allowed: their names, beside --attribute")
            wishes["drop"] = [*wishes.get("drop", ()), options.attribute]
        data = labelled(options.data, options.target, **wishes)
        advice = advise_classes(
            data,
            density=options.density,
            generator_accuracy=options.generator_accuracy,
            score_gap=options.score_gap,
            attribute=attribute,
            experiments=options.experiments,
        )
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(advice)
    out = options.out or Path(f"{data.name.split('.')[0]}-classes.json")
    out.write_text(json.dumps(advice.to_dict(), indent=1) + "\n")
    print(out)
    return 0


if __name__ == "__main__":
    if any(argument.split("=")[0] == "--data" for argument in sys.argv[1:]):
        sys.exit(own_data(sys.argv[1:]))
    pictures.script(__doc__, PICTURES, quick=(60,), full=(1000,))
