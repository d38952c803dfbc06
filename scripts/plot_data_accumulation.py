"""Does collapse stop when real data are kept? Regression, a Gaussian, tokens: policy by policy.

python scripts/plot_data_accumulation.py            # two minutes on two cores
python scripts/plot_data_accumulation.py --full     # smaller error bars
"""

import numpy as np

import simulator
from simulator import pictures

NAMES = {
    "replace": "replaced",
    "accumulate": "accumulated",
    "accumulate_subsample": "accumulated, subset",
    "keep_real": "first real rows kept",
    "fresh_mix": "new real rows beside",
}
BOUNDED = ("accumulate_subsample", "accumulate", "keep_real", "fresh_mix")


def of(*policies, **more):
    """Series of policies by their names."""
    return {NAMES[policy]: {"policy": policy, **more} for policy in policies}


def ticks(panels, last):
    """Generations are whole numbers."""
    for axes in panels:
        axes.set_xticks([1, *range(5, last + 1, 5)])


def policies(replicates):
    """Bounded and unbounded side by side: the error of regression over generations."""
    figure, panels = pictures.panels(2, title="Linear regression: keep the real rows, or replace")
    generations, size = 12, 100
    setting = {
        "dim": 10,
        "num_samples": size,
        "num_samples_synthetic": size,
        "num_samples_budget": size,
        "num_generations": generations,
        "replicates": replicates // 2,
        "xscale": "linear",
        "yscale": "linear",
    }
    pictures.against(
        panels[0], "data-accumulation", x="generation", y="test_error", series=of(*BOUNDED),
        **setting,
    )  # fmt: skip
    # An equivalent for many features: ten of them would be 7 % off after twelve generations.
    few = {"dim": 40, "num_samples": 24, "num_samples_synthetic": 160, "noise_std": 0.0}
    unbounded = of("replace") | {
        "kept, fewer than features": {"policy": "keep_real", **few},
    }
    pictures.against(
        panels[1], "data-accumulation", x="generation", y="synthetic_variance", series=unbounded,
        first=len(BOUNDED), **setting,
    )  # fmt: skip
    ticks(panels, generations)
    panels[0].set(title="bounded", ylabel="test error (excess)", ylim=(0, None))
    panels[1].set(title="unbounded", ylabel="label noise of synthetic rows")
    pictures.kinds_legend(figure)
    return figure


def shares(replicates):
    """Real rows against the share of real rows: curves of equal error, many rows per feature."""
    figure, panels = pictures.panels(3, title="Real rows that hold an error: number, not share")
    shares, generations = np.linspace(0.02, 0.98, 97), 15
    for axes, policy in zip(panels, ("accumulate", "keep_real", "fresh_mix"), strict=True):
        factor = simulator.predict(
            "data-accumulation", policy=policy, dim=2, num_samples=10**6,
            num_samples_synthetic=np.rint(10**6 * (1 - shares) / shares),
            num_generations=generations,
        )["policy_factor"][:, -1]  # fmt: skip
        for order, rows in enumerate((100, 200, 400)):
            colour = pictures.OKABE_ITO[order]
            label = f"error of {rows} real rows"
            pictures.theory_line(axes, shares, rows * factor, colour, label, order=order)
            # What a simulation makes of the number of rows that the line asks for.
            some = np.array([0.2, 0.5, 0.8])
            real = np.rint(rows * np.interp(some, shares, factor)).astype(int)
            found = simulator.simulate(
                "data-accumulation.gaussian", replicates=4 * replicates, policy=policy,
                num_samples=real, num_samples_synthetic=np.rint(real * (1 - some) / some),
                num_generations=generations,
            )  # fmt: skip
            reached = found.mean["mean_error"][:, -1]
            error = found.standard_error["mean_error"][:, -1] / reached * real
            pictures.simulation_points(
                axes, some, real * reached * rows, error, colour, label=None, order=order
            )
        axes.set(title=NAMES[policy], xlabel="share of real rows", ylim=(0, None))
    panels[0].set_ylabel("real rows (per generation)")
    pictures.kinds_legend(figure)
    return figure


def gaussian(replicates):
    """What is left of the width of a Gaussian that is fitted to its own samples."""
    figure, panels = pictures.panels(2, title="A Gaussian fitted to its own samples (T = 50)")
    setting = {
        "x": "generation",
        "num_samples": 50,
        "num_samples_synthetic": 50,
        "num_samples_budget": 50,
        "num_generations": 20,
        "replicates": replicates,
        "xscale": "linear",
    }
    pictures.against(
        panels, "data-accumulation.gaussian", y=("log_determinant", "kl_divergence"),
        series=of("replace", *BOUNDED), yscale="linear", **setting,
    )  # fmt: skip
    drift = simulator.predict(
        "data-accumulation.gaussian", num_samples=50, num_samples_synthetic=50, num_generations=1
    )["log_variance_drift"]
    pictures.note(panels[0], f"replaced: {drift:.4f} per generation")
    ticks(panels, 20)
    panels[0].set(ylabel="log variance")
    panels[1].set(ylabel="KL divergence from the truth", yscale="log")
    pictures.kinds_legend(figure)
    return figure


def tokens(replicates):
    """Distinct tokens and entropy over generations of counted tokens."""
    figure, panels = pictures.panels(2, title="Zipf tokens (β = 1.5), a thousand per generation")
    pictures.against(
        panels, "data-accumulation.tokens", x="generation", y=("num_distinct_tokens", "entropy"),
        series=of("replace", *BOUNDED), xscale="linear", yscale="linear", num_generations=20,
        sampling="poisson", replicates=replicates,
    )  # fmt: skip
    law = np.arange(1, 1001.0) ** -1.5
    law = law / law.sum()
    truth = -np.sum(law * np.log(law))
    panels[1].axhline(truth, color=pictures.KEY, linestyle=":", linewidth=1.2)
    pictures.note(panels[1], "dotted: the truth")
    ticks(panels, 20)
    panels[0].set(ylabel="distinct tokens", ylim=(0, None))
    panels[1].set(ylabel="entropy (nats)")
    pictures.kinds_legend(figure)
    return figure


PICTURES = {
    "accumulation-policies": (policies, "regression over generations, bounded and unbounded"),
    "accumulation-shares": (shares, "curves of equal error over number and share of real rows"),
    "accumulation-gaussian": (gaussian, "log variance and divergence of a chain of Gaussians"),
    "accumulation-tokens": (tokens, "distinct tokens and entropy of chains of token counts"),
}

if __name__ == "__main__":
    pictures.script(__doc__, PICTURES, quick=(1000,), full=(10_000,))
