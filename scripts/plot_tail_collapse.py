"""Pictures of model collapse on Zipf tokens: theory as lines, simulation as points.

    python scripts/plot_tail_collapse.py                     # a minute or two on two cores
    python scripts/plot_tail_collapse.py --full              # smaller error bars
    python scripts/plot_tail_collapse.py --data words.txt    # your own corpus or table of counts

Every curve is `simulator.predict`, every point `simulator.simulate`, at the same parameters; the
corpus picture takes both from `simulator.data.corpus`.
"""

import argparse
import math
import os
import sys
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from matplotlib.ticker import NullLocator

import simulator
from simulator.data.corpus import RankLaw, corpus
from simulator.data.loading import DataError
from simulator.pictures import style as plot

SAMPLES = np.geomspace(10, 1e7, 7)
LONG = np.geomspace(10, 1e12, 9)

SHOWS = {
    "tail_corpus": "a corpus, its Zipf fit, and what a cut tail does to it",
    "tail_cuts": "plateaus for a cut tail, slower power laws for narrowed data",
    "tail_grokking": "a share of real data: plateau, then recovery",
    "tail_generations": "error against generation under its linear envelope",
}


def _curves(axes, values, label, name, x, replicates, output="test_error", **params):
    """One line and one row of points per entry of ``values`` (mappings of parameters)."""
    axis, points = next(iter(x.items()))
    dense = np.geomspace(points[0], points[-1], 121)
    for index, (mine, colour) in enumerate(
        zip(values, plot.colours(range(len(values))), strict=True)
    ):
        theory = simulator.predict(name, **{axis: dense}, **params, **mine)[output]
        plot.theory_line(axes, dense, theory, colour, label(index))
        result = simulator.simulate(name, replicates=replicates, **{axis: points}, **params, **mine)
        plot.simulation_points(
            axes, points, result.mean[output], result.standard_error[output], colour
        )
    axes.set(xscale="log", yscale="log", xlabel="training tokens T", ylabel=plot.readable(output))


def cuts_and_temperatures(replicates):
    """Plateaus for a cut tail, slower power laws for narrowed data."""
    figure, panels = plot.panels(2, title="Synthetic tokens change the scaling law (β = 1.5)")
    cuts = [math.inf, 1e4, 1e3, 100, 10]
    _curves(
        panels[0],
        [{"cutoff": k} for k in cuts],
        lambda i: "clean" if math.isinf(cuts[i]) else f"cut at k = {cuts[i]:g}",
        "tail-collapse",
        {"num_samples": SAMPLES},
        replicates,
    )
    plot.slope_guide(panels[0], (1e4, 1e7), 0.012, -1 / 3, "$T^{-(1-1/β)}$")
    narrow = [1.5, 2.25, 3.0]
    _curves(
        panels[1],
        [{"zipf_exponent_synthetic": b} for b in narrow],
        lambda i: f"β′ = {narrow[i]:g}: slope {-0.5 / narrow[i]:.2f}",
        "tail-collapse",
        {"num_samples": SAMPLES},
        replicates,
    )
    for axes in panels:
        plot.kinds_legend(axes)
    return figure


def grokking(replicates):
    """A share of real data: plateau, then recovery."""
    figure, (axes,) = plot.panels(
        1, legend_beside=True, title="A little real data: plateau, then recovery (k = 50)"
    )
    shares = [0.0, 1e-3, 1e-2, 0.1, 1.0]
    _curves(
        axes,
        [{"real_fraction": share} for share in shares],
        lambda i: f"real data π = {shares[i]:g}",
        "tail-collapse",
        {"num_samples": LONG},
        replicates,
        cutoff=50,
    )
    plateau = simulator.predict("tail-collapse", cutoff=50)["plateau_error"]
    recovered = simulator.solve(
        "tail-collapse",
        "test_error",
        equals=float(plateau) / 2,
        over={"num_samples": (LONG[0], LONG[-1])},
        cutoff=50,
        real_fraction=shares[1:-1],
    )
    for share, colour in zip(shares[1:-1], plot.colours(shares)[1:-1], strict=True):
        recovery = float(recovered["num_samples"].sel(real_fraction=share))
        axes.axvline(recovery, color=colour, linestyle=":", linewidth=1)
    axes.annotate("dotted: half recovered", (0.02, 0.03), xycoords="axes fraction", fontsize=8.5)
    plot.kinds_legend(axes, beside=True)
    return figure


