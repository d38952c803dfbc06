"""Model collapse on real data: Gaussian theory as lines, resampled experiments as points.

    python scripts/plot_real_data.py                                   # digits and photographs
    python scripts/plot_real_data.py --full                            # publication quality
    python scripts/plot_real_data.py --data my.csv --target price      # your own table

The population is the data set. Experiments draw its rows with replacement and train on the real
targets, on labels of earlier models, or on a mixture; the theory sees only the spectrum of the
data, the best linear fit of the targets and the size of what that fit leaves. Prints the verdict:
where the Gaussian prediction holds, where it fails, by how much, and what is to blame.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from simulator import pictures
from simulator.data.comparison import Comparison, compare
from simulator.data.datasets import digits, photograph_patches
from simulator.data.experiment import (
    LAWS,
    Estimate,
    labeller_shift,
    simulate_generations,
    simulate_mixture,
)
from simulator.data.feature_maps import FEATURE_MAPS, apply_feature_map
from simulator.data.loading import DataError, load
from simulator.data.population import Population, population, power_law
from simulator.data.prediction import predict_generations, predict_mixture

GENERATIONS = (0, 1, 5)
AFTER = ("no generation (clean)", "1 generation", "5 generations")
FRACTIONS = (0.0, 0.2, 0.5, 1.0)
BLAME = {
    "gaussian": "Gaussian rows (control)",
    "features": "real features, Gaussian noise",
    "targets": "real features and targets",
}


@dataclass(frozen=True)
class Quality:
    replicates: int
    points: int  # simulated points per curve


QUICK, FULL = Quality(replicates=96, points=6), Quality(replicates=600, points=11)


# --------------------------------------------------------------------------------------------
# Panels: each draws itself and returns its comparisons
# --------------------------------------------------------------------------------------------
def generations_against_ridge(axes, gaps, data: Population, quality: Quality) -> list[Comparison]:
    """U-shaped error against the penalty, moving up and right with every generation."""
    chain = {
        "num_samples": 2 * data.dim,
        "num_samples_generator": 4 * data.dim,
        "num_generations": max(GENERATIONS),
        "ridge_generator": tuned_ridge(data, 4 * data.dim),
    }
    ridges, fine = penalties(data, quality.points), penalties(data, 61)
    curve = predict_generations(data, ridge=fine, **chain)["test_error"]
    theory = predict_generations(data, ridge=ridges, **chain)["test_error"]
    runs = {
        law: simulate_generations(
            data, ridge=ridges, law=law, replicates=quality.replicates, **chain
        )["test_error"]
        for law in LAWS
    }
    real = runs["targets"]
    for n, colour, label in zip(GENERATIONS, pictures.colours(GENERATIONS), AFTER, strict=True):
        pictures.theory_line(axes, fine, curve[:, n], colour, label)
        pictures.mark_minimum(axes, fine, curve[:, n], colour)
        pictures.simulation_points(axes, ridges, real.mean[:, n], real.standard_error[:, n], colour)
    decorate(axes, data, "penalty λ", f"{2 * data.dim} rows, labellers see {4 * data.dim}")
    pictures.kinds_legend(axes)

    comparisons = []
    last = max(GENERATIONS)
    for law, colour in zip(LAWS, (pictures.OKABE_ITO[i] for i in (6, 0, 1)), strict=True):
        every = list(GENERATIONS)
        picked = Estimate(
            runs[law].mean[:, every], runs[law].standard_error[:, every], quality.replicates
        )
        result = compare(
            f"generations, {BLAME[law]}", theory[:, every], picked,
            [f"λ = {ridge:.1e}" for ridge in ridges], AFTER,
        )  # fmt: skip
        comparisons.append(result)
        for column, marker, line in ((0, "o", "-"), (-1, "s", "--")):
            gaps.errorbar(
                ridges,
                100 * result.deviation[:, column],
                200 * picked.standard_error[:, column] / theory[:, every][:, column],
                color=colour,
                marker=marker,
                linestyle=line,
                linewidth=1.2,
                capsize=2,
                label=BLAME[law] if column == 0 else None,
            )
    gaps.axhline(0, color="#444444", linewidth=1)
    gaps.set(
        xscale="log",
        xlabel="penalty λ",
        ylabel="experiment / theory − 1  [%]",
        title=f"Where the theory fails on {data.name.split(',')[0]}\n"
        f"(solid: clean, dashed: after {last} generations)",
    )
    gaps.legend()
    return comparisons


def mixture_against_samples(axes, data: Population, quality: Quality) -> list[Comparison]:
    """Error against sample size for several synthetic fractions: strong collapse."""
    teacher_rows = max(10, data.dim // 4)
    shift = labeller_shift(data, teacher_rows, tuned_ridge(data, teacher_rows), seed=1)
    own_error = float(np.sum(data.eigenvalues * shift**2))
    sizes = np.geomspace(data.dim / 2, 32 * data.dim, quality.points).round().astype(int)
    fine = np.unique(np.geomspace(sizes[0], sizes[-1], 31).round().astype(int))
    mixture = {"shift": shift, "synthetic_fraction": FRACTIONS}

    def predict(size):
        return predict_mixture(
            data, num_samples=int(size), ridge=tuned_ridge(data, size), **mixture
        )["test_error"][0]

    curve, theory = np.array([predict(n) for n in fine]), np.array([predict(n) for n in sizes])
    runs = [
        simulate_mixture(
            data,
            num_samples=int(size),
            ridge=tuned_ridge(data, size),
            replicates=quality.replicates,
            **mixture,
        )["test_error"]
        for size in sizes
    ]
    real = stack(runs)
    for k, colour in enumerate(pictures.colours(FRACTIONS)):
        pictures.theory_line(axes, fine, curve[:, k], colour, f"{FRACTIONS[k]:.0%} synthetic")
        pictures.simulation_points(axes, sizes, real.mean[:, k], real.standard_error[:, k], colour)
    decorate(axes, data, "rows n", f"synthetic labeller: error {own_error:.3f}")
    pictures.kinds_legend(axes)
    label = f"synthetic fractions, {BLAME['targets']}"
    words = [f"n = {size}" for size in sizes], [f"{share:.0%} synthetic" for share in FRACTIONS]
    return [compare(label, theory, real, *words)]


def generations_against_samples(axes, data: Population, quality: Quality) -> list[Comparison]:
    """Error against sample size over generations, the penalty tuned to the clean problem."""
    sizes = np.geomspace(max(20, data.dim / 2), 8 * data.dim, quality.points).round().astype(int)
    fine = np.unique(np.geomspace(sizes[0], sizes[-1], 31).round().astype(int))

    def setting(size):
        ridge = tuned_ridge(data, size)
        return {
            "num_samples": int(size),
            "num_samples_generator": int(size),
            "num_generations": max(GENERATIONS),
            "ridge": ridge,
            "ridge_generator": ridge,
        }

    every = list(GENERATIONS)

    def predict(size):
        return predict_generations(data, **setting(size))["test_error"][0, every]

    curve, theory = np.array([predict(n) for n in fine]), np.array([predict(n) for n in sizes])
    runs = {
        law: stack(
            [
                simulate_generations(data, law=law, replicates=quality.replicates, **setting(size))[
                    "test_error"
                ]
                for size in sizes
            ],
            every,
        )
        for law in LAWS
    }
    real = runs["targets"]
    for k, colour in enumerate(pictures.colours(GENERATIONS)):
        pictures.theory_line(axes, fine, curve[:, k], colour, AFTER[k])
        pictures.simulation_points(axes, sizes, real.mean[:, k], real.standard_error[:, k], colour)
    decorate(axes, data, "rows n of every fit", f"{data.dim} features, tuned penalty")
    axes.set_ylim(bottom=0.3 * curve.min())
    pictures.kinds_legend(axes, loc="lower left")
    words = [f"n = {size}" for size in sizes], AFTER
    return [compare(f"sample sizes, {BLAME[law]}", theory, runs[law], *words) for law in LAWS]


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


# --------------------------------------------------------------------------------------------
# What the panels share
# --------------------------------------------------------------------------------------------
def penalties(data: Population, count: int) -> np.ndarray:
    """Log-spaced between the smallest and the largest scale of the spectrum."""
    low = max(data.eigenvalues[-1], 1e-5 * data.eigenvalues[0])
    return np.geomspace(low, data.eigenvalues[0], count)


def tuned_ridge(data: Population, size: float) -> float:
    """The penalty that theory finds best for clean labels and this many rows."""
    ridges = penalties(data, 61)
    clean = predict_generations(
        data, num_samples=int(size), num_samples_generator=1, num_generations=0,
        ridge=ridges, ridge_generator=1.0,
    )["test_error"][:, 0]  # fmt: skip
    best = int(np.clip(np.argmin(clean), 1, len(ridges) - 2))
    near = slice(best - 1, best + 2)
    curvature, slope, _ = np.polyfit(np.arange(-1, 2), np.log(clean[near]), 2)
    move = np.clip(-slope / (2 * curvature), -1, 1) if curvature > 0 else np.sign(-slope)
    return float(ridges[best] * (ridges[1] / ridges[0]) ** move)


def stack(runs: list[Estimate], columns: list[int] | None = None) -> Estimate:
    """Estimates at several sample sizes (one penalty each) as one."""
    picked = slice(None) if columns is None else columns
    return Estimate(
        np.array([run.mean[0, picked] for run in runs]),
        np.array([run.standard_error[0, picked] for run in runs]),
        runs[0].replicates,
    )


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
    parser.add_argument("--num-features", type=int, default=300)
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
            scaling_data = population(photograph_patches(size=16, target="next_patch"))
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
    for data, comparisons in sections:
        if data.name not in described:
            print(describe(data))
            described.add(data.name)
        for comparison in comparisons:
            print(f"  {comparison}")
    print(f"{path} ({time.perf_counter() - start:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
