"""Five pictures of model collapse in regression: theory as lines, simulation as points.

    python scripts/plot_scaling.py            # a minute or two on two cores
    python scripts/plot_scaling.py --full     # larger problems, smaller error bars

Every curve is `simulator.predict`, every point `simulator.simulate`, at the same parameters.
"""

import argparse
import os
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # many small matrices: BLAS threads only collide

import numpy as np

import simulator
from simulator.pictures import style as plot


def curves(panels, colour, label, name, x, *, replicates, dense, **params):
    """Theory along ``dense`` as a line, simulation at ``x`` as points; returns all outputs of both.

    ``x`` and ``dense`` are mappings parameter -> values; the first one is the horizontal axis.
    ``panels`` maps each output that is drawn to its axes.
    """
    axis = next(iter(x))
    theory = simulator.predict(name, **params, **dense)
    result = simulator.simulate(name, replicates=replicates, **params, **x)
    for output, axes in panels.items():
        plot.theory_line(axes, dense[axis], theory[output], colour, label)
        plot.simulation_points(
            axes, x[axis], result.mean[output], result.standard_error[output], colour
        )
    return theory, result.mean


def whole(values):
    """Distinct whole numbers near the values."""
    return np.unique(np.rint(values).astype(int))


# --------------------------------------------------------------------------------------------
# ridge-collapse
# --------------------------------------------------------------------------------------------
def u_shape(size, replicates):
    """Error against ridge: the optimum moves right with every generation."""
    d = 100 * size
    setting = {"dim": d, "num_samples": 3 * d, "num_samples_generator": 2 * d}
    dense = np.geomspace(1e-3, 100, 201)
    generations = [0, 1, 5, 10, 20]
    figure, (axes,) = plot.panels(
        1, legend_beside=True, title="Labels from n generations: regularise more"
    )
    for n, colour in zip(generations, plot.colours(generations), strict=True):
        theory, _ = curves(
            {"test_error": axes},
            colour,
            f"n = {n}",
            "ridge-collapse",
            {"ridge": np.geomspace(1e-3, 100, 9)},
            dense={"ridge": dense},
            replicates=replicates,
            num_generations=n,
            **setting,
        )
        plot.mark_minimum(axes, dense, theory["test_error"], colour)
    axes.set(xscale="log", yscale="log", xlabel="ridge λ", ylabel="test error (excess)")
    axes.annotate("◇ best λ", (0.02, 0.03), xycoords="axes fraction", fontsize=8.5)
    plot.kinds_legend(axes, beside=True)
    return figure


