"""Model collapse on real data: Gaussian theory as lines, resampled experiments as points.

    python scripts/plot_real_data.py                                   # digits and photographs
    python scripts/plot_real_data.py --full                            # publication quality
    python scripts/plot_real_data.py --data my.csv --target price      # your own table

The population is the data set. The studies `ridge-collapse.resampled` and
`strong-collapse.resampled` draw its rows with replacement and train on the real targets, on labels
of earlier models, or on a mixture; their theory sees only the spectrum of the data, the best linear
fit of the targets and the size of what that fit leaves. Prints the verdicts: where the Gaussian
prediction holds, where it fails, by how much, and what is to blame.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import simulator
from simulator import pictures
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


QUICK, FULL = Quality(replicates=64, points=6), Quality(replicates=600, points=11)
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
    gaps.legend()
    pictures.kinds_legend(axes)
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
    pictures.kinds_legend(axes)
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
    axes.set_ylim(bottom=0.3 * axes.dataLim.y0)
    pictures.kinds_legend(axes, loc="lower left")
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
    pictures.few_log_ticks(axes.yaxis)
    if "rows" in xlabel:
        pictures.few_log_ticks(axes.xaxis)


def penalties(data: Population, count: int) -> np.ndarray:
    """Log-spaced between the smallest and the largest scale of the spectrum."""
    low = max(data.eigenvalues[-1], 1e-5 * data.eigenvalues[0])
    return np.geomspace(low, data.eigenvalues[0], count)


def tuned_ridge(data: Population):
    """Rows -> the penalty that theory finds best for clean labels and that many."""
    sizes = whole(np.geomspace(2, 64 * data.dim, 17))
    best = simulator.optimise(
        RIDGE,
        "test_error",
        over={"ridge": (penalties(data, 2)[0], data.eigenvalues[0], "log")},
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
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
    return path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--full", action="store_true", help="publication quality (minutes)")
    parser.add_argument("--data", type=Path, help=".npy, .npz, .csv or IDX file of your own")
    parser.add_argument("--target", help="column (csv, npy), key (npz) or label file (IDX)")
    parser.add_argument("--features", choices=FEATURE_MAPS, help="feature map of the table")
    parser.add_argument("--num-features", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder, or FILE.png")
    options = parser.parse_args(arguments)
    quality = FULL if options.full else QUICK
    out = options.out if options.out.suffix == ".png" else options.out / "real-data.png"
    start = time.perf_counter()
    try:
        if options.data is None:
            kind = options.features or "polynomial"
            table = apply_feature_map(digits(), kind, options.num_features)
            main_data = population(table)
            scaling_data = population(photograph_patches(size=12, target="next_patch"))
        else:
            kind = options.features or "linear"
            table = load(options.data, options.target)
            table = apply_feature_map(table, kind, options.num_features, columnwise=True)
            main_data = scaling_data = population(table)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2

    with pictures.house_style():
        figure, (ridge_axes, mixture_axes, scaling_axes, gap_axes) = pictures.panels(2, 2)
        sections = [
            (main_data, generations_against_ridge(ridge_axes, gap_axes, main_data, quality)),
            (main_data, mixture_against_samples(mixture_axes, main_data, quality)),
            (scaling_data, generations_against_samples(scaling_axes, scaling_data, quality)),
        ]
        path = save_small(figure, out)

    described = set()
    for data, lines in sections:
        if data.name not in described:
            print(describe(data))
            described.add(data.name)
        for line in lines:
            print(f"  {line}")
    print(f"{path} ({time.perf_counter() - start:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
