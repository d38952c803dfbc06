"""How robust can a linear regression on your own table be, and what does that cost?

    python scripts/plot_own_robustness.py                                    # diabetes
    python scripts/plot_own_robustness.py --data my.csv --target price --norm linf --radius 0.1

Features and target are standardised: an attack of radius r moves every feature by at most r
standard deviations (linf), or all together (l2), or a few (l1). The table is taken as a Gaussian
population, its least-squares fit as the ground truth and the adjusted residual as label noise. What
comes out: the frontier of standard against adversarial risk, the most robust predictor for the
radius, the time to stop gradient descent at, and how far least squares is from the best; with bands
from resampled rows, and a check by attacks on the very rows.
"""

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from simulator import pictures
from simulator.data.loading import DataError, Table, from_arrays, load
from simulator.data.units import unit_columns
from simulator.maths.norms import Norm
from simulator.maths.robust_path import RULES, Problem, Setting, stopped
from simulator.maths.robust_regression import adversarial_risk, null, radius_high, truth
from simulator.runtime.compilation import float64_on_cpu

NORMS = ("l1", "l2", "linf")
BUDGETS = np.geomspace(0.01, 0.9, 24)  # the largest a, as shares of the null predictor's
TIMES = 200
BAND = (5, 95)  # percentiles
CONVERGED = 1e-6  # residuals and relative duality gaps


@dataclass(frozen=True)
class Rows:
    """A table in units of its own columns."""

    features: np.ndarray
    targets: np.ndarray
    names: tuple[str, ...]


def diabetes() -> Table:
    """The table that scikit-learn ships: ten measurements, and the disease a year later."""
    from sklearn.datasets import load_diabetes

    found = load_diabetes()
    table = from_arrays(found.data, found.target, "diabetes")
    return replace(table, names=tuple(found.feature_names))


def standardised(table: Table, one_hot: bool = False) -> Rows:
    """Columns of mean 0 and variance 1.

    Constant ones are left out; of the categories of a column the last, which the others tell.
    """
    features, spreads = unit_columns(table.features)
    targets = unit_columns(table.targets[:, None])[0][:, 0]
    names = np.array(table.names or [f"x{i}" for i in range(len(spreads))])
    kept = spreads > 0
    if one_hot:
        last = {name.rpartition("=")[0]: i for i, name in enumerate(names) if "=" in name}
        kept[list(last.values())] = False
    if not kept.all():
        left_out = "constant, or a column's last category: " + ", ".join(names[~kept])
        print(f"left out ({left_out})", file=sys.stderr)
    rows = Rows(features[:, kept], targets, tuple(names[kept]))
    if not independent(rows.features):
        raise DataError(
            f"{table.name}: {len(targets)} rows of {len(rows.names)} features that are (nearly) "
            "combinations of each other; allowed: more rows, and independent features (--drop)"
        )
    return rows


def independent(features: np.ndarray) -> bool:
    """May a regression be fitted, and its noise be told?"""
    rows, columns = features.shape
    return 0 < columns <= rows - 2 and bool(np.linalg.cond(features) < 1e8)


def drawn_again(rows: Rows, count: int, seed: int) -> list[np.ndarray]:
    """Rows of ``count`` resampled tables, in which the features are independent, too."""
    rng, size = np.random.default_rng(seed), len(rows.targets)
    found: list[np.ndarray] = []
    for _ in range(10 * count):
        index = rng.integers(0, size, size)
        if independent(rows.features[index]):
            found.append(index)
        if len(found) == count:
            return found
    raise DataError(
        f"resampled rows lose a feature nearly always ({size} rows, {len(rows.names)} features); "
        "allowed: more rows, or fewer features (--drop)"
    )


