"""Model collapse on real data: Gaussian theory as lines, resampled experiments as points.

    python scripts/plot_real_data.py                                   # digits and photographs
    python scripts/plot_real_data.py --full                            # publication quality
    python scripts/plot_real_data.py --data my.csv --target price      # your own table

The population is the data set. The studies `ridge-collapse.resampled` and
`strong-collapse.resampled` draw its rows with replacement and train on the real targets, on labels
of earlier models, or on a mixture; their theory sees only the spectrum of the data, the best linear
fit of the targets and the size of what that fit leaves. Prints the verdicts: where the Gaussian
prediction holds, where it fails, by how much, and what is to blame. Of your own table it also says
what to do (`simulator.advice`), and writes all of it as JSON beside the picture.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import simulator
from simulator import pictures
from simulator.advice import advise
from simulator.data.datasets import digits, photograph_patches
from simulator.data.feature_maps import FEATURE_MAPS, apply_feature_map
from simulator.data.loading import DataError, load
from simulator.data.population import Population, labeller_shift, population, power_law
from simulator.studies.collapse.ridge_collapse.resampled import ACCURACY
from simulator.verdict import Comparison

RIDGE, STRONG = "ridge-collapse.resampled", "strong-collapse.resampled"
GENERATIONS = {"no generation (clean)": 0, "1 generation": 1, "5 generations": 5}
FRACTIONS = (0.0, 0.2, 0.5, 1.0)
#: From the control to the data as they are.
BLAME = {
    "gaussian": "Gaussian rows (control)",
    "features": "real features, Gaussian noise",
    "targets": "real features and targets",
}


@dataclass(frozen=True)
class Quality:
    replicates: int
    points: int  # simulated points per curve


QUICK, FULL = Quality(replicates=128, points=6), Quality(replicates=600, points=11)
OWN = Quality(replicates=200, points=6)
#: Legends stand below their panel, where no point can be.
BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 2}
RESOLUTION = 0.3  # a deviation that every point would show


# --------------------------------------------------------------------------------------------
# Panels: each draws itself and returns lines of the verdict
# --------------------------------------------------------------------------------------------
def generations_against_ridge(axes, gaps, data: Population, quality: Quality) -> list[str]:
    """U-shaped error against the penalty, moving up and right with every generation."""
    ridges = penalties(data, quality.points)
    chain = {
        "num_samples": 2 * data.dim,
        "num_samples_generator": 4 * data.dim,
        "ridge_generator": tuned_ridge(data)(4 * data.dim),
    } | data.parameters()
    series = {label: {"num_generations": n} for label, n in GENERATIONS.items()}
    draw_theory(axes, RIDGE, {"ridge": ridges}, series, mark="minimum", **chain)
    decorate(axes, data, "penalty λ", f"{2 * data.dim} rows, labellers see {4 * data.dim}")

    lines = []
    ends = [0, max(GENERATIONS.values())]
    for law, colour in zip(BLAME, (pictures.OKABE_ITO[i] for i in (6, 0, 1)), strict=True):
        shown = list(GENERATIONS.values()) if law == "targets" else ends
        found = compared(RIDGE, quality, {"num_generations": shown}, [
            {"ridge": ridge} for ridge in ridges], law=law, **chain)  # fmt: skip
        lines.append(in_words(f"generations, {BLAME[law]}", found, ("ridge", "num_generations")))
        if law == "targets":
            draw_points(axes, found, "ridge", series)
        for generations, marker, line in zip(ends, "os", ("-", "--"), strict=True):
            mine = [c for c in found if c.cell["num_generations"] == generations]
            gaps.errorbar(
                ridges,
                [100 * (c.mean / c.theory - 1) for c in mine],
                [200 * c.standard_error / c.theory for c in mine],
                color=colour,
                marker=marker,
                linestyle=line,
                linewidth=1.2,
                capsize=2,
                label=BLAME[law] if generations == 0 else None,
            )
    gaps.axhline(0, color="#444444", linewidth=1)
    gaps.set(
        xscale="log",
        xlabel="penalty λ",
        ylabel="experiment / theory − 1  [%]",
        title=f"Where the theory fails on {data.name.split(',')[0]}\n"
        f"(solid: clean, dashed: after {ends[1]} generations)",
    )
    gaps.legend(**BELOW)
    pictures.kinds_legend(axes, **BELOW)
    return lines


def mixture_against_samples(axes, data: Population, quality: Quality) -> list[str]:
    """Error against sample size for several synthetic fractions: strong collapse."""
    tuned, teacher_rows = tuned_ridge(data), max(10, data.dim // 4)
    shift = labeller_shift(data, teacher_rows, tuned(teacher_rows), seed=1)
    own_error = float(np.sum(data.eigenvalues * shift**2))
    given = {"shift": shift} | data.parameters()
    series = {f"{share:.0%} synthetic": {"synthetic_fraction": share} for share in FRACTIONS}
    sizes = whole(np.geomspace(data.dim / 2, 32 * data.dim, quality.points))
    draw_theory(axes, STRONG, {"num_samples": sizes}, series, along={"ridge": tuned}, **given)
    found = compared(STRONG, quality, {"synthetic_fraction": FRACTIONS}, [
        {"num_samples": size, "ridge": tuned(size)} for size in sizes], **given)  # fmt: skip
    draw_points(axes, found, "num_samples", series)
    decorate(axes, data, "rows n", f"synthetic labeller: error {own_error:.3f}")
    pictures.kinds_legend(axes, **BELOW)
    words = f"synthetic fractions, {BLAME['targets']}"
    return [in_words(words, found, ("num_samples", "synthetic_fraction"))]


def generations_against_samples(axes, data: Population, quality: Quality) -> list[str]:
    """Error against sample size over generations, the penalty tuned to the clean problem."""
    tuned = tuned_ridge(data)
    sizes = whole(np.geomspace(max(20, data.dim / 2), 8 * data.dim, quality.points))
    series = {label: {"num_generations": n} for label, n in GENERATIONS.items()}
    along = {
        "num_samples_generator": lambda size: size,
        "ridge": tuned,
        "ridge_generator": tuned,
    }
    given = data.parameters()
    draw_theory(axes, RIDGE, {"num_samples": sizes}, series, along=along, **given)
    lines = []
    for law in BLAME:
        moved = [
            {"num_samples": size} | {name: rule(size) for name, rule in along.items()}
            for size in sizes
        ]
        grid = {"num_generations": list(GENERATIONS.values())}
        found = compared(RIDGE, quality, grid, moved, law=law, **given)
        lines.append(in_words(f"sample sizes, {BLAME[law]}", found, ("num_samples", *grid)))
        if law == "targets":
            draw_points(axes, found, "num_samples", series)
    decorate(axes, data, "rows n of every fit", f"{data.dim} features, tuned penalty")
    pictures.kinds_legend(axes, **BELOW)
    return lines


# --------------------------------------------------------------------------------------------
# What the panels share
# --------------------------------------------------------------------------------------------
def compared(
    study: str,
    quality: Quality,
    grid: Mapping[str, Sequence[Any]],
    points: Sequence[Mapping[str, Any]],
    law: str = "targets",
    **given: Any,
) -> list[Comparison]:
    """The verdict's comparisons of the test error on ``grid`` at each of the points."""
    options = {"replicates": quality.replicates, "dtype": "float32", "tolerance": RESOLUTION}
    found = []
    for point in points:
        verdict = simulator.check(study, grid, law=law, **options, **given, **point)
        found += [c for c in verdict.comparisons if c.output == "test_error"]
    return found


