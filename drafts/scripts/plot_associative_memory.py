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
from simulator import plot

CLASSES = 5


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
    plot.slope_guide(axes, (30, 900), 0.2, -0.25, "$d^{-1/4}$")
    plot.slope_guide(axes, (30, 900), 0.03, -1.0, "$d^{-1}$")
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
    theory = simulator.predict("associative-memory.finite-data", **grid, **shared)["test_error"]
    found = simulator.simulate(
        "associative-memory.finite-data", replicates=replicates, method="conditional",
        **grid, **shared,
    ).mean["test_error"]  # fmt: skip
    colours = axes.pcolormesh(dims, samples, found, cmap="cividis", shading="nearest")
    lines = axes.contour(dims, samples, theory, levels=[0.1, 0.2, 0.4, 0.6], colors="white")
    axes.clabel(lines, fmt="%g", fontsize=8)
    figure.colorbar(colours, ax=axes, label="simulated test error (lines: theory)")
    axes.set(xscale="log", yscale="log", xlabel="dimension d", ylabel="tokens T")
    return figure


def remembered(tokens, replicates):
    """Which tokens a matrix stores, by rank."""
    figure, panels = plot.panels(2, title="Which tokens are remembered (α = 2)")
    ranks = np.arange(1, tokens + 1)
    dims = [10, 50, 250]
    for axes, (label, params) in zip(
        panels, (("all alike", {}), ("frequencies", {"scheme_exponent": 1.0})), strict=True
    ):
        for d, colour in zip(dims, plot.colours(dims), strict=True):
            setting = {"num_tokens": tokens, "num_classes": CLASSES, "dim": d, **params}
            theory = simulator.predict("associative-memory", **setting)["per_token_error"]
            plot.theory_line(axes, ranks, theory, colour, f"d = {d}")
            result = simulator.simulate("associative-memory", replicates=replicates, **setting)
            shown = np.unique(np.geomspace(1, tokens, 12).astype(int)) - 1
            plot.simulation_points(
                axes,
                ranks[shown],
                result.mean["per_token_error"][shown],
                result.standard_error["per_token_error"][shown],
                colour,
            )
        axes.set(xscale="log", xlabel="rank of the token", ylabel="error", title=label, ylim=(0, 1))
    plot.kinds_legend(panels[0])
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
            print(plot.save(draw(), options.out / f"{file}.png"), flush=True)


if __name__ == "__main__":
    main()
