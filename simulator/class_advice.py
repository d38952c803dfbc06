"""What three papers on Gaussian mixtures recommend for a labelled data set, and if to trust it.

>>> from simulator.class_advice import advise_classes
>>> from simulator.data import labelled
>>> print(advise_classes(labelled("my.csv", "species")))

Theory is told class means, covariance and frequencies of the two classes that are hardest to tell
apart, in at most `MAX_DIRECTIONS` principal directions. The population is the data set: experiments
draw its rows with replacement, without any Gaussian, and errors are those on all of its rows.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr

from simulator import api
from simulator.data.checks import number, numbers, whole_number
from simulator.data.classes import ClassTable
from simulator.data.files import DataError
from simulator.equality import ByValue
from simulator.maths.special_directions import coloured_accuracy
from simulator.runtime.compilation import float64_on_cpu

MAX_DIRECTIONS = 50
RESOLUTION = 0.02  # of an error: what the Gaussian picture may be wrong by
THRESHOLDS = np.linspace(-4, 4, 161)
QUOTAS = ("random", "drop", "optimal")
WEIGHTS = (1e-3, 1e3)  # of the group set


@dataclass(frozen=True)
class Prediction:
    """One prediction beside the experiments on the data."""

    what: str
    theory: float
    experiment: float
    standard_error: float

    @property
    def verdict(self) -> str:
        """Whether the Gaussian picture holds to `RESOLUTION`, at 4 standard errors."""
        deviation, noise = abs(self.experiment - self.theory), 4 * self.standard_error
        if deviation > RESOLUTION + noise:
            return "the Gaussian picture FAILS"
        return "holds" if deviation + noise <= RESOLUTION else "inconclusive"

    def __str__(self) -> str:
        return (
            f"    {self.what:<44} theory {self.theory:.3f}, experiment {self.experiment:.3f} ± "
            f"{self.standard_error:.3f}: {self.verdict}"
        )


@dataclass(frozen=True, eq=False)
class ClassDecision(ByValue):
    """What to do with a labelled data set.

    Attributes
    ----------
    name : str
    classes : (str, str)
        The two that are hardest to tell apart.
    quota : str
        The pruner of ``robust-pruning`` whose worst class does best at ``density``.
    class_density : (float, float)
        How much of either class it keeps.
    threshold : float
        Above which a verifier should accept; its score is ``N(score_gap, 1)`` for right labels and
        ``N(0, 1)`` for wrong ones.
    keep_correct, keep_incorrect : float
        The verifier's rates there.
    group_prior_weight : float or None
        The weight of a group-balanced set at which the worst group does best; None without an
        attribute.
    tests : tuple of Prediction
        Errors that theory predicts, and those of experiments on the data.
    """

    name: str
    classes: tuple[str, str]
    density: float
    quota: str
    class_density: tuple[float, float]
    threshold: float
    keep_correct: float
    keep_incorrect: float
    group_prior_weight: float | None
    tests: tuple[Prediction, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words, for JSON."""
        found = asdict(self)
        for entry, test in zip(found["tests"], self.tests, strict=True):
            entry["verdict"] = test.verdict
        return found

    def __str__(self) -> str:
        first, second = self.classes
        kept = self.class_density
        lines = [
            f"{self.name}: classes {first} and {second} are the hardest to tell apart",
            f"pruning to {self.density:.0%}: quota {self.quota}, {kept[0]:.0%} of {first} and "
            f"{kept[1]:.0%} of {second}",
            f"verifier: accept scores above {self.threshold:.2f} ({self.keep_correct:.0%} of the "
            f"right labels, {self.keep_incorrect:.0%} of the wrong ones)",
        ]
        if self.group_prior_weight is not None:
            lines.append(f"group-balanced set: weight {self.group_prior_weight:.3g}")
        return "\n".join([*lines, "errors on these rows:", *map(str, self.tests)])


def advise_classes(
    data: ClassTable,
    *,
    density: float = 0.3,
    generator_accuracy: float = 0.7,
    score_gap: float = 1.5,
    attribute: Any = None,
    num_group_samples: int = 100,
    experiments: int = 200,
    seed: int = 0,
) -> ClassDecision:
    """Pruning quota, verifier threshold and group weight for a data set, each beside experiments.

    Parameters
    ----------
    data : ClassTable
    density : float in (0, 1]
        What pruning shall keep.
    generator_accuracy : float in [0, 1]
        Of synthetic labels, of which there are as many as rows of the two classes.
    score_gap : float >= 0
        How well the verifier's score tells right labels from wrong ones.
    attribute : (num_rows,) array of two values, optional
        A spurious attribute.
    num_group_samples : int, multiple of 4
        Size of the group-balanced set.
    experiments : int >= 2
    seed : int
    """
    density = number("density", density, 1e-6, 1)
    accuracy = number("generator_accuracy", generator_accuracy, 0, 1)
    gap = number("score_gap", score_gap, 0)
    experiments = whole_number("experiments", experiments, 2)
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    pair, rows, right = _hardest_pair(data)
    names = data.names[pair[0]], data.names[pair[1]]
    quota, kept, tests = _pruning(rows, right, names, density, experiments, rng)
    threshold, more = _verifier(rows, right, accuracy, gap, experiments, rng)
    tests += more
    weight = None
    if attribute is not None:
        mine = _attribute(attribute, len(data.labels))[np.isin(data.labels, pair)]
        size = whole_number("num_group_samples", num_group_samples, 4)
        weight, more = _groups(rows, right, mine, size - size % 4, experiments, rng)
        tests += more
    return ClassDecision(
        name=data.name,
        classes=names,
        density=density,
        quota=quota,
        class_density=kept,
        threshold=threshold,
        keep_correct=float(ndtr(gap - threshold)),
        keep_incorrect=float(ndtr(-threshold)),
        group_prior_weight=weight,
        tests=tuple(tests),
    )


