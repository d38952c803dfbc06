"""Pictures of linear regression under attack: theory as lines, simulation as points.

python scripts/plot_robust_regression.py
python scripts/plot_robust_regression.py --full     # smaller error bars
"""

import numpy as np
from matplotlib.colors import LogNorm

import simulator
from simulator import pictures

ROBUST, STOPPING = "robust-regression", "early-stopping"


def predictors(replicates):
    """Adversarial risk against the radius, and where the optimum is an end of its path."""
    problem = {"dim": 100, "spectrum": "isotropic", "signal": "harmonic", "attack_norm": "linf"}
    radii = np.geomspace(0.03, 2.0, 9)
    figure, (axes,) = pictures.panels(1, title="Attacks on every input: who is close to the best?")
    drawn = {
        "optimal": (ROBUST, "risk_optimal", {}),
        "ground truth w0": (ROBUST, "risk_ground_truth", {}),
        "least squares, n = 300": (
            f"{ROBUST}.least-squares",
            "risk_least_squares",
            {"num_samples": 300, "noise_std": 0.5},
        ),
        "a² + r² b² regularised": (ROBUST, "risk_proximal", {}),
        "shrinkage γ w0": (ROBUST, "risk_shrinkage", {}),
    }
    for first, (label, (study, output, more)) in enumerate(drawn.items()):
        pictures.against(
            axes,
            study,
            x={"attack_radius": radii},
            y=output,
            series={label: {}},
            first=first,
            replicates=replicates if study == ROBUST else 100,
            **problem | more,
        )
    ends = simulator.predict(ROBUST, **problem)
    for name in ("radius_low", "radius_high"):
        axes.axvline(float(ends[name]), color=pictures.KEY, linestyle=":", linewidth=1.2)
    axes.set(xlabel="attack radius r", ylabel="adversarial risk")
    pictures.kinds_legend(
        figure,
        caption="w0_k = 1/k, 100 isotropic inputs; σ = 0.5 for least squares. Dotted: w0 is "
        "optimal up to here, 0 from here.",
    )
    return figure


def frontiers(replicates):
    """The price of accuracy, for several norms; and what cheap predictors lose, within bounds."""
    figure, (axes, ratios) = pictures.panels(2, title="The price of accuracy, and of convenience")
    problem = {"dim": 100, "spectrum_exponent": 1.0, "signal_exponent": 0.5}
    norms = {
        "l1": {"attack_norm": "l1"},
        "l2": {"attack_norm": "l2"},
        "l3": {"attack_norm": "lp", "attack_p": 3.0},
        "linf": {"attack_norm": "linf"},
        "Mahalanobis, B = diag(k)": {"attack_norm": "mahalanobis"},
    }
    series = {}
    for label, norm in norms.items():
        high = float(simulator.predict(ROBUST, **problem | norm)["radius_high"])
        series[label] = norm | {"attack_radius": 0.5 * high}
    budgets = np.geomspace(0.01, 1.2, 6)
    pictures.against(
        axes,
        ROBUST,
        x={"excess_error_budget": budgets},
        smooth=24,
        y="risk_constrained",
        series=series,
        replicates=replicates,
        **problem,
    )
    axes.set(xlabel="allowed inaccuracy ε", ylabel="smallest adversarial risk")
    shares = np.geomspace(0.02, 1.5, 32)
    for order, (label, norm) in enumerate(norms.items()):
        high = float(series[label]["attack_radius"]) * 2
        found = simulator.predict(ROBUST, **problem | norm, attack_radius=shares * high)
        hue = pictures.OKABE_ITO[order]
        for name, width in (("risk_proxy_minimizer", 2.4), ("risk_proximal", 1.2)):
            ratio = found[name] / found["risk_optimal"]
            pictures.theory_line(ratios, shares, ratio, hue, order=order, linewidth=width)
    cross = np.sqrt(2 / np.pi)
    for bound, text in ((2 / (1 + cross), "2/(1 + c0)"), (1 + cross, "1 + c0")):
        ratios.axhline(bound, color=pictures.KEY, linestyle=":", linewidth=1.4)
        ratios.annotate(
            text, (1.01, bound), xycoords=("axes fraction", "data"), va="center",
            color=pictures.KEY, fontsize=9,
        )  # fmt: skip
    ratios.set(xscale="log", xlabel="attack radius / radius_high", ylabel="risk / smallest risk")
    ratios.set_ylim(0.98, 1.9)
    pictures.kinds_legend(
        figure,
        caption="λ_k = 1/k, w0_k² = k^-½, d = 100. Left: radius half of that from which 0 is "
        "optimal. Right: minimiser of (s + r b)² (thick) and of a² + r² b² (thin); dotted: what is "
        "proven for them.",
    )
    return figure


