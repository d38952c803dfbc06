"""Statistics of a Wishart matrix whose means are known at every size: control variates of fits.

``W`` is symmetric with ``E W_kl = m [k = l]`` and ``Var W_kl = v (1 + [k = l])``: ``X^T X / n`` of
``n`` Gaussian rows has ``m = 1``, ``v = 1/n``, that of ``n_j`` among them with a weight ``a`` has
``m = a n_j/n``, ``v = a^2 n_j/n^2``. A smooth functional of the matrix follows ``sum_k a_k W_kk``
to first order and ``sum_kl a_k W_kl^2 b_l`` to second order, with weights from its derivatives.
"""

import jax.numpy as jnp


def products(left, first, second, right):
    """``sum_kl left_k first_kl second_kl right_l``."""
    return left @ ((first * second) @ right)


def mean_products(left, right, product_of_means, variance):
    """Its mean, if one matrix is part of the other.

    Parameters
    ----------
    left, right : arrays (d,)
    product_of_means : float
        ``m m'`` of the two matrices.
    variance : float
        ``v`` of the part, which the rest is independent of.
    """
    diagonal = (product_of_means + variance) * jnp.sum(left * right)
    return variance * jnp.sum(left) * jnp.sum(right) + diagonal


def neighbours(ridge):
    """The ridge and others, whose statistics serve too; shape (3,).

    Errors are smooth in the ridge: neighbours stand for what their derivatives weigh otherwise.
    """
    return ridge * jnp.array([1.0, 0.25, 4.0])


def of_fit(fitted, missed, gram, squares=None):
    """Statistics of ``W`` that the errors of a ridge fit follow, if ``E W = 1``.

    Parameters
    ----------
    fitted : array (d,)
        ``D_k = λ_k / (λ_k + λ)``, the share of a direction that is fitted.
    missed : array (d,)
        The second moments of what is not, ``λ_k w_k^2 (1 - D_k)^2``.
    gram : array (d, d)
        ``W = X^T X / n`` of whitened rows.
    squares : array (d, d), optional
        Of the entries of ``W``, where they are known.
    """
    directions = jnp.stack([fitted, missed])
    weighed = directions @ (gram**2 if squares is None else squares) @ fitted
    return jnp.concatenate([directions @ jnp.diag(gram), weighed])


def mean_of_fit(fitted, missed, num_samples):
    """Their means."""
    squares = [mean_products(part, fitted, 1.0, 1 / num_samples) for part in (fitted, missed)]
    return jnp.stack([jnp.sum(fitted), jnp.sum(missed), *squares])
