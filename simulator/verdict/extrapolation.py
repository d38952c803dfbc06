"""From deviations at several sizes to the one at infinite size.

The relative deviation of a right asymptotic theory is ``c1 h + c2 h^2 + c3 h^3 + ...`` with
``h = size^-rate``; that of a wrong one has an intercept. One or two orders are fitted, so that
those beyond, the *omitted orders*, remain in the intercept. They do not fall with the number of
replicates, and would reject any theory in the end. How large they are at the smallest size, where
they are largest, follows from how far the deviations spread along the ladder. Let ``D`` be the
first order at the smallest size that would make up the spread. ``D`` falls as ``h``, or as ``h^2``
where the first order happens to vanish, and the first omitted order as ``h^(k+1)`` if ``k`` orders
are fitted. So it is taken to be no more than ``D^((k+1)/2)``, and not known to be less than half of
that; in between, it is what is found when it is fitted too, less two of its standard errors. More
than ``D^((k+1)/2)`` is believed where it is found: powers of the size need not be whole, along a
power law.

``SAFETY`` times that, carried over to the intercept, is never held against a theory, and it counts
against the resolution, so that nothing is overlooked silently. Neither ``D`` nor the next order
that is found depends on an intercept.

Deviations that no fit describes (beyond the 99.9 % quantile of its chi^2) tell less than their
standard errors say: small sizes may not be in the regime of the large ones at all. The variance of
the intercept then grows by the factor by which chi^2 is too large (the square of Birge's ratio);
what is added does not fall with the number of replicates.

Two orders err more and leave out less than one: what resolves more is taken. Either test alone has
the stated error rate, so that the choice, however it is made, at most doubles it; the verdict
counts two comparisons.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import scipy

MOST_ORDERS = 2
SAFETY = 2.0
LEAST = 0.5  # share of what the spread of the deviations allows that is never excluded
SURE = 2.0  # standard errors by which a next order is seen
ENOUGH = 512  # replicates whose standard errors may weigh the sizes
FITTING = 0.999  # quantile of chi^2 up to which a fit describes the deviations
LEAST_ERROR = 1e-3  # of the largest along the ladder: weights stay well conditioned


@dataclass(frozen=True)
class Omitted:
    """What omitted orders may add to an intercept.

    Attributes
    ----------
    most : array or float
        If they are as large as the spread of the deviations allows.
    seen, error : array or float
        If they are as the next order is found to be, and the standard error of that.
    """

    most: np.ndarray | float = 0.0
    seen: np.ndarray | float = 0.0
    error: np.ndarray | float = 0.0

    @property
    def bound(self) -> np.ndarray | float:
        """The deviation that they explain."""
        return np.maximum(LEAST * self.most, self.certain)

    @property
    def certain(self) -> np.ndarray | float:
        """What is found in any case."""
        return self.seen - SURE * self.error

    def mapped(self, function: Callable[[Any, Any], Any], other: "Omitted") -> "Omitted":
        """A function of each attribute and that of another one."""
        return Omitted(
            *(function(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        )

    def with_errors(self, factor: float) -> "Omitted":
        """What is expected where standard errors are so many times as large."""
        without = np.sqrt(np.maximum(np.square(self.seen) - np.square(self.error), 0.0))
        without = np.minimum(without, np.maximum(self.most, self.certain))
        error = self.error * factor
        return replace(self, seen=np.hypot(without, error), error=error)


NOTHING = Omitted()


@dataclass(frozen=True)
class Extrapolation:
    """Weights of the deviations, the sizes first, then the entries of the output.

    Attributes
    ----------
    intercept : array
    orders : tuple of array
        Of the fitted orders, each as its value at the largest size.
    next_order : array
        Of the first omitted order, as its value at the smallest size.
    share : array
        What a unit of it there adds to the intercept.
    reach : float
        The first order at the smallest size over the spread of the first order along the ladder.
    residual : array
        Weights of what is left of the deviations: (sizes, sizes, entries), the former those left.
    free : int
        Degrees of freedom of these; none where they are not known to be noise.
    """

    intercept: np.ndarray
    orders: tuple[np.ndarray, ...]
    next_order: np.ndarray
    share: np.ndarray
    reach: float
    residual: np.ndarray
    free: int

    def terms(self, deviations: np.ndarray) -> np.ndarray:
        """The fitted orders at the largest size: (orders, entries)."""
        return np.stack([(weights * deviations).sum(axis=0) for weights in self.orders])

    def omitted(self, deviations: np.ndarray, errors: np.ndarray) -> Omitted:
        """The bound on omitted orders."""
        share = SAFETY * np.abs(self.share)
        next_order = (self.next_order * deviations).sum(axis=0)
        error = np.sqrt(((self.next_order * errors) ** 2).sum(axis=0))
        first = self.reach * np.ptp(deviations, axis=0)
        power = (len(self.orders) + 1) / 2
        return Omitted(
            most=share * first**power,
            seen=share * np.abs(next_order),
            error=share * error,
        )

    def misfit(self, deviations: np.ndarray, errors: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """What deviations beside the fit add to the error of the intercept, whose noise is given.

        Its noise times the root of what chi^2 has above its quantile, per degree of freedom.
        """
        if not self.free:
            return np.zeros_like(noise)
        left = (self.residual * deviations).sum(axis=1)
        squares = np.square(left / np.where(errors > 0, errors, np.inf)).sum(axis=0)
        beyond = np.maximum(squares - scipy.stats.chi2.ppf(FITTING, self.free), 0.0)
        return noise * np.sqrt(beyond / self.free)


def possible_orders(sizes: Sequence[float]) -> range:
    """How many orders may be fitted, beginning with one, so that one more could be."""
    return range(1, max(1, min(MOST_ORDERS, len(set(sizes)) - 2)) + 1)


def extrapolation(
    sizes: Sequence[float], rate: float, orders: int, errors: np.ndarray, replicates: int
) -> Extrapolation:
    """Weights of generalised least squares; not a number where there are too few sizes.

    Parameters
    ----------
    sizes : the largest last
    rate : float
    orders : int
        To be fitted beside the intercept.
    errors : array (sizes, entries)
        Standard errors of the deviations: they weigh the sizes, where there are enough
        ``replicates``; those of a few go with the values, and variances proportional to
        ``1/size`` are taken instead.
    """
    h = np.asarray(sizes) ** -rate
    if len(set(sizes)) < orders + 2:  # one more order could not be told from the intercept
        nothing = np.full(errors.shape, np.nan)
        nothing_left = np.zeros((len(h), *errors.shape))
        return Extrapolation(nothing, (nothing,), nothing, nothing[0], np.nan, nothing_left, 0)
    scale = np.array([h[-1] ** order for order in range(orders + 1)] + [h[0] ** (orders + 1)])
    powers = h[:, None] ** np.arange(orders + 2) / scale
    noise = _noise(h, errors, replicates)
    fitted = _weights(powers[:, :-1], noise)
    share = (fitted[0] * powers[:, -1:]).sum(axis=0)
    reach = float(h[0] / (h[0] - h[-1]))
    beside = np.eye(len(h))[:, :, None] - np.einsum("ij,jkl->ikl", powers[:, :-1], fitted)
    return Extrapolation(
        intercept=fitted[0],
        orders=tuple(fitted[1:]),
        next_order=_weights(powers, noise)[-1],
        share=share,
        reach=reach,
        residual=beside,
        free=len(h) - orders - 1 if replicates >= ENOUGH else 0,
    )


def _noise(h: np.ndarray, errors: np.ndarray, replicates: int) -> np.ndarray:
    if replicates < ENOUGH:
        return np.broadcast_to(np.sqrt(h)[:, None], errors.shape)
    known = np.where(np.isfinite(errors), errors, 0.0)
    largest = known.max(axis=0)
    return np.where(largest > 0, np.maximum(known, LEAST_ERROR * largest), 1.0)


def _weights(powers: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Weights (terms, sizes, entries) of least squares with powers (sizes, terms)."""
    whitened = powers / noise.T[:, :, None]  # (entries, sizes, terms)
    return np.moveaxis(np.linalg.pinv(whitened) / noise.T[:, None, :], 0, -1)
