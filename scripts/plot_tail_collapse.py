"""Pictures of model collapse on Zipf tokens: theory as lines, simulation as points.

    python scripts/plot_tail_collapse.py                     # a minute or two on two cores
    python scripts/plot_tail_collapse.py --full              # smaller error bars
    python scripts/plot_tail_collapse.py --data words.txt    # your own corpus or table of counts

Every curve is `simulator.predict`, every point `simulator.simulate`, at the same parameters.
"""

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import NullLocator

import simulator
from simulator import pictures
from simulator.data.corpus import RankLaw, corpus
from simulator.data.loading import DataError

SAMPLES = np.geomspace(10, 1e7, 7)
LONG = np.geomspace(10, 1e12, 9)


def cuts_and_temperatures(replicates):
    """Plateaus for a cut tail, slower power laws for narrowed data."""
    figure, panels = pictures.panels(2, title="Synthetic tokens change the scaling law (β = 1.5)")
    cuts = [math.inf, 1e4, 1e3, 100.0, 10.0]
    narrow = [1.5, 2.25, 3.0]
    options = {"x": {"num_samples": SAMPLES}, "y": "test_error", "replicates": replicates}
    pictures.against(
        panels[0],
        "tail-collapse",
        series={("clean" if math.isinf(k) else f"cut at k = {k:g}"): {"cutoff": k} for k in cuts},
        guides=[pictures.Guide((1e4, 1e7), 0.012, -1 / 3, "$T^{-(1-1/β)}$")],
        **options,
    )
    pictures.against(
        panels[1],
        "tail-collapse",
        series={
            f"β′ = {b:g}: slope {-0.5 / b:.2f}": {"zipf_exponent_synthetic": b} for b in narrow
        },
        **options,
    )
    for axes in panels:
        axes.set_xlabel("training tokens T")
        pictures.kinds_legend(axes)
    return figure