def draw_theory(axes, study: str, x, series, **options: Any) -> None:
    """The lines, by the road of all pictures; points are those of the verdict."""
    options = {"y": "test_error", "series": series, "replicates": 0} | options
    pictures.against(axes, study, x=x, **options)


def draw_points(axes, found: Sequence[Comparison], x: str, series: Mapping[str, Mapping]) -> None:
    values = [next(iter(mine.values())) for mine in series.values()]
    for order, (mine, colour) in enumerate(
        zip(series.values(), pictures.colours(values), strict=True)
    ):
        ((name, value),) = mine.items()
        points = [c for c in found if c.cell[name] == value]
        places, mean, error = np.array([(c.cell[x], c.mean, c.standard_error) for c in points]).T
        pictures.simulation_points(axes, places, mean, error, colour, order=order)


def in_words(label: str, found: Sequence[Comparison], names: Sequence[str]) -> str:
    """The verdict of several cells in one line: how far, and where most."""
    statuses = [c.status for c in found]
    outcome = next((s for s in ("disagrees", "inconclusive") if s in statuses), "agrees")
    deviations = np.array([c.mean / c.theory - 1 for c in found])
    worst = int(np.argmax(np.abs(deviations)))
    c = found[worst]
    where = ", ".join(f"{name} = {c.cell[name]:.4g}" for name in names)
    return (
        f"{label}: {outcome} (tolerance {ACCURACY:.0%}, {len(found)} points, "
        f"{statuses.count('disagrees')} beyond it); median deviation {np.median(deviations):+.1%}, "
        f"largest {deviations[worst]:+.1%} ± {c.standard_error / c.theory:.1%} at {where}"
    )


