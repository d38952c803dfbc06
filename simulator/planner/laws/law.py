"""What a law of the loss is: a sum of positive terms, exponentials of functions of its variables.

``L = sum_k exp z_k(theta, row)``. The first variables are logarithms of the coefficients, in which
``z`` is linear; the others (exponents, sizes at which something changes) are the *outer* ones. All
derivatives follow from the shares ``q_k = exp(z_k) / L`` and the derivatives of ``z``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

#: Logarithms of coefficients stay within so much of the logarithm of the loss: a share of 1e-10.
LOG_SPAN = 23.0
Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Outer:
    """A variable that is no coefficient.

    Attributes
    ----------
    name : str
    low, high : float
        Its range, in the scale in which it is fitted.
    log : bool
        Whether it is fitted as a logarithm.
    start : (float, float) or None
        Where stage one looks, if not in the whole range.
    """

    name: str
    low: float
    high: float
    log: bool = False
    start: tuple[float, float] | None = None


@dataclass(frozen=True)
class Law:
    """A law of the loss.

    Attributes
    ----------
    name, formula : str
    needs : tuple of str
        Roles of columns that it reads, besides the loss.
    coefficients : tuple of str
        Coefficients in which the loss is linear, fitted as logarithms.
    outers : tuple of Outer
    owner : tuple of int
        The coefficient that each term is proportional to.
    prepare : callable
        ``(columns, centre) -> features``, one number a row each; ``centre`` is filled if empty.
    log_terms : callable
        ``(theta, row) -> (terms,)``, the logarithms of the terms in one row.
    raw : callable
        ``(theta, centre) -> mapping`` of the parameters as they are printed.
    linear : bool
        Whether ``log_terms`` is linear in theta.
    status : str
        Where it comes from.
    """

    name: str
    formula: str
    needs: tuple[str, ...]
    coefficients: tuple[str, ...]
    outers: tuple[Outer, ...]
    owner: tuple[int, ...]
    prepare: Callable[[Columns, dict[str, float]], dict[str, np.ndarray]]
    log_terms: Callable[[jax.Array, Mapping[str, jax.Array]], jax.Array]
    raw: Callable[[Any, Mapping[str, float]], dict[str, Any]]
    linear: bool = True
    status: str = "standard"

    @property
    def variables(self) -> tuple[str, ...]:
        """What is fitted, in order."""
        logs = tuple(f"ln {name}" for name in self.coefficients)
        return logs + tuple(f"ln {o.name}" if o.log else o.name for o in self.outers)

    @property
    def size(self) -> int:
        return len(self.coefficients) + len(self.outers)

    def bounds(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """The box of the variables; ``level`` is the mean logarithm of the loss."""
        count = len(self.coefficients)
        low = [level - LOG_SPAN] * count + [outer.low for outer in self.outers]
        high = [level + LOG_SPAN] * count + [outer.high for outer in self.outers]
        return np.array(low), np.array(high)

    def log_loss(self, theta: Any, row: Mapping[str, Any]) -> jax.Array:
        """The logarithm of the predicted loss in one row; differentiable in both."""
        return jnp.log(jnp.sum(jnp.exp(self.log_terms(theta, row))))

    def terms(self, theta: Any, row: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        """`log_terms` in one row, with gradients and Hessians in theta; None for those of lines."""
        slopes = jax.jacfwd(self.log_terms)
        curvature = None if self.linear else jax.jacfwd(slopes)(theta, row)
        return self.log_terms(theta, row), slopes(theta, row), curvature


def centred(name: str, values: np.ndarray, centre: dict[str, float], weight: Any) -> np.ndarray:
    """A logarithm minus its mean, which is kept under ``name``."""
    logs = np.log(values)
    if name not in centre:
        centre[name] = float(np.average(logs, weights=weight))
    return logs - centre[name]