def training(replicates):
    """Risk along training, its best time, and what estimating first and robustifying leaves."""
    problem = {"dim": 200, "spectrum_exponent": 1.0, "signal_exponent": 0.5, "noise_std": 0.5}
    times, fine = np.geomspace(0.1, 1000, 9), np.geomspace(0.1, 1000, 60)
    radii, numbers = (0.1, 0.2), (400, 4000)
    figure, panels = pictures.panels(len(radii), title="When to stop, if you will be attacked")
    clean = {name: value for name, value in problem.items() if name != "noise_std"}
    study = f"{STOPPING}.finite-sample"
    for axes, radius in zip(panels, radii, strict=True):
        given = {"attack_radius": radius}
        for order, n in enumerate(numbers):
            hue, mine = pictures.OKABE_ITO[order], problem | given | {"num_samples": n}
            line = simulator.predict(study, times=fine, **mine)["risk_path"]
            drawn = simulator.simulate(study, replicates=min(replicates, 40), times=times, **mine)
            found = drawn["risk_path"]
            label = f"gradient flow, n = {n}"
            pictures.theory_line(axes, fine, line, hue, label, order=order)
            pictures.simulation_points(
                axes, times, found.mean, found.standard_error, hue, order=order
            )
        path = simulator.predict(STOPPING, **clean | given, times=fine)
        hue = pictures.OKABE_ITO[2]
        pictures.theory_line(axes, fine, path["risk_path"], hue, "n = ∞", order=2)
        axes.axvline(float(path["stopping_time"]), color=pictures.KEY, linestyle=":", linewidth=1.2)
        for order, n in enumerate(numbers, start=3):
            two = simulator.predict(f"{STOPPING}.two-stage", **problem | given, num_samples=n)
            level = float(two["risk_two_stage"])
            hue = pictures.OKABE_ITO[order]
            level_line = [level, level]
            ends = [fine[0], fine[-1]]
            pictures.theory_line(axes, ends, level_line, hue, f"two-stage, n = {n}", order=order)
        best = float(path["risk_optimal"])
        axes.axhline(best, color=pictures.KEY, linewidth=0.8)
        axes.set(xscale="log", yscale="log", xlabel="training time t", title=f"r = {radius:g}")
        axes.set_ylabel("adversarial risk")
        pictures.few_log_ticks(axes.yaxis)
    pictures.kinds_legend(
        figure,
        caption="λ_k = 1/k, w0_k² = k^-½, d = 200, σ = 0.5. Dotted: the best time for n = ∞. "
        "Thin grey: the smallest risk of all predictors.",
    )
    return figure


def phases(replicates):
    """How much the optimum gains over the ground truth, over radius and source exponent."""
    del replicates  # theory alone
    radii, exponents = np.geomspace(3e-3, 3, 28), np.linspace(0, 2, 18)
    found = simulator.predict(
        ROBUST, dim=300, attack_radius=radii[:, None], signal_exponent=exponents[None, :]
    )
    gain = found["risk_ground_truth"] / found["risk_optimal"]
    figure, (axes,) = pictures.panels(1, title="Robustness is free above δ = 1")
    mesh = axes.pcolormesh(
        radii, exponents, gain.T, norm=LogNorm(1, 100), cmap="viridis", shading="gouraud"
    )
    bar = figure.colorbar(mesh, ax=axes)
    bar.set_label("risk of the ground truth / optimum")
    axes.axhline(1, color="white", linestyle="--", linewidth=1.5)
    for name, style in (("radius_low", "-"), ("radius_high", ":")):
        axes.plot(found[name][0], exponents, color="white", linestyle=style, linewidth=1.5)
    for text, place in (("w0 is optimal", (0.02, 0.9)), ("0 is", (0.87, 0.9))):
        pictures.note(axes, text, place, color="white")
    axes.grid(False)
    axes.set(xscale="log", xlabel="attack radius r", ylabel="source exponent δ")
    axes.set_xlim(radii[0], radii[-1])
    return figure


PICTURES = {
    "robust-regression": (predictors, "adversarial risk against the radius"),
    "robust-regression-frontier": (frontiers, "smallest risk under a budget, for several norms"),
    "robust-regression-phases": (phases, "gain over the ground truth, by radius and exponent"),
    "early-stopping": (training, "risk along training, stopping times and two-stage estimators"),
}

if __name__ == "__main__":
    pictures.script(__doc__, PICTURES, quick=(4000,), full=(100_000,))