def decorate(axes, data: Population, xlabel: str, detail: str) -> None:
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=xlabel,
        ylabel="excess test error / target variance",
        title=f"{data.name}\n{detail}",
    )
    plain_ticks(axes.yaxis, *axes.get_ylim())
    if "rows" in xlabel:
        plain_ticks(axes.xaxis, *axes.get_xlim())


def plain_ticks(axis, low: float, high: float) -> None:
    """Plain numbers, as many as find room: of a decade three, two or one."""
    decades = np.log10(high / low)
    subs = (1, 2, 5) if decades < 1.5 else (1, 3) if decades < 2.5 else (1,)
    pictures.few_log_ticks(axis)
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))


def penalties(data: Population, count: int) -> np.ndarray:
    """Log-spaced between the ends of the spectrum, or over three decades if it is flatter."""
    low = np.clip(data.eigenvalues[-1] / data.eigenvalues[0], 1e-5, 1e-3)
    return data.eigenvalues[0] * np.geomspace(low, 1, count)


def tuned_ridge(data: Population):
    """Rows -> the penalty that theory finds best for clean labels and that many."""
    sizes = whole(np.geomspace(2, 64 * data.dim, 17))
    best = simulator.optimise(
        RIDGE,
        "test_error",
        over={"ridge": (penalties(data, 2)[0] / 100, data.eigenvalues[0], "log")},
        num_samples=sizes,
        num_generations=0,
        **data.parameters(),
    )["ridge"].values

    def ridge(size: float) -> float:
        return float(np.exp(np.interp(np.log(size), np.log(sizes), np.log(best))))

    return ridge


def whole(values: np.ndarray) -> list[int]:
    return sorted({int(value) for value in np.rint(values)})


def describe(data: Population) -> str:
    spike = ", ".join(f"{data.spikiness(r):.1f} at λ = {r:.0e}" for r in penalties(data, 3))
    law = f"\n  {power_law(data.eigenvalues, data.signal)}" if data.dim >= 20 else ""
    felt = ", ".join(f"{data.felt_noise(r):.1f} at λ = {r:.0e}" for r in penalties(data, 3))
    return (
        f"{data.name}: {data.num_rows} rows, {data.dim} features, linear share of the target "
        f"R² = {1 - data.noise_std**2:.3f}{law}\n"
        f"  uneven rows: spread of x'(Σ+λ)⁻¹x over that of Gaussian rows: {spike}\n"
        f"  uneven noise: residual variance where a fit feels it, over its mean: {felt}"
    )


def save_small(figure, path: Path) -> Path:
    """A PNG with a palette: a third of the size, no visible difference."""
    pictures.save(figure, path)
    drawn = Image.open(path)
    said = PngInfo()
    for key, value in drawn.info.items():
        if isinstance(value, str):
            said.add_text(key, value)
    drawn.convert("RGB").quantize(256).save(path, optimize=True, pnginfo=said)
    return path