def _tested(what: str, theory: Any, values: Any) -> Prediction:
    values = np.asarray(values)
    error = values.std(ddof=1) / math.sqrt(len(values))
    return Prediction(what, float(theory), float(values.mean()), float(error))


def _hardest_pair(data: ClassTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two class numbers, their rows in principal directions, and which are of the second."""
    rows = data.features - data.features.mean(axis=0)
    directions = np.linalg.svd(rows.T @ rows / len(rows))[0][:, :MAX_DIRECTIONS]
    rows = rows @ directions
    means = np.stack([rows[data.labels == k].mean(axis=0) for k in range(len(data.names))])
    white = means @ _whitening(rows - means[data.labels])
    distance = np.linalg.norm(white[:, None] - white[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    pair = np.sort(np.unravel_index(np.argmin(distance), distance.shape))
    mine = np.isin(data.labels, pair)
    return pair, rows[mine], data.labels[mine] == pair[1]


def _whitening(noise: np.ndarray) -> np.ndarray:
    """A matrix ``A`` with ``A' S A = I``, directions without spread aside."""
    values, vectors = np.linalg.eigh(noise.T @ noise / len(noise))
    return vectors / np.sqrt(np.maximum(values, 1e-6 * values[-1]))


def _pruning(rows, right, names, density, experiments, rng):
    """The best quota on the line of Fisher's direction; thresholds of fewest errors."""
    means = np.stack([rows[~right].mean(axis=0), rows[right].mean(axis=0)])
    white = _whitening(rows - means[right.astype(int)])
    line = rows @ (white @ (white.T @ (means[1] - means[0])))
    classes = [line[~right], line[right]]
    scale = line.std()
    law = {
        "means": [c.mean() / scale for c in classes],
        "stds": [c.std() / scale for c in classes],
        "priors": [len(c) / len(line) for c in classes],
        "density": density,
    }
    found = {quota: api.predict("robust-pruning", pruner=quota, **law) for quota in QUOTAS}
    quota = min(QUOTAS, key=lambda name: round(float(found[name]["worst_class_risk"]), 9))
    tests = []
    for name in dict.fromkeys(("random", quota)):
        theory = api.predict(
            "robust-pruning.finite-sample", pruner=name, num_samples=max(10, len(line)), **law
        )
        numbers_kept = [
            max(1, round(float(share) * len(c)))
            for share, c in zip(found[name]["class_density"], classes, strict=True)
        ]
        risks = []
        for _ in range(experiments):
            kept = [rng.choice(c, n) for c, n in zip(classes, numbers_kept, strict=True)]
            cut = _fewest_errors(*kept)
            risks.append([np.mean(classes[0] > cut), np.mean(classes[1] <= cut)])
        for k in range(2):
            tests.append(
                _tested(
                    f"pruned by {name}: error of {names[k]}",
                    theory["class_risk"][k],
                    np.array(risks)[:, k],
                )
            )
    return quota, tuple(float(d) for d in found[quota]["class_density"]), tests


def _fewest_errors(first, second):
    """The middle of the gaps between kept points that make fewest errors."""
    x = np.concatenate([first, second])
    order = np.argsort(x, kind="stable")
    step = np.where(order < len(first), -1, 1)
    errors = np.concatenate([[0], np.cumsum(step)])
    edges = np.concatenate([[-np.inf], x[order], [np.inf]])
    best = np.flatnonzero(errors == errors.min())
    if best[0] == 0:
        return -np.inf
    return np.inf if best[-1] == len(x) else np.mean((edges[best] + edges[best + 1]) / 2)


def _verifier(rows, right, accuracy, gap, experiments, rng):
    """The best threshold for ridge regression on selected labels, both classes equally often."""
    first, second = rows[~right], rows[right]
    middle = (first.mean(axis=0) + second.mean(axis=0)) / 2
    first, second = middle - first, second - middle  # times the label
    mean = (first.mean(axis=0) + second.mean(axis=0)) / 2
    noise = [c - c.mean(axis=0) for c in (first, second)]
    values, vectors = np.linalg.eigh(sum(x.T @ x / len(x) for x in noise) / 2)
    values = np.maximum(values, 1e-9 * values[-1])
    ridge, count = float(values.mean()), len(rows)

    def rates(threshold):
        correct, wrong = accuracy * ndtr(gap - threshold), (1 - accuracy) * ndtr(-threshold)
        kept = correct + wrong
        return kept, (correct - wrong) / kept

    keep, correlation = rates(THRESHOLDS)
    with float64_on_cpu():
        predicted = np.asarray(
            jax.vmap(
                lambda m, n: coloured_accuracy(
                    jnp.asarray(values), jnp.asarray(mean @ vectors), m, n, ridge
                )
            )(jnp.asarray(correlation), jnp.asarray(count * keep))
        )
    best = int(np.argmax(predicted))
    tests = []
    for label, place in (("no verifier", 0), ("verifier at the threshold", best)):
        errors = []
        for _ in range(experiments):
            x = np.concatenate([
                first[rng.integers(len(first), size=count // 2)],
                second[rng.integers(len(second), size=count - count // 2)],
            ])  # fmt: skip
            correct = rng.uniform(size=count) < accuracy
            score = rng.standard_normal(count) + gap * correct
            kept = score > (-np.inf if place == 0 else THRESHOLDS[place])
            if not kept.any():
                errors.append(0.5)
                continue
            x, y = x[kept], np.where(correct, 1.0, -1.0)[kept]
            w = np.linalg.solve(x.T @ x / len(x) + ridge * np.eye(len(mean)), x.T @ y)
            errors.append((np.mean(first @ w <= 0) + np.mean(second @ w <= 0)) / 2)
        tests.append(_tested(f"synthetic labels, {label}", 1 - predicted[place], errors))
    return float(THRESHOLDS[best]), tests


def _attribute(values: Any, count: int) -> np.ndarray:
    values = numbers("attribute", values)
    found = np.unique(values)
    if values.shape != (count,) or len(found) != 2:
        raise DataError(
            f"attribute: {len(found)} values in {values.shape} entries; allowed: two values, one "
            f"for each of the {count} rows"
        )
    return values == found[1]


def _groups(rows, right, attribute, size, experiments, rng):
    """The best weight of a group-balanced set, in coordinates in which the noise is white."""
    agree = right == attribute
    if agree.mean() < 0.5:
        attribute, agree = ~attribute, ~agree
    cells = [(right == y) & (attribute == a) for y in (False, True) for a in (False, True)]
    if min(map(np.sum, cells)) < 4:
        raise DataError("attribute: a group has fewer than 4 rows; allowed: all four groups")
    means = np.stack([rows[cell].mean(axis=0) for cell in cells])
    group = 2 * right.astype(int) + attribute
    white = (rows - means.mean(axis=0)) @ _whitening(rows - means[group])
    centre = np.stack([white[cell].mean(axis=0) for cell in cells])
    core = (centre[2] + centre[3] - centre[0] - centre[1]) / 4
    spurious = (centre[1] + centre[3] - centre[0] - centre[2]) / 4
    law = {
        "num_samples": len(rows),
        "num_group_samples": size,
        "dim": white.shape[1],
        "core_strength": np.linalg.norm(core),
        "spurious_strength": np.linalg.norm(spurious),
        "minority_fraction": min(0.5, max(1e-6, 1 - agree.mean())),
    }
    best = api.optimise(
        "group-aware-prior", "worst_group_error", over={"group_prior_weight": WEIGHTS}, **law
    )
    weight = float(best["group_prior_weight"])
    y = np.where(right, 1.0, -1.0)
    ridge = api.get("group-aware-prior").declarations["ridge"].default
    indices = [np.flatnonzero(cell) for cell in cells]
    tests = []
    for k in (0.0, weight):
        theory = api.predict("group-aware-prior", group_prior_weight=k, **law)
        errors = []
        for _ in range(experiments):
            train = rng.integers(len(rows), size=len(rows))
            balanced = np.concatenate([rng.choice(cell, size // 4) for cell in indices])
            gram = ridge * np.eye(white.shape[1])
            moment = np.zeros(white.shape[1])
            for chosen, scale in ((train, 1.0), (balanced, k)):
                x = white[chosen]
                gram += scale * x.T @ x / len(chosen)
                moment += scale * x.T @ y[chosen] / len(chosen)
            wrong = y * (white @ np.linalg.solve(gram, moment)) <= 0
            by_cell = [wrong[cell].mean() for cell in cells]
            errors.append([(by_cell[0] + by_cell[3]) / 2, (by_cell[1] + by_cell[2]) / 2])
        for column, name in enumerate(("majority", "minority")):
            tests.append(
                _tested(
                    f"group weight {k:.3g}: {name} error",
                    theory[f"{name}_error"],
                    np.array(errors)[:, column],
                )
            )
    return weight, tests
