"""Five pictures of model collapse in regression: theory as lines, simulation as points.

python scripts/plot_scaling.py            # a minute or two on two cores
python scripts/plot_scaling.py --full     # larger problems, smaller error bars
"""

import numpy as np

import simulator
from simulator import pictures


# --------------------------------------------------------------------------------------------
# ridge-collapse
# --------------------------------------------------------------------------------------------
def u_shape(size, replicates):
    """Error against ridge: the optimum moves right with every generation."""
    d = 100 * size
    figure, (axes,) = pictures.panels(1, title="Labels from n generations: regularise more")
    pictures.against(
        axes,
        "ridge-collapse",
        x={"ridge": np.geomspace(1e-3, 100, 9)},
        y="test_error",
        series={"num_generations": [0, 1, 5, 10, 20]},
        mark="minimum",
        replicates=replicates,
        dim=d,
        num_samples=3 * d,
        num_samples_generator=2 * d,
    )
    axes.set(xlabel="ridge λ", ylabel="test error (excess)")
    pictures.note(axes, "◇ best λ")
    pictures.kinds_legend(figure)
    return figure


def generations(size, replicates):
    """Linear growth with enough samples per generator, exponential forgetting without."""
    d = 60 * size
    figure, panels = pictures.panels(2, title="Error over generations, without ridge (exact)")
    pictures.against(
        panels,
        "ridge-collapse",
        x={"num_generations": [0, 1, 2, 4, 6, 8, 10]},
        y=("bias", "generator_variance"),
        series={
            "T₀ = 2d, fresh designs: linear": {"num_samples_generator": 2 * d},
            "T₀ = 3d/4, fresh designs: exponential": {"num_samples_generator": 3 * d // 4},
            "T₀ = 3d/4, one design: linear": {
                "num_samples_generator": 3 * d // 4,
                "design": "same",
            },
        },
        xscale="linear",
        yscale="linear",
        replicates=replicates,
        dim=d,
        num_samples=3 * d,
        ridge=0.0,
        noise_std=0.3,
        noise_std_generator=0.3,
    )
    for axes, title in zip(
        panels, ("signal forgotten: 1 - (T₀/d)ⁿ", "label noise piled up"), strict=True
    ):
        axes.set(title=title, xlabel="generations n")
    pictures.kinds_legend(figure)
    return figure


def scaling_law(size, replicates):
    """Error against sample size under a power law: clean, synthetic, fixed and adaptive ridge."""
    d, beta, source = 240 * size, 1.5, 0.5
    adaptive = 1 / (2 * min(source, 1) + 1 / beta)  # l_crit for max(T/T0, d/T0) of order one
    samples = np.unique(np.rint(np.geomspace(12, d / 2, 6)).astype(int))
    cases = [
        ("clean, $λ = T^{-β}$", 0, beta, -2 * beta * min(source, 1)),
        ("synthetic, $λ = T^{-β}$", 1, beta, 0.0),
        (f"synthetic, $λ = T^{{-{adaptive:.2g}}}$", 1, adaptive, -2 * source * adaptive),
    ]
    figure, (axes,) = pictures.panels(1, title="One synthetic generation changes the exponent")
    print("slope of test error against T   predicted   theory   simulation")
    for order, (label, n, power, slope) in enumerate(cases):
        ((curve,),) = pictures.against(
            axes,
            "ridge-collapse",
            x={"num_samples": samples},
            y="test_error",
            along={"ridge": lambda t, power=power: float(t) ** -power},
            series={label: {"num_generations": n}},
            first=order,
            replicates=replicates,
            dim=d,
            num_samples_generator=2 * d,
            noise_std=0.0,
            noise_std_generator=1.0,
            spectrum="power_law",
            spectrum_exponent=beta,
            source_exponent=source,
        )
        upper = slice(len(curve.line) // 2, None)
        local = np.polyfit(np.log(curve.line[upper]), np.log(curve.theory[upper]), 1)[0]
        measured = np.polyfit(np.log(samples[2:]), np.log(curve.mean[2:]), 1)[0]
        print(f"  {label.replace('$', ''):<36} {slope:>+6.2f}   {local:>+6.2f}   {measured:>+6.2f}")
        start = len(curve.line) // 3
        pictures.slope_guide(
            axes,
            pictures.Guide(
                (float(curve.line[start]), float(curve.line[-1])),
                0.6 * curve.theory[start],
                slope,
                f"$T^{{{slope:.2g}}}$",
            ),
        )
    axes.set(xlabel="samples T", ylabel="test error (excess)")
    pictures.few_log_ticks(axes.xaxis)
    pictures.kinds_legend(figure)
    return figure


# --------------------------------------------------------------------------------------------
# strong-collapse
# --------------------------------------------------------------------------------------------
def strong_collapse(size, replicates):
    """Error against sample size: any fixed synthetic fraction ends in a plateau."""
    setting = {
        "dim": 50 * size,
        "ridge": 0.0,
        "noise_std_real": 0.1,
        "noise_std_synthetic": 0.1,
        "synthetic_shift": 1.0,
    }
    fractions = [0.0, 0.01, 0.1, 0.5]
    figure, (axes,) = pictures.panels(
        1, title="Strong collapse: more data does not help", wide=True
    )
    (curves,) = pictures.against(
        axes,
        "strong-collapse",
        x={"num_samples": [200, 1000, 10_000, 100_000, 1_000_000]},
        y="test_error",
        series={f"{p:.0%} synthetic": {"synthetic_fraction": p} for p in fractions},
        replicates=replicates,
        **setting,
    )
    for fraction, curve in zip(fractions, curves, strict=True):
        place = {"xycoords": "data", "textcoords": "offset points", "va": "bottom"}
        end = (curve.line[-1], curve.theory[-1])
        pictures.note(axes, f"{fraction:.0%}", end, xytext=(8, 2), **place)
        if fraction > 0:
            floor = simulator.predict("strong-collapse", synthetic_fraction=fraction, **setting)
            axes.axhline(floor["plateau_error"], color=curve.colour, linestyle=":", linewidth=1.2)
    pictures.note(axes, "dotted: plateau $p_2^2 c^2$")
    axes.set(xlabel="samples n", ylabel="test error (excess)", xlim=(150, 2_000_000))
    pictures.kinds_legend(figure)
    return figure


def model_size(size, replicates):
    """Error against width through the interpolation threshold, for several qualities."""
    d = 120 * size
    n = 5 * d // 6
    width = np.rint(d * np.array([0.17, 0.5, 0.7, 0.83, 1.0, 1.5, 3.0, 10.0])).astype(int)
    figure, panels = pictures.panels(
        2, title="Larger models through the interpolation threshold m = n"
    )
    pictures.against(
        panels,
        "strong-collapse.random-projections",
        x={"width": width},
        y=("test_error", "synthetic_error"),
        series={f"c² = {c:g}": {"synthetic_shift": c} for c in (0.0, 0.1, 1.0)},
        yscale="linear",
        replicates=replicates,
        dim=d,
        num_samples=n,
        synthetic_fraction=0.2,
        ridge=0.01,
        noise_std_real=0.1,
        noise_std_synthetic=0.1,
    )
    for axes in panels:
        axes.axvline(n, color=pictures.KEY, linestyle=":", linewidth=1.2)
        axes.set(xlabel="model size m")
        axes.set_ylim(bottom=-0.02 * axes.get_ylim()[1])  # a line at 0 is seen
        place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        pictures.note(axes, "m = n", (n, 0.94), xytext=(4, 0), **place)
    pictures.kinds_legend(figure)
    return figure


PICTURES = {
    "u-shape": (u_shape, "ridge must grow with the number of generations"),
    "generations": (generations, "linear and exponential growth of the error"),
    "scaling-law": (scaling_law, "exponents on a power-law spectrum, clean and synthetic"),
    "strong-collapse": (strong_collapse, "plateaus for several synthetic fractions"),
    "model-size": (model_size, "model size through the interpolation threshold"),
}

if __name__ == "__main__":
    pictures.script(__doc__, PICTURES, quick=(1, 100), full=(2, 1000))