def fitted(features, targets) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Covariance, least squares, and the standard deviation of what it leaves (adjusted)."""
    n, d = features.shape
    covariance = features.T @ features / n
    weights = jnp.linalg.solve(covariance, features.T @ targets / n)
    residual = targets - features @ weights
    return covariance, weights, jnp.sqrt(jnp.sum(residual**2) / (n - d))


def analysed(features, targets, kind: str, radius, radii) -> dict[str, jax.Array]:
    """All that is reported, for one table (or a resampled one)."""
    covariance, weights, noise = fitted(features, targets)
    problem = Problem(covariance, jnp.linalg.inv(covariance), weights, Norm(kind))

    def risk(predictor, r):
        return adversarial_risk(predictor.distance, predictor.dual_norm, r, noise)

    # The optimum at the radius itself and at others, and the path's points at budgets, in one go.
    wanted = jnp.concatenate([jnp.asarray([radius]), radii])
    budgets = jnp.asarray(BUDGETS) * problem.signal()
    high = radius_high(problem, noise)
    some, others = jnp.ones_like(wanted), jnp.ones_like(budgets)
    points, errors = stopped(
        problem,
        Setting(
            jnp.concatenate([some * RULES.index("optimum"), others * RULES.index("budget")]).astype(
                int
            ),
            jnp.concatenate([jnp.minimum(wanted, 0.99 * high), others * radius]),
            jnp.full(len(wanted) + len(budgets), noise),
            jnp.concatenate([some, budgets]),
        ),
    )
    at_zero = wanted >= high
    distance = jnp.where(at_zero, problem.signal(), points.distance[: len(wanted)])
    exposed = jnp.where(at_zero, 0, points.dual_norm[: len(wanted)])
    risks = jax.vmap(lambda a, b, r: adversarial_risk(a, b, r, noise))(distance, exposed, wanted)
    tight = budgets < distance[0]  # others cost nothing
    inaccuracy = jnp.where(tight, points.distance[len(wanted) :], distance[0])
    frontier = jax.vmap(lambda a, b: adversarial_risk(a, b, radius, noise))(
        inaccuracy, jnp.where(tight, points.dual_norm[len(wanted) :], exposed[0])
    )
    best = jnp.where(at_zero[0], 0, points.weights[0])
    rates, basis = jnp.linalg.eigh(covariance)
    times = jnp.geomspace(0.01 / rates[-1], 100 / rates[0], TIMES)

    def trained(time):
        left = basis @ (jnp.exp(-time * rates) * (basis.T @ weights))
        distance = jnp.sqrt(left @ covariance @ left)
        return adversarial_risk(distance, problem.norm.dual(weights - left), radius, noise)

    path = jax.vmap(trained)(times)
    least_squares = risk(truth(problem), radius)
    return {
        "weights": best,
        "least_squares_weights": weights,
        "risk_optimal": risks[0],
        "risk_least_squares": least_squares,
        "risk_null": risk(null(problem), radius),
        "standard_risk_optimal": distance[0] ** 2 + noise**2,
        "standard_risk_least_squares": noise**2,
        "excess_of_least_squares": least_squares / risks[0],
        "curve_optimal": risks[1:],
        "curve_least_squares": jax.vmap(lambda r: risk(truth(problem), r))(radii),
        "frontier_standard": inaccuracy**2 + noise**2,
        "frontier_adversarial": frontier,
        "risk_early_stopped": jnp.min(path),
        "stopping_time": times[jnp.argmin(path)],
        "risk_path": path,
        "times": times,
        "residual": jnp.maximum(jnp.max(errors), jnp.max(points.gap)),
    }


def bootstrapped(rows: Rows, kind: str, radius: float, radii, count: int, seed: int):
    """The report of the table, and those of ``count`` tables of rows drawn with replacement."""
    chosen = drawn_again(rows, count, seed)
    with float64_on_cpu():
        features, targets = jnp.asarray(rows.features), jnp.asarray(rows.targets)

        @jax.jit
        def of_rows(index):
            return analysed(features[index], targets[index], kind, radius, jnp.asarray(radii))

        found = jax.tree.map(np.asarray, of_rows(jnp.arange(len(rows.targets))))
        others = []
        for number, index in enumerate(chosen, start=1):
            others.append(jax.tree.map(np.asarray, of_rows(jnp.asarray(index))))
            if number % 10 == 0:
                print(f"  ... {number} of {count} resampled tables", file=sys.stderr, flush=True)
    together = {name: np.stack([other[name] for other in others]) for name in found}
    worst = max(float(found["residual"]), float(np.max(together["residual"])))
    if not worst < CONVERGED:
        raise FloatingPointError(f"the path was found to {worst:.1e} only; allowed: {CONVERGED:g}")
    return found, together


def attacked(rows: Rows, weights: np.ndarray, kind: str, radius: float) -> float:
    """The mean loss on the rows themselves, each moved by its own worst perturbation."""
    with float64_on_cpu():
        direction = np.asarray(Norm(kind).maximiser(jnp.asarray(weights)))
    residual = rows.features @ weights - rows.targets
    sign = np.where(residual < 0, -1.0, 1.0)
    moved = rows.features + radius * sign[:, None] * direction
    return float(np.mean((moved @ weights - rows.targets) ** 2))


def band(others, name: str) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.percentile(others[name], BAND, axis=0)
    return low, high


def in_words(name: str, rows: Rows, kind: str, radius: float, found, others) -> list[str]:
    """The report, line by line."""

    def number(key: str) -> str:
        low, high = band(others, key)
        return f"{float(found[key]):.4g} ({low:.4g} to {high:.4g})"

    lines = [
        f"{name}: {len(rows.targets)} rows, {len(rows.names)} features, {kind} attacks of radius "
        f"{radius:g} standard deviations; in brackets 90 % of resampled tables",
        f"  least squares            standard risk {number('standard_risk_least_squares')}, "
        f"under attack {number('risk_least_squares')}",
        f"  most robust predictor    standard risk {number('standard_risk_optimal')}, "
        f"under attack {number('risk_optimal')}",
        f"  predict the mean         {number('risk_null')}",
        f"  least squares is worse by a factor {number('excess_of_least_squares')}",
        f"  stop gradient descent at t = {number('stopping_time')}: {number('risk_early_stopped')}",
    ]
    for label, key in (("least squares", "least_squares_weights"), ("most robust", "weights")):
        literal = attacked(rows, found[key], kind, radius)
        lines.append(f"  attacks on the rows themselves, {label}: {literal:.4g}")
    lines.append("  weights (least squares -> most robust):")
    for feature, before, after in zip(
        rows.names, found["least_squares_weights"], found["weights"], strict=True
    ):
        lines.append(f"    {feature:<12} {before:>9.4f} -> {after:>9.4f}")
    return lines


def drawn(name: str, kind: str, radius: float, radii, found, others):
    """Frontier, risk against the radius, and risk along training, with bands."""
    figure, (frontier, against, time) = pictures.panels(
        3, title=f"{name}, {kind} attacks: how robust, and at what price?"
    )
    hues = pictures.OKABE_ITO
    pictures.theory_line(
        frontier, found["frontier_standard"], found["frontier_adversarial"], hues[0], "frontier"
    )
    frontier.fill_between(
        found["frontier_standard"], *band(others, "frontier_adversarial"), color=hues[0], alpha=0.2
    )
    for order, (label, which) in enumerate(
        (("least squares", "least_squares"), ("most robust", "optimal")), start=1
    ):
        frontier.plot(
            found[f"standard_risk_{which}"],
            found[f"risk_{which}"],
            marker="sD"[order - 1],
            linestyle="none",
            color=hues[order],
            label=label,
        )
        key = f"curve_{which}"
        pictures.theory_line(against, radii, found[key], hues[order], label, order=order)
        against.fill_between(radii, *band(others, key), color=hues[order], alpha=0.2)
    against.axvline(radius, color=pictures.KEY, linestyle=":", linewidth=1.2)
    pictures.theory_line(
        time, found["times"], found["risk_path"], hues[4], "gradient descent", order=3
    )
    time.fill_between(found["times"], *band(others, "risk_path"), color=hues[4], alpha=0.2)
    time.axvline(float(found["stopping_time"]), color=pictures.KEY, linestyle=":", linewidth=1.2)
    time.axhline(float(found["risk_optimal"]), color=hues[2], linewidth=1)
    time.set(xscale="log", xlabel="training time t", ylabel="adversarial risk")
    frontier.set(xlabel="standard risk", ylabel=f"adversarial risk at r = {radius:g}")
    against.set(xlabel="attack radius r", ylabel="adversarial risk")
    pictures.kinds_legend(
        figure,
        theory=False,
        simulated=False,
        caption="Bands: 90 % of resampled tables. Dotted: the radius; the time to stop at.",
    )
    return figure


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="your own .csv, .parquet, .npy, .npz file")
    parser.add_argument("--target", help="column to predict")
    for flag, meaning in (
        ("--one-hot", "columns of categories: one column of 0 and 1 for each but the last"),
        ("--impute", "columns with empty cells: filled with the mean"),
        ("--drop", "columns to leave out"),
    ):
        parser.add_argument(flag, nargs="*", metavar="COLUMN", help=f"{meaning} (all if none)")
    parser.add_argument("--norm", choices=NORMS, default="l2", help="norm of the attack")
    parser.add_argument("--radius", type=float, default=0.2, help="in standard deviations")
    parser.add_argument("--resamples", type=int, default=40, help="resampled tables")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="FILE.png, beside which a FILE.json is written")
    options = parser.parse_args(arguments)
    try:
        if options.radius <= 0 or options.resamples < 2:
            raise DataError("--radius must be above 0 and --resamples at least 2")
        if options.data is None:
            table, out = diabetes(), Path("figures/robust-diabetes.png")
        else:
            if options.target is None:
                raise DataError(f"{options.data.name}: --target is needed: the column to predict")
            wishes = {name: getattr(options, name) for name in ("one_hot", "impute", "drop")}
            given = {name: wish or True for name, wish in wishes.items() if wish is not None}
            table = load(options.data, options.target, **given)
            out = Path(f"{options.data.name.split('.')[0]}-robustness.png")
        rows = standardised(table, options.one_hot is not None)
        radii = np.linspace(0.02, 3, 13) * options.radius
        found, others = bootstrapped(
            rows, options.norm, options.radius, radii, options.resamples, options.seed
        )
    except (DataError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(in_words(table.name, rows, options.norm, options.radius, found, others)))
    out = options.out or out
    with pictures.house_style():
        path = pictures.save(
            drawn(table.name, options.norm, options.radius, radii, found, others), out
        )
    report = {
        "table": table.name,
        "norm": options.norm,
        "radius": options.radius,
        "features": list(rows.names),
        "values": {key: value.tolist() for key, value in found.items()},
        "bands": {key: [side.tolist() for side in band(others, key)] for key in found},
    }
    path.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
