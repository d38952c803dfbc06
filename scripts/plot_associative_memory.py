"""Pictures of associative memories: what a d x d matrix remembers of a Zipf vocabulary.

    python scripts/plot_associative_memory.py           # a few minutes on two cores
    python scripts/plot_associative_memory.py --full    # the paper's sizes, smaller error bars

Every curve is `simulator.predict`, every point `simulator.simulate`, at the same parameters.
"""

import argparse
import os
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np

import simulator
from simulator.pictures import style as plot

CLASSES = 5

SHOWS = {
    "memory_schemes": "error against dimension for all schemes, with predicted exponents",
    "memory_plane": "error in the plane of dimension and samples",
    "memory_remembered": "which tokens a matrix remembers, by rank",
}


def _points(axes, name, x, values, colour, replicates, method, **params):
    result = simulator.simulate(name, replicates=replicates, method=method, **{x: values}, **params)
    plot.simulation_points(
        axes, values, result.mean["test_error"], result.standard_error["test_error"], colour
    )


def schemes(tokens, replicates):
    """Error against dimension for all schemes, with the predicted exponents."""
    figure, (axes,) = plot.panels(
        1, legend_beside=True, title=f"N = {tokens} tokens, α = 2: which weights remember most?"
    )
    dims = np.unique(np.geomspace(10, 1000, 13).astype(int))
    shared = {"num_tokens": tokens, "num_classes": CLASSES}
    cases = [
        ("all alike, ρ = 0", {}),
        ("frequencies, ρ = 1", {"scheme_exponent": 1.0}),
        ("ρ = 1/2", {"scheme_exponent": 0.5}),
        ("head, P = d/8", {"threshold": np.maximum(dims // 8, 1)}),
    ]
    for (label, params), colour in zip(cases, plot.OKABE_ITO, strict=False):
        theory = simulator.predict("associative-memory", dim=dims, **shared, **params)
        plot.theory_line(axes, dims, theory["test_error"], colour, label)
        few = {k: v[::3] if np.ndim(v) else v for k, v in params.items()}
        _points(
            axes, "associative-memory", "dim", dims[::3], colour, replicates, "conditional",
            **shared, **few,
        )  # fmt: skip
    plot.theory_line(
        axes, dims, theory["optimal_test_error"], "#000000", "best threshold", linestyle="--"
    )
    counts = {"num_samples": 1000.0, **shared}
    name, colour = "associative-memory.finite-data", plot.OKABE_ITO[4]
    theory = simulator.predict(name, dim=dims, **counts)
    plot.theory_line(axes, dims, theory["test_error"], colour, "seen in T = 1000")
    _points(axes, name, "dim", dims[::3], colour, replicates, "conditional", **counts)
    plot.slope_guide(axes, (30, 900), 0.25, -0.25, "$d^{-1/4}$")
    plot.slope_guide(axes, (15, 300), 0.03, -1.0, "$d^{-1}$")
    axes.set(xscale="log", yscale="log", xlabel="dimension d", ylabel="test error", ylim=(1e-3, 1))
    plot.kinds_legend(axes, beside=True)
    return figure


def plane(tokens, replicates):
    """The (dimension, samples) plane: simulation as colours, theory as contour lines."""
    figure, (axes,) = plot.panels(1, title="Fill with T tokens: error in the (d, T) plane")
    dims = np.unique(np.geomspace(10, 1000, 6).astype(int))
    samples = np.unique(np.geomspace(10, 1e4, 6).astype(int)).astype(float)
    shared = {"num_tokens": tokens, "num_classes": CLASSES, "zipf_exponent": 0.5}
    grid = {"dim": dims[None, :], "num_samples": samples[:, None]}
    found = simulator.simulate(
        "associative-memory.finite-data", replicates=replicates, method="conditional",
        **grid, **shared,
    ).mean["test_error"]  # fmt: skip
    # Contours on a finer grid than the simulation.
    x, y = np.geomspace(10, 1000, 11).astype(int), np.geomspace(10, 1e4, 11).astype(int)
    fine = {"dim": x[None, :], "num_samples": y[:, None].astype(float)}
    theory = simulator.predict("associative-memory.finite-data", **fine, **shared)["test_error"]
    colours = axes.pcolormesh(dims, samples, found, cmap="cividis", shading="nearest")
    levels = [0.05, 0.1, 0.2, 0.4, 0.6]
    lines = axes.contour(x, y, theory, levels=levels, colors="white", linewidths=1.6)
    axes.grid(False)
    axes.set(xscale="log", yscale="log", xlabel="dimension d", ylabel="tokens T")
    axes.clabel(lines, fmt="%g", fontsize=9, inline_spacing=2)
    figure.colorbar(colours, ax=axes, label="simulated error (lines: theory)")
    return figure


def remembered(tokens, replicates):
    """Which tokens a matrix stores, by rank."""
    figure, panels = plot.panels(2, title=f"Which tokens are remembered? (N = {tokens}, α = 2)")
    shown = np.arange(30)
    dims = [10, 50, 250]
    for axes, (label, params) in zip(
        panels,
        (("all stored alike", {}), ("stored by frequency", {"scheme_exponent": 1.0})),
        strict=True,
    ):
        for d, colour in zip(dims, plot.colours(dims), strict=True):
            setting = {"num_tokens": tokens, "num_classes": CLASSES, "dim": d, **params}
            theory = simulator.predict("associative-memory", **setting)["per_token_error"]
            plot.theory_line(axes, shown + 1, theory[shown], colour, f"d = {d}")
            result = simulator.simulate(
                "associative-memory", replicates=replicates, method="conditional", **setting
            )
            plot.simulation_points(
                axes,
                shown[::2] + 1,
                result.mean["per_token_error"][shown[::2]],
                result.standard_error["per_token_error"][shown[::2]],
                colour,
            )
        axes.set(xlabel="rank of the token", ylabel="error", title=label, ylim=(0, 1))
    plot.kinds_legend(panels[1], loc="lower right")
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the paper's sizes")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the PNGs")
    options = parser.parse_args()
    tokens, replicates = (1000, 400) if options.full else (200, 60)
    pictures = {
        "memory_schemes": lambda: schemes(tokens, replicates),
        "memory_plane": lambda: plane(100, replicates),
        "memory_remembered": lambda: remembered(tokens, 4 * replicates),
    }
    for file, draw in pictures.items():
        with plot.house_style():
            path = plot.save(draw(), options.out / f"{file}.png")
            print(f"{path}: {SHOWS[file]}", flush=True)


if __name__ == "__main__":
    main()
