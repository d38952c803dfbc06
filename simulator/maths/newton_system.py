"""The linear system of Newton's method for a penalised empirical risk."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float


class NewtonSystem(NamedTuple):
    """``D + J^T C J - weight g g^T``: penalty, losses of the rows, and an attack that bends."""

    diagonal: Float[Array, " dim"]  # D > 0
    jacobian: Float[Array, "samples dim"]  # J, of the margins
    curvature: Float[Array, " samples"]  # C >= 0, of the losses
    weight: Float[Array, ""]
    rank_one: Float[Array, " dim"]  # g

    def along(
        self, directions: Float[Array, "dim two"], margins: Float[Array, "samples two"]
    ) -> Float[Array, "two two"]:
        """Its quadratic form between directions, whose ``margins`` are ``J directions``."""
        bend = self.rank_one @ directions
        losses = margins.T @ (self.curvature[:, None] * margins)
        penalty = directions.T @ (self.diagonal[:, None] * directions)
        return losses + penalty - self.weight * jnp.outer(bend, bend)

    def factor(self, dtype: jnp.dtype) -> "Factor":
        """By one Cholesky factorisation of order ``min(samples, dim)``, in this precision."""
        diagonal, jacobian, curvature, weight, rank_one = (x.astype(dtype) for x in self)
        root = jnp.sqrt(diagonal)
        scaled = jnp.sqrt(curvature)[:, None] * jacobian / root[None, :]
        rows, columns = scaled.shape
        small = scaled @ scaled.T if rows < columns else scaled.T @ scaled
        cholesky = jnp.linalg.cholesky(small + jnp.eye(len(small), dtype=dtype))
        straight = Factor(root, scaled, cholesky, weight, rank_one, rank_one)
        return straight._replace(towards=straight.solve_straight(rank_one))


class Factor(NamedTuple):
    """A `NewtonSystem`, factorised."""

    root: Array  # of D
    scaled: Array  # sqrt(C) J / root
    cholesky: Array  # of I + scaled^T scaled, or of I + scaled scaled^T
    weight: Array
    rank_one: Array  # g
    towards: Array  # (D + J^T C J)^-1 g

    def solve(self, right: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """``(D + J^T C J - weight g g^T)^-1 right``."""
        room = 1 - self.weight * (self.rank_one @ self.towards)
        room = jnp.maximum(room, jnp.finfo(room.dtype).eps)
        base = self.solve_straight(right.astype(self.root.dtype))
        solution = base + self.towards * (self.weight * (self.rank_one @ base) / room)
        return solution.astype(right.dtype)

    def solve_straight(self, right: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """``(D + J^T C J)^-1 right``."""
        x = right / self.root
        if len(self.cholesky) < len(self.root):
            x = x - self.scaled.T @ cho_solve((self.cholesky, True), self.scaled @ x)
        else:
            x = cho_solve((self.cholesky, True), x)
        return x / self.root
