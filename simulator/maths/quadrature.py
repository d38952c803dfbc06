"""Gauss-Legendre quadrature: one panel, panels between edges, and panels in the logarithm.

``integral f = weights @ f(nodes)``, exact for polynomials of degree ``2 order - 1`` on every panel.
Edges may be traced; integrals follow them, derivatives too. Where an edge is only a convenience,
`jax.lax.stop_gradient` keeps it out of the derivatives.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def unit_rule(order: int) -> tuple[Float[Array, " order"], Float[Array, " order"]]:
    """Nodes and weights on [0, 1], both of shape (order,)."""
    node, weight = np.polynomial.legendre.leggauss(order)
    return jnp.asarray((node + 1) / 2, float), jnp.asarray(weight / 2, float)


def panel_table(edges: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """`panel_rule` in NumPy, for numbers that are fixed when a program is traced.

    Parameters
    ----------
    edges : ndarray (panels + 1,)
        Ascending.
    order : int
        Nodes per panel.
    """
    node, weight = np.polynomial.legendre.leggauss(order)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half + half * node).ravel(), (half * weight).ravel()


def integer_table(last: int, order: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of sums, ``sum_{k=1}^{last} f(k) = weights @ f(nodes)``.

    Every octave ``2^j <= k < 2^{j+1}`` of more than ``order`` integers has the Gauss rule of their
    counting measure (its polynomials are Gram's), exact up to degree ``2 order - 1``; the smaller
    ones are taken whole. 10^6 integers are 271 nodes.

    Parameters
    ----------
    last : int
    order : int
        Nodes of an octave.

    Returns
    -------
    nodes, weights : arrays
        Real numbers between 1 and ``last``, and how many integers each stands for.
    """
    firsts = [2**octave for octave in range(last.bit_length())]
    rules = [_octave(first, min(first, last + 1 - first), order) for first in firsts]
    nodes, weights = (np.concatenate(x) for x in zip(*rules, strict=True))
    return nodes, weights


def _octave(first: int, count: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """``count`` integers from ``first`` on: eigenvalues of the Jacobi matrix of their measure."""
    if count <= order:
        return first + np.arange(count, dtype=float), np.ones(count)
    degree = np.arange(1.0, order)
    beside = np.sqrt(degree**2 * (count**2 - degree**2) / (4 * (4 * degree**2 - 1)))
    node, vector = np.linalg.eigh(np.diag(beside, -1))
    return first + (count - 1) / 2 + node, count * vector[0] ** 2


def panel_rule(
    edges: Float[Array, " edges"], order: int
) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
    """Nodes and weights on the panels between ``edges``, both of shape (panels * order,).

    Parameters
    ----------
    edges : array (panels + 1,)
        Ascending; panels of length 0 count for nothing.
    order : int
        Nodes per panel.
    """
    node, weight = unit_rule(order)
    length = jnp.diff(edges)[:, None]
    nodes = edges[:-1, None] + length * node[None, :]
    return nodes.ravel(), (length * weight[None, :]).ravel()


def log_panel_rule(
    log_edges: Float[Array, " edges"], order: int
) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
    """`panel_rule` in ``log x``, for integrals over ``x`` from and to ``exp(log_edges)``."""
    log_x, weight = panel_rule(log_edges, order)
    x = jnp.exp(log_x)
    return x, weight * x