def generations(size, replicates):
    """Linear growth with enough samples per generator, exponential forgetting without."""
    d = 60 * size
    setting = {
        "dim": d,
        "num_samples": 3 * d,
        "ridge": 0.0,
        "noise_std": 0.3,
        "noise_std_generator": 0.3,
    }
    counts, every = [0, 1, 2, 4, 6, 8, 10], list(range(11))
    cases = [
        ("T0 = 2d, fresh designs: linear", 2 * d, "independent"),
        ("T0 = 3d/4, fresh designs: exponential", 3 * d // 4, "independent"),
        ("T0 = 3d/4, one design: linear", 3 * d // 4, "same"),
    ]
    figure, panels = plot.panels(2, title="Error over generations, without ridge (exact)")
    for (label, samples, design), colour in zip(cases, plot.OKABE_ITO, strict=False):
        chain = setting | {"num_samples_generator": samples, "design": design}
        line = simulator.sweep("ridge-collapse", {"num_generations": every}, replicates=0, **chain)
        tree = simulator.sweep(
            "ridge-collapse", {"num_generations": counts}, replicates=replicates, **chain
        )
        for axes, output in zip(panels, ("bias", "generator_variance"), strict=True):
            plot.theory_line(axes, every, line["theory"][output], colour, label)
            plot.simulation_points(
                axes, counts, tree["mean"][output], tree["standard_error"][output], colour
            )
            axes.set(xlabel="generations n", ylabel=plot.readable(output))
    panels[0].set_title("signal forgotten: 1 - (T0/d)ⁿ")
    panels[1].set_title("label noise piled up")
    plot.kinds_legend(panels[0], loc="upper left", bbox_to_anchor=(0, 0.98))
    panels[0].set_ylim(top=1.75)
    return figure


def scaling_law(size, replicates):
    """Error against sample size under a power law: clean, synthetic, fixed and adaptive ridge."""
    d, beta, source = 240 * size, 1.5, 0.5
    setting = {
        "dim": d,
        "num_samples_generator": 2 * d,
        "noise_std": 0.0,
        "noise_std_generator": 1.0,
        "spectrum": "power_law",
        "spectrum_exponent": beta,
        "source_exponent": source,
    }
    adaptive = 1 / (2 * min(source, 1) + 1 / beta)  # l_crit for max(T/T0, d/T0) of order one
    samples = whole(np.geomspace(12, d / 2, 6))
    dense = whole(np.geomspace(12, d / 2, 60))
    cases = [
        ("clean, $λ = T^{-β}$", 0, beta, -2 * beta * min(source, 1)),
        ("synthetic, $λ = T^{-β}$", 1, beta, 0.0),
        (f"synthetic, $λ = T^{{-{adaptive:.2g}}}$", 1, adaptive, -2 * source * adaptive),
    ]
    figure, (axes,) = plot.panels(
        1, legend_beside=True, title="One synthetic generation changes the exponent"
    )
    print("slope of test error against T   predicted   theory   simulation")
    for (label, n, power, slope), colour in zip(cases, plot.OKABE_ITO, strict=False):
        theory, mean = curves(
            {"test_error": axes},
            colour,
            label,
            "ridge-collapse",
            {"num_samples": samples, "ridge": samples ** -float(power)},
            dense={"num_samples": dense, "ridge": dense ** -float(power)},
            replicates=replicates,
            num_generations=n,
            **setting,
        )
        upper = slice(len(dense) // 2, None)
        theory, mean = theory["test_error"], mean["test_error"]
        local = np.polyfit(np.log(dense[upper]), np.log(theory[upper]), 1)[0]
        measured = np.polyfit(np.log(samples[2:]), np.log(mean[2:]), 1)[0]
        print(f"  {label.replace('$', ''):<36} {slope:>+6.2f}   {local:>+6.2f}   {measured:>+6.2f}")
        plot.slope_guide(
            axes,
            (float(dense[20]), float(dense[-1])),
            0.6 * theory[20],
            slope,
            f"$T^{{{slope:.2g}}}$",
        )
    axes.set(xscale="log", yscale="log", xlabel="samples T", ylabel="test error (excess)")
    plot.few_log_ticks(axes.xaxis)
    plot.kinds_legend(axes, beside=True)
    return figure


# --------------------------------------------------------------------------------------------
# strong-collapse
# --------------------------------------------------------------------------------------------
def strong_collapse(size, replicates):
    """Error against sample size: any fixed synthetic fraction ends in a plateau."""
    d = 50 * size
    setting = {
        "dim": d,
        "ridge": 0.0,
        "noise_std_real": 0.1,
        "noise_std_synthetic": 0.1,
        "synthetic_shift": 1.0,
    }
    samples = np.array([200, 1000, 10_000, 100_000, 1_000_000])
    dense = whole(np.geomspace(samples[0], samples[-1], 80))
    fractions = [0.0, 0.01, 0.1, 0.5]
    figure, (axes,) = plot.panels(
        1, legend_beside=True, title="Strong collapse: more data does not help"
    )
    for fraction, colour in zip(fractions, plot.colours(fractions), strict=True):
        curves(
            {"test_error": axes},
            colour,
            f"{fraction:.0%} synthetic",
            "strong-collapse",
            {"num_samples": samples},
            dense={"num_samples": dense},
            replicates=replicates,
            synthetic_fraction=fraction,
            **setting,
        )
        floor = simulator.predict("strong-collapse", synthetic_fraction=fraction, **setting)
        if fraction:
            axes.axhline(floor["plateau_error"], color=colour, linestyle=":", linewidth=1.2)
    axes.annotate(
        "dotted: plateau $p_2^2 c^2$", (0.03, 0.05), xycoords="axes fraction", fontsize=8.5
    )
    axes.set(xscale="log", yscale="log", xlabel="samples n", ylabel="test error (excess)")
    plot.kinds_legend(axes, beside=True)
    return figure


def model_size(size, replicates):
    """Error against width through the interpolation threshold, for several qualities."""
    d = 120 * size
    n = 5 * d // 6
    setting = {
        "dim": d,
        "num_samples": n,
        "synthetic_fraction": 0.2,
        "ridge": 0.01,
        "noise_std_real": 0.1,
        "noise_std_synthetic": 0.1,
    }
    width = whole(d * np.array([0.17, 0.5, 0.7, 0.83, 1.0, 1.5, 3.0, 10.0]))
    dense = whole(np.geomspace(width[0], width[-1], 90))
    figure, panels = plot.panels(2, title="Larger models through the interpolation threshold m = n")
    outputs = dict(zip(("test_error", "synthetic_error"), panels, strict=True))
    for shift, colour in zip([0.0, 0.1, 1.0], plot.OKABE_ITO, strict=False):
        curves(
            outputs if shift > 0 else {"test_error": panels[0]},
            colour,
            f"c² = {shift:g}",
            "strong-collapse.random-projections",
            {"width": width},
            dense={"width": dense},
            replicates=replicates,
            synthetic_shift=shift,
            **setting,
        )
    for output, axes in outputs.items():
        axes.axvline(n, color="#888888", linestyle="--", linewidth=1)
        axes.set(xscale="log", xlabel="model size m", ylabel=plot.readable(output))
        axes.set_ylim(bottom=0)
    plot.kinds_legend(panels[0], loc="lower left")
    panels[1].annotate(
        "m = n",
        (n, 0.02),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        xytext=(4, 0),
        fontsize=8.5,
    )
    return figure


PICTURES = {
    "u_shape": (u_shape, "ridge must grow with the number of generations"),
    "generations": (generations, "linear and exponential growth of the error"),
    "scaling_law": (scaling_law, "exponents on a power-law spectrum, clean and synthetic"),
    "strong_collapse": (strong_collapse, "plateaus for several synthetic fractions"),
    "model_size": (model_size, "model size through the interpolation threshold"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="publication quality")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the PNGs")
    parser.add_argument("--only", choices=sorted(PICTURES), help="draw one picture")
    options = parser.parse_args()
    size, replicates = (2, 1000) if options.full else (1, 100)
    for name, (draw, meaning) in PICTURES.items():
        if options.only in (None, name):
            with plot.house_style():
                path = plot.save(draw(size, replicates), options.out / f"{name}.png")
            print(f"{path}: {meaning}", flush=True)


if __name__ == "__main__":
    main()
