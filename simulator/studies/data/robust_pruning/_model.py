"""What the parts share: two classes on a line, thresholds, and how many of each class are kept.

Class ``k`` has prior ``phi_k`` and law ``N(mu_k, sigma_k²)``, ``mu_0 < mu_1``; the rule predicts 1
where ``x > t``, with risks ``R_0 = Phi((mu_0 - t)/sigma_0)``, ``R_1 = Phi((t - mu_1)/sigma_1)``. A
threshold of -inf (+inf) is the constant rule 1 (0). Pruning keeps the share ``d_k`` of class ``k``,
``density`` of all; priors become ``q_k = phi_k d_k / density``.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from simulator.maths.gaussian import normal_cdf, normal_pdf
from simulator.maths.roots import increasing_root, newton_steps
from simulator.maths.slopes import at_most, ratio, square_root
from simulator.parameters import array, choice, parameters, traced

QUOTAS = ("full", "random", "balanced", "optimal", "drop", "drop_equal_base")
PRUNERS = (*QUOTAS, "ssp")


@parameters
class ClassParams:
    """Two classes, and how much of them is kept."""

    means: tuple = array((-1.0, 1.0), dims=("class",))
    stds: tuple = array((0.5, 1.0), dims=("class",), above=0)
    priors: tuple = array((0.5, 0.5), dims=("class",), above=0)
    density: float = traced(0.5, above=0, at_most=1)
    pruner: str = choice("drop", PRUNERS)


class Classes(NamedTuple):
    """``mu``, ``sigma``, ``phi``: arrays (2,)."""

    means: Array
    stds: Array
    priors: Array

    @property
    def gap(self) -> Array:
        return self.means[1] - self.means[0]


class Rule(NamedTuple):
    """A threshold and its class risks; finite arrays only, so that derivatives are."""

    finite: Array  # the threshold where it is finite
    constant: Array  # 0, or -1 (always 1) or +1 (always 0)
    risks: Array  # (2,)

    @property
    def threshold(self) -> Array:
        infinite = jnp.where(self.constant > 0, jnp.inf, -jnp.inf)
        return jnp.where(self.constant == 0, self.finite, infinite)


def classes_of(params) -> Classes:
    """The classes of the parameters."""
    return Classes(params.means, params.stds, params.priors)


def class_counts(classes: Classes, total) -> Array:
    """``N_0 = round(phi_0 N)`` and the rest."""
    first = jnp.round(classes.priors[0] * total)
    return jnp.stack([first, total - first])


def kept_share(params) -> Array:
    """``density``, which the full set does not heed."""
    return jnp.ones(()) if params.pruner == "full" else params.density


def check_classes(params, side: str) -> Any:
    """Two classes, ordered means, priors that sum to 1; traced points are told, not refused."""
    for name in ("means", "stds", "priors"):
        values = getattr(params, name)
        if np.shape(values) != (2,):
            raise ValueError(
                f"{name} = {values} is not allowed: it must be two numbers, one per class"
            )
    ordered = params.means[0] < params.means[1]
    whole = abs(params.priors[0] + params.priors[1] - 1) <= 1e-6
    if not isinstance(ordered, jax.core.Tracer) and not ordered:
        raise ValueError(f"means = {params.means} is not allowed: the first must be the smaller")
    if not isinstance(whole, jax.core.Tracer) and not whole:
        raise ValueError(f"priors = {params.priors} is not allowed: they must sum to 1")
    return ordered & whole


# --------------------------------------------------------------------------------------------
# Thresholds
# --------------------------------------------------------------------------------------------
def class_risks(classes: Classes, threshold) -> Array:
    """``(R_0, R_1)`` at a threshold."""
    return normal_cdf(
        jnp.stack([classes.means[0] - threshold, threshold - classes.means[1]]) / classes.stds
    )


def stationary_threshold(classes: Classes, priors) -> tuple[Array, Array]:
    """``t_avg`` and the other root, a local maximum; NaN where the densities do not cross.

    ``t_avg = mu_0 + (G²/sigma_1² + 2 L)/(G/sigma_1² + sqrt(disc))``: no cancellation, also at equal
    deviations.
    """
    s0, s1 = classes.stds
    gap = classes.gap
    curvature = 1 / s0**2 - 1 / s1**2
    level = jnp.log(priors[0] * s1) - jnp.log(priors[1] * s0)
    discriminant = (gap / (s0 * s1)) ** 2 + 2 * curvature * level
    crosses = discriminant >= 0
    root = square_root(jnp.where(crosses, discriminant, 1))
    slope = gap / s1**2 + root
    flat = curvature == 0
    # Fitted means may be in the wrong order; then the textbook's form does not cancel.
    reversed_first = (root - gap / s1**2) / jnp.where(flat, 1, curvature)
    first = ratio(gap**2 / s1**2 + 2 * level, jnp.where(gap < 0, 0, slope), 0)
    first = jnp.where((gap < 0) & ~flat, reversed_first, first)
    crosses = crosses & ((gap > 0) | ~flat)
    second = -slope / jnp.where(flat, 1, curvature)
    return (
        jnp.where(crosses, classes.means[0] + first, jnp.nan),
        jnp.where(crosses & ~flat, classes.means[0] + second, jnp.nan),
    )


def best_rule(classes: Classes, priors) -> Rule:
    """The global minimiser of ``q_0 R_0 + q_1 R_1``: ``t_avg`` or a constant rule."""
    empty = priors <= 0
    safe = jnp.where(jnp.any(empty), 0.5, priors)
    threshold = stationary_threshold(classes, safe)[0]
    crosses = ~jnp.isnan(threshold) & ~jnp.any(empty)
    finite = jnp.where(crosses, threshold, 0)
    # Far out the wider class prevails, so only its constant rule can do better than t_avg: where it
    # spares more of that class's errors than it makes. Differences of tails keep their digits.
    s0, s1 = classes.stds
    wider = jnp.where(s0 == s1, priors[1] > priors[0], s1 > s0)
    risks = class_risks(classes, finite)
    below = normal_cdf((finite - classes.means) / classes.stds)
    above = normal_cdf((classes.means - finite) / classes.stds)
    spared = jnp.where(wider, priors[1] * below[1], priors[0] * above[0])
    made = jnp.where(wider, priors[0] * below[0], priors[1] * above[1])
    certain = jnp.where(wider, -1, 1)
    constant = jnp.where(crosses & (spared <= made), 0, certain)
    constant = jnp.where(priors[0] <= 0, -1, jnp.where(priors[1] <= 0, 1, constant))
    return _rule(finite, constant, risks)


def _rule(finite, constant, risks) -> Rule:
    always = jnp.where(constant < 0, jnp.asarray([1.0, 0.0]), jnp.asarray([0.0, 1.0]))
    return Rule(finite, constant, jnp.where(constant == 0, risks, always))


def minimax_risk(classes: Classes) -> Array:
    """``Phi(-G/(sigma_0 + sigma_1))``: both classes err alike."""
    return normal_cdf(-classes.gap / jnp.sum(classes.stds))


# --------------------------------------------------------------------------------------------
# Quotas
# --------------------------------------------------------------------------------------------
def saturate(density, sizes: Array, weights: Array) -> Array:
    """Class densities proportional to ``weights``, capped at 1, that keep ``density`` of all.

    What a saturated class cannot give is shared by the others in proportion to their weights, or
    equally where all of these are 0. Exact after at most as many rounds as there are classes.

    Parameters
    ----------
    density : scalar in (0, 1]
    sizes, weights : array (classes,)
        ``N_k > 0``, up to a common factor, and ``w_k >= 0``.
    """
    budget = density * jnp.sum(sizes)
    rounding = 16 * jnp.finfo(jnp.result_type(sizes, float)).eps

    def densities(open_):
        left = budget - jnp.sum(jnp.where(open_, 0, sizes))
        share = jnp.where(open_, weights, 0)
        share = jnp.where(jnp.any(share > 0), share, jnp.where(open_, 1.0, 0.0))
        return jnp.where(open_, share * ratio(left, sizes @ share), 1)

    def close(_, open_):
        # A class that is just full when nothing is pruned stays open: it keeps its slope.
        return open_ & (densities(open_) <= 1 + rounding)

    everyone = jnp.ones(sizes.shape, bool)
    return at_most(densities(lax.fori_loop(0, len(sizes), close, everyone)), 1)


def class_densities(pruner: str, density, classes: Classes, full_risks: Any) -> Array:
    """``d_k`` of a quota method; ``full_risks`` are those of the model of the full set (drop)."""
    weights = {
        "full": lambda: jnp.ones(2),
        "random": lambda: jnp.ones(2),
        "balanced": lambda: 1 / classes.priors,
        "optimal": lambda: classes.stds / classes.priors,
        "drop": lambda: full_risks,
        "drop_equal_base": lambda: full_risks / classes.priors,
    }[pruner]()
    return saturate(density, classes.priors, weights)


# --------------------------------------------------------------------------------------------
# Self-supervised prototypes: keep what is far from its class mean
# --------------------------------------------------------------------------------------------
def prune_radius(classes: Classes, density) -> Array:
    """``M`` with ``sum_k phi_k 2 Phi(-M/sigma_k) = density``."""

    def excess(radius, stds, priors, density):
        return density - 2 * priors @ normal_cdf(-radius / stds)

    everything = density >= 1
    largest = 40 * jnp.max(classes.stds)
    args = classes.stds, classes.priors
    root = increasing_root(
        excess, 1e-12 * largest, largest, *args, jnp.where(everything, 0.5, density)
    )
    return jnp.where(everything, newton_steps(excess, 0 * largest, *args, density), root)


def pruned_risk(classes: Classes, radius, threshold) -> Array:
    """Risk on what is left, ``int_t h_0 + int^t h_1`` (its total mass is the density)."""
    above = _mass_above(classes, radius, threshold)
    left = 2 * normal_cdf(-radius / classes.stds)
    return classes.priors @ jnp.stack([above[0], left[1] - above[1]])


def _mass_above(classes: Classes, radius, threshold) -> Array:
    """Per class, the share of it that is kept and above a threshold."""
    tail = normal_cdf((classes.means - threshold) / classes.stds)
    edge = normal_cdf(-radius / classes.stds)
    beyond = threshold >= classes.means + radius
    before = threshold <= classes.means - radius
    return jnp.where(beyond, tail, jnp.where(before, tail - 1 + 2 * edge, edge))


def prototype_rule(classes: Classes, radius) -> tuple[Rule, Array]:
    """The global minimiser on what is left, and whether it has jumped off the full data's."""
    roots = stationary_threshold(classes, classes.priors)
    edges = jnp.concatenate([classes.means - radius, classes.means + radius])
    infinite = jnp.asarray([-jnp.inf, jnp.inf])
    candidates = jnp.concatenate([jnp.stack(roots), edges, infinite])
    there = ~jnp.isnan(candidates)
    candidates = jnp.where(there, candidates, 0)
    risk = jnp.stack([pruned_risk(classes, radius, t) for t in candidates])
    # Where nothing is left around it, many thresholds are as good: then the full data's stays.
    risk = jnp.where(there, risk, jnp.inf).at[0].add(-1e-13)
    chosen = jnp.argmin(risk)
    constant = jnp.where(chosen == 6, -1, jnp.where(chosen == 7, 1, 0))
    finite = jnp.where(constant == 0, candidates[jnp.minimum(chosen, 5)], 0)
    return _rule(finite, constant, class_risks(classes, finite)), chosen != 0


class Pruned(NamedTuple):
    """A pruned population and the rule that it leads to."""

    classes: Classes
    density: Array
    class_density: Array  # (2,) d_k
    radius: Array  # M; 0 without one
    rule: Rule
    jumped: Array  # the rule sits at an edge of what is left (ssp)

    @property
    def kept_priors(self) -> Array:
        """``q_k``."""
        return self.classes.priors * self.class_density / self.density


def pruned(params) -> Pruned:
    """The population limit of a pruner."""
    classes, density = classes_of(params), kept_share(params)
    if params.pruner == "ssp":
        radius = prune_radius(classes, density)
        rule, jumped = prototype_rule(classes, radius)
        share = 2 * normal_cdf(-radius / classes.stds)
        return Pruned(classes, density, share, radius, rule, jumped)
    full = best_rule(classes, classes.priors)
    share = class_densities(params.pruner, density, classes, full.risks)
    rule = best_rule(classes, classes.priors * share / density)
    return Pruned(classes, density, share, 0 * density, rule, jnp.asarray(False))


def density_at(classes: Classes, threshold) -> Array:
    """``f_k(t)``."""
    return normal_pdf((threshold - classes.means) / classes.stds) / classes.stds