def grokking(replicates):
    """A share of real data: plateau, then recovery."""
    figure, (axes,) = pictures.panels(
        1, title="A little real data: plateau, then recovery (k = 50)"
    )
    shares = [0.0, 1e-3, 1e-2, 0.1, 1.0]
    (curves,) = pictures.against(
        axes,
        "tail-collapse",
        x={"num_samples": LONG},
        y="test_error",
        series={f"real data π = {p:g}": {"real_fraction": p} for p in shares},
        replicates=replicates,
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
    for share, curve in list(zip(shares, curves, strict=True))[1:-1]:
        recovery = float(recovered["num_samples"].sel(real_fraction=share))
        axes.axvline(recovery, color=curve.colour, linestyle=":", linewidth=1.2)
    axes.plot([], [], color=pictures.KEY, linestyle=":", linewidth=1.2, label="half recovered")
    axes.set_xlabel("training tokens T")
    pictures.kinds_legend(figure)
    return figure


def generations(replicates):
    """Error against generation, exact, under its linear envelope."""
    figure, (axes,) = pictures.panels(1, title="Each generation learns 1000 tokens of the last")
    counts = [1, 2, 3, 4, 6, 8, 12, 16]
    cases = {"no cut": math.inf, "cut at k = 20": 20.0}
    (curves,) = pictures.against(
        axes,
        "tail-collapse.generations",
        x={"num_generations": counts},
        y="test_error",
        series={label: {"cutoff": cutoff} for label, cutoff in cases.items()},
        replicates=replicates,
        sampling="poisson",
    )
    for (label, cutoff), curve in zip(cases.items(), curves, strict=True):
        bound = simulator.sweep(
            "tail-collapse.generations",
            {"num_generations": counts},
            replicates=0,
            cutoff=cutoff,
            sampling="poisson",
        )["theory"]["test_error_upper_bound"]
        pictures.theory_line(
            axes, counts, bound, curve.colour, f"{label}: linear bound", linestyle=":"
        )
    axes.set(xlabel="generation n")
    axes.set_xticks(counts, [str(n) for n in counts], minor=False)
    axes.xaxis.set_minor_locator(NullLocator())
    pictures.few_log_ticks(axes.yaxis)
    pictures.kinds_legend(figure)
    return figure


@dataclass(frozen=True)
class Wish:
    """What the corpus picture shows: where the tail is cut, and how much real data comes back."""

    cutoff: int | None = None
    real_fraction: float = 0.01
    report: Path | None = None  # JSON beside the picture


def of_corpus(law: RankLaw, name: str, wish: Wish, replicates):
    """A user's corpus: rank law with its fit, and learning curves of cut and mixed data."""
    figure, panels = pictures.panels(2, title=f"{name}: {law.counts.sum():,} tokens")
    ranks = np.arange(1, len(law.counts) + 1)
    panels[0].plot(ranks, law.probabilities, color=pictures.OKABE_ITO[0], label="frequencies")
    panels[0].plot(
        ranks,
        law.fitted,
        color=pictures.OKABE_ITO[1],
        linestyle="--",
        label=f"Zipf fit: β = {law.exponent:.3f} ± {law.exponent_error:.3f}",
    )
    panels[0].set(xscale="log", yscale="log", xlabel="rank", ylabel="frequency")
    panels[0].legend()

    cutoff = wish.cutoff or max(5, len(law.counts) // 20)
    share = wish.real_fraction
    most = min(100.0 * law.counts.sum(dtype=float), 1e12)
    samples = np.unique(np.geomspace(10, most, 8).round())
    cases = {
        "clean": {},
        f"cut at k = {cutoff}": {"cutoff": cutoff},
        f"cut, {100 * share:g} % real": {"cutoff": cutoff, "real_fraction": share},
    }
    (curves,) = pictures.against(
        panels[1],
        "tail-collapse.corpus",
        x={"num_samples": samples},
        y="test_error",
        series=cases,
        replicates=replicates,
        **law.parameters(),
    )
    given = {"cutoff": cutoff, "real_fraction": share} | law.parameters()
    plateau = float(simulator.predict("tail-collapse.corpus", **given)["plateau_error"])
    recovery = recovered_at(plateau, given, law)
    if math.isfinite(recovery):
        panels[1].axvline(recovery, color=pictures.KEY, linestyle=":", linewidth=1)
        place = {"xycoords": "data", "textcoords": "offset points", "xytext": (-4, 0)}
        pictures.note(panels[1], "half recovered", (recovery, 0.6), ha="right", **place)
    panels[1].set(xlabel="training tokens T", ylabel="test error", ylim=(1e-3, 1.2))
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 3}
    pictures.kinds_legend(panels[1], **below)
    print(
        f"{name}: {law}\n  cut at rank {cutoff}: plateau {plateau:.4f}; with {share:.3g} of real "
        f"data half of it is recovered at T = {recovery:.3g} (dotted)"
    )
    if wish.report is not None:
        found = {
            "name": name,
            "tokens": int(law.counts.sum(dtype=float)),
            "distinct": len(law.counts),
            "exponent": law.exponent,
            "exponent_error": law.exponent_error,
            "misfit": law.misfit,
            "misfit_of_sampling": law.misfit_of_sampling,
            "local_exponents": {f"{a}-{b}": e for (a, b), e in law.local_exponents().items()},
            "cutoff": cutoff,
            "real_fraction": share,
            "plateau_error": plateau,
            "half_recovered_at": recovery if math.isfinite(recovery) else None,
            "curves": [
                {"label": curve.label, "num_samples": curve.points.tolist(),
                 "mean": curve.mean.tolist(), "standard_error": curve.standard_error.tolist()}
                for curve in curves
            ],
        }  # fmt: skip
        wish.report.parent.mkdir(parents=True, exist_ok=True)
        wish.report.write_text(json.dumps(found, indent=1) + "\n")
        print(wish.report)
    return figure


def recovered_at(plateau: float, given: dict[str, Any], law: RankLaw) -> float:
    """The T at which the error has fallen to half the plateau; inf if it never does."""
    try:
        found = simulator.solve(
            "tail-collapse.corpus",
            "test_error",
            equals=plateau / 2,
            over={"num_samples": (1, 1e6 * law.counts.sum(dtype=float))},
            **given,
        )
    except simulator.NoSolution:
        return math.inf
    return float(found["num_samples"])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data", type=Path, help="text file, or table of counts (.csv, .npy)")
    parser.add_argument("--kind", choices=("counts", "tokens"), help="numbers of a .npy file")
    parser.add_argument("--cut", type=int, help="rank where the tail is cut (a 20th of all)")
    parser.add_argument("--real", type=float, default=0.01, help="share of real data")
    options, others = parser.parse_known_args(arguments)
    if {"-h", "--help"} & set(others):
        print(parser.format_help())
    try:
        law = corpus(options.data, options.kind)
        if options.cut is not None and not 1 <= options.cut < len(law.counts):
            raise DataError(f"--cut {options.cut}; allowed: a rank from 1 to {len(law.counts) - 1}")
        if not 0 <= options.real <= 1:
            raise DataError(f"--real {options.real}; allowed: a share from 0 to 1")
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.data is None:
        name, file, wish = "docstrings of Python's standard library", "tail-corpus", Wish()
        wish = Wish(options.cut, options.real)
    else:
        name, file = options.data.name, f"{options.data.name.split('.')[0]}-tail"
        folder = Path(out_folder(others))
        wish = Wish(options.cut, options.real, folder / f"{file}.json")
        if "--out" not in others:  # next to nothing that is committed
            others += ["--out", str(folder)]
    drawn = {
        file: (
            lambda replicates: of_corpus(law, name, wish, replicates),
            "a corpus, its Zipf fit, and what a cut tail does to it",
        ),
        "tail-cuts": (
            cuts_and_temperatures,
            "plateaus for a cut tail, slower power laws for narrowed data",
        ),
        "tail-grokking": (grokking, "a share of real data: plateau, then recovery"),
        "tail-generations": (generations, "error against generation under its linear envelope"),
    }
    if options.data is not None:
        drawn = {file: drawn[file]}
    pictures.script(__doc__, drawn, quick=(50,), full=(1000,), arguments=others)
    return 0


def out_folder(others: list[str]) -> str:
    """The folder that ``--out`` names among other words; this one unless it does."""
    return others[others.index("--out") + 1] if "--out" in others[:-1] else "."


if __name__ == "__main__":
    sys.exit(main())