def generations(replicates):
    """Error against generation, exact, under its linear envelope."""
    figure, (axes,) = plot.panels(
        1, legend_beside=True, title="Generations, each trained on 1000 tokens of the one before"
    )
    counts = [1, 2, 3, 4, 6, 8, 12, 16]
    for cutoff, colour in zip((math.inf, 20.0), plot.OKABE_ITO, strict=False):
        label = "no cut" if math.isinf(cutoff) else f"cut at k = {cutoff:g}"
        tree = simulator.sweep(
            "tail-collapse.generations",
            {"num_generations": counts},
            replicates=replicates,
            cutoff=cutoff,
            sampling="poisson",
        )
        plot.theory_line(axes, counts, tree["theory"]["test_error"], colour, label)
        bound = tree["theory"]["test_error_upper_bound"]
        plot.theory_line(axes, counts, bound, colour, "linear envelope", linestyle="--")
        plot.simulation_points(
            axes, counts, tree["mean"]["test_error"], tree["standard_error"]["test_error"], colour
        )
    axes.set(xscale="log", yscale="log", xlabel="generation n", ylabel="test error")
    axes.set_xticks(counts, [str(n) for n in counts], minor=False)
    axes.xaxis.set_minor_locator(NullLocator())
    plot.few_log_ticks(axes.yaxis)
    plot.kinds_legend(axes, beside=True)
    return figure


def of_corpus(law: RankLaw, name: str, replicates):
    """A user's corpus: rank law with its fit, and learning curves of cut and mixed data."""
    figure, panels = plot.panels(2, title=f"{name}: {law.counts.sum():,} tokens")
    ranks = np.arange(1, len(law.counts) + 1)
    panels[0].plot(ranks, law.probabilities, color=plot.OKABE_ITO[0], label="frequencies")
    panels[0].plot(
        ranks,
        law.fitted,
        color=plot.OKABE_ITO[1],
        linestyle="--",
        label=f"Zipf fit: β = {law.exponent:.3f} ± {law.exponent_error:.3f}",
    )
    panels[0].set(xscale="log", yscale="log", xlabel="rank", ylabel="frequency")
    panels[0].legend()

    cutoff = max(5, len(law.counts) // 20)
    most = min(100.0 * law.counts.sum(dtype=float), 2.0**62)  # drawn as 64-bit integers
    samples = np.unique(np.geomspace(10, most, 8).astype(int))
    dense = np.geomspace(samples[0], samples[-1], 121)
    cases = (("clean", math.inf, 0.0), (f"cut at k = {cutoff}", cutoff, 0.0),
             ("cut, 1 % real", cutoff, 0.01))  # fmt: skip
    for (label, k, share), colour in zip(cases, plot.OKABE_ITO, strict=False):
        plot.theory_line(panels[1], dense, law.learning_curve(dense, k, share), colour, label)
        points = [
            law.simulate(int(t), cutoff=k, real_fraction=share, replicates=replicates)
            for t in samples
        ]
        mean, error = np.array(points).T
        plot.simulation_points(panels[1], samples, mean, error, colour)
    panels[1].axvline(law.grokking_time(cutoff, 0.01), color="#888888", linestyle=":")
    panels[1].annotate(
        "half recovered", (law.grokking_time(cutoff, 0.01), 0.6), xytext=(-4, 0), ha="right",
        textcoords="offset points", fontsize=8.5, color="#666666",
    )  # fmt: skip
    panels[1].set(
        xscale="log",
        yscale="log",
        xlabel="training tokens T",
        ylabel="test error",
        ylim=(1e-3, 1.2),
    )
    plot.kinds_legend(panels[1])
    print(
        f"{name}: {len(law.counts)} distinct tokens, β = {law.exponent:.4f} ± "
        f"{law.exponent_error:.4f}; cut at {cutoff}: plateau {law.plateau(cutoff):.4f}; with 1 % "
        f"real data recovery at T = {law.grokking_time(cutoff, 0.01):.3g} (dotted)"
    )
    return figure


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="smaller error bars")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the PNGs")
    parser.add_argument("--data", type=Path, help="text file, or table of counts (.csv, .npy)")
    options = parser.parse_args(arguments)
    replicates = 1000 if options.full else 50
    try:
        law = corpus(options.data)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    name = options.data.name if options.data else "docstrings of Python's standard library"
    pictures = {
        "tail_corpus": lambda: of_corpus(law, name, replicates),
        "tail_cuts": lambda: cuts_and_temperatures(replicates),
        "tail_grokking": lambda: grokking(replicates),
        "tail_generations": lambda: generations(replicates),
    }
    for file, draw in pictures.items():
        if options.data is None or file == "tail_corpus":
            with plot.house_style():
                path = plot.save(draw(), options.out / f"{file}.png")
                print(f"{path}: {SHOWS[file]}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