def own_table(options: argparse.Namespace) -> Population:
    """The table of the user, or one line that says what to change."""
    # Where a column must be named, a name that none can have lists them.
    named = options.data.suffix.lower() not in (".npz", ".gz", "") and "idx" not in str(
        options.data
    )
    target = "" if options.target is None and named else options.target
    wishes = {
        name: wish if wish is None or len(wish) else True
        for name, wish in (
            ("one_hot", options.one_hot), ("impute", options.impute), ("drop", options.drop)
        )
    }  # fmt: skip
    try:
        table = load(options.data, target, **{k: v for k, v in wishes.items() if v is not None})
    except DataError as error:
        if target == "" and "column ''" in str(error):
            choice = str(error).rpartition("allowed: ")[2]
            raise DataError(f"{options.data.name}: --target is needed: {choice}") from error
        raise
    kind = options.features or "linear"
    data = population(apply_feature_map(table, kind, options.num_features))
    print(f"{data.name}: the target is {table.target or 'the array of labels'}", file=sys.stderr)
    return data


def progress(stage: str) -> None:
    """What is being worked at, on the terminal or in a log."""
    print(f"  ... {stage}", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--full", action="store_true", help="publication quality (minutes)")
    parser.add_argument("--data", type=Path, help="your own .csv, .parquet, .npy, .npz or IDX file")
    parser.add_argument("--target", help="column (csv, parquet, npy), key (npz), label file (IDX)")
    for flag, meaning in (
        ("--one-hot", "columns of categories: one column of 0 and 1 for each category"),
        ("--impute", "columns with empty cells: filled with the mean"),
        ("--drop", "columns to leave out"),
    ):
        parser.add_argument(flag, nargs="*", metavar="COLUMN", help=f"{meaning} (all if none)")
    parser.add_argument("--features", choices=FEATURE_MAPS, help="feature map of the table")
    parser.add_argument("--num-features", type=int, default=150)
    parser.add_argument("--tolerated", type=float, default=0.1,
                        help="rise of the error that synthetic labels may cost")  # fmt: skip
    parser.add_argument("--replicates", type=int, default=1000,
                        help="experiments that test the advice")  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder, or FILE.png (figures/real-data.png, or "
                        "NAME-collapse.png here for your own table)")  # fmt: skip
    options = parser.parse_args(arguments)
    quality = FULL if options.full else QUICK if options.data is None else OWN
    start = time.perf_counter()
    advice = None
    try:
        if options.data is None:
            kind = options.features or "polynomial"
            main_data = population(apply_feature_map(digits(), kind, options.num_features))
            scaling_data = population(photograph_patches(size=10, target="next_patch"))
            out = options.out or Path("figures")
        else:
            main_data = scaling_data = own_table(options)
            out = options.out or Path(f"{options.data.name.split('.')[0]}-collapse.png")
            advice = advise(main_data, tolerated=options.tolerated, replicates=options.replicates,
                            progress=progress)  # fmt: skip
            print(f"{advice}\n", flush=True)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    out = out if out.suffix == ".png" else out / "real-data.png"

    with pictures.house_style():
        figure, (ridge_axes, mixture_axes, scaling_axes, gap_axes) = pictures.panels(
            2, 2, height=4.2
        )
        sections = []
        for stage, data, panel, axes in (
            ("generations against penalty", main_data, generations_against_ridge,
             (ridge_axes, gap_axes)),
            ("synthetic fractions", main_data, mixture_against_samples, (mixture_axes,)),
            ("generations against rows", scaling_data, generations_against_samples,
             (scaling_axes,)),
        ):  # fmt: skip
            progress(f"experiments: {stage}")
            sections.append((data, panel(*axes, data, quality)))
        path = save_small(figure, out)

    described = set()
    for data, lines in sections:
        if data.name not in described:
            print(describe(data))
            described.add(data.name)
        for line in lines:
            print(f"  {line}")
    if advice is not None:
        report = advice.to_dict() | {"verdicts": [line for _, lines in sections for line in lines]}
        path.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
        print(path.with_suffix(".json"))
    print(f"{path} ({time.perf_counter() - start:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
