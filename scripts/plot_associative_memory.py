"""Pictures of associative memories: what a d x d matrix remembers of a Zipf vocabulary.

python scripts/plot_associative_memory.py           # a few minutes on two cores
python scripts/plot_associative_memory.py --full    # the paper's sizes, smaller error bars
"""

import numpy as np
from scipy.interpolate import RectBivariateSpline

import simulator
from simulator import pictures

CLASSES = 5


def schemes(tokens, replicates):
    """Error against dimension for all schemes, with the predicted exponents."""
    figure, (axes,) = pictures.panels(
        1, title=f"N = {tokens} tokens, α = 2: which weights remember most?"
    )
    dims = [10, 30, 100, 300, 1000]
    shared = {"num_tokens": tokens, "num_classes": CLASSES}
    sampled = {"method": "conditional", "replicates": replicates}
    cases = [
        ("all alike, ρ = 0", {}, None),
        ("frequencies, ρ = 1", {"scheme_exponent": 1.0}, None),
        ("ρ = 1/2", {"scheme_exponent": 0.5}, None),
        ("head, P = d/8", {}, {"threshold": lambda d: max(d // 8, 1)}),
    ]
    for order, (label, scheme, along) in enumerate(cases):
        pictures.against(
            axes,
            "associative-memory",
            x={"dim": dims},
            y="test_error",
            series={label: scheme},
            along=along,
            first=order,
            **sampled,
            **shared,
        )
    pictures.against(
        axes,
        "associative-memory.finite-data",
        x={"dim": dims},
        y="test_error",
        series={"seen in T = 1000": {"num_samples": 1000.0}},
        first=len(cases),
        smooth=32,  # every point is an average over all tokens' laws
        **sampled,
        **shared,
    )
    dense = np.unique(np.geomspace(10, 1000, 33).astype(int))
    best = simulator.predict("associative-memory", dim=dense, **shared)["optimal_test_error"]
    pictures.theory_line(axes, dense, best, "black", "best threshold", linestyle=":")
    for guide in (
        pictures.Guide((30, 900), 0.25, -0.25, "$d^{-1/4}$"),
        pictures.Guide((15, 300), 0.03, -1.0, "$d^{-1}$"),
    ):
        pictures.slope_guide(axes, guide)
    axes.set(xlabel="dimension d", ylim=(1e-3, 1))
    pictures.kinds_legend(figure)
    return figure


def plane(tokens, replicates):
    """The (dimension, samples) plane: theory as a map, simulation as numbers beside it."""
    figure, (axes,) = pictures.panels(1, title="Fill with T tokens: error in the (d, T) plane")
    shared = {"num_tokens": tokens, "num_classes": CLASSES, "zipf_exponent": 0.5}
    dims, samples = np.geomspace(10, 1000, 13).round(), np.geomspace(10, 1e4, 13).round()
    exact = {"dim": dims[None, :].astype(int), "num_samples": samples[:, None]}
    theory = simulator.predict("associative-memory.finite-data", **exact, **shared)["test_error"]
    # Smooth in the logarithms: cubic splines through 13 x 13 points are off by less than 0.001.
    surface = RectBivariateSpline(np.log(samples), np.log(dims), theory)
    dims, samples = np.geomspace(10, 1000, 121), np.geomspace(10, 1e4, 121)
    theory = surface(np.log(samples), np.log(dims))
    grid = {"dim": np.array([16, 60, 250, 900])[None, :],
            "num_samples": np.array([20.0, 120.0, 900.0, 6000.0])[:, None]}  # fmt: skip
    found = simulator.simulate(
        "associative-memory.finite-data",
        replicates=replicates,
        method="conditional",
        **grid,
        **shared,
    ).mean["test_error"]
    axes.set(xscale="log", yscale="log", xlabel="dimension d", ylabel="tokens T")
    shown = {"cmap": "viridis", "vmin": 0, "vmax": 0.8}
    colours = axes.pcolormesh(dims, samples, theory, shading="gouraud", **shown)
    lines = axes.contour(
        dims, samples, theory, levels=[0.05, 0.1, 0.2, 0.4, 0.6], colors="white",
        linewidths=1.4,
    )  # fmt: skip
    axes.clabel(lines, fmt="%g", fontsize=9, inline_spacing=4)
    x, y = np.broadcast_arrays(grid["dim"], grid["num_samples"])
    axes.scatter(x, y, c=found, s=70, edgecolors="black", linewidths=1.2, zorder=3, **shown)
    axes.grid(False)
    figure.colorbar(colours, ax=axes, label="test error: map theory, discs simulation")
    return figure


def remembered(tokens, replicates):
    """Which tokens a matrix stores, by rank."""
    figure, panels = pictures.panels(2, title=f"Which tokens are remembered? (N = {tokens}, α = 2)")
    cases = {"all stored alike": 0.0, "stored by frequency": 1.0}
    for axes, (label, scheme) in zip(panels, cases.items(), strict=True):
        pictures.against(
            axes,
            "associative-memory",
            x="token",
            y="per_token_error",
            series={"dim": [10, 50, 250]},
            xscale="linear",
            yscale="linear",
            method="conditional",
            replicates=replicates,
            num_tokens=tokens,
            num_classes=CLASSES,
            scheme_exponent=scheme,
        )
        axes.set(
            xlabel="rank of the token, from 0",
            ylabel="error",
            title=label,
            xlim=(0, 30),
            ylim=(0, 1),
        )
    pictures.kinds_legend(figure)
    return figure


PICTURES = {
    "memory-schemes": (schemes, "error against dimension for all schemes, with exponents"),
    "memory-plane": (lambda _, replicates: plane(100, replicates), "error in the (d, T) plane"),
    "memory-remembered": (
        lambda tokens, replicates: remembered(tokens, 4 * replicates),
        "which tokens a matrix remembers, by rank",
    ),
}

if __name__ == "__main__":
    pictures.script(__doc__, PICTURES, quick=(200, 60), full=(1000, 400))
