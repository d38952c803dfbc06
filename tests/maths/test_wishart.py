"""Statistics of Wishart matrices against their means, by Monte-Carlo and by hand."""

import jax
import numpy as np
import pytest

from simulator.maths.wishart import mean_of_fit, mean_products, of_fit, products

LEFT, RIGHT = np.array([1.0, 0.3, 0.1]), np.array([0.2, 0.9, 0.5])


@pytest.mark.parametrize(("rows", "weight"), [(5, 1.0), (4, 1.7)])
def test_means_of_products_of_a_part_and_the_whole(rows, weight):
    """``rows`` of 12 samples have a weight; the part's variance is what the two share."""
    rng, n, draws = np.random.default_rng(0), 12, 40_000
    x = rng.standard_normal((draws, n, 3))
    part = weight * np.einsum("rik,ril->rkl", x[:, :rows], x[:, :rows]) / n
    whole = part + np.einsum("rik,ril->rkl", x[:, rows:], x[:, rows:]) / n
    m, v = weight * rows / n, weight**2 * rows / n**2
    total_m, total_v = m + (n - rows) / n, v + (n - rows) / n**2
    for first, second, product_of_means, variance in (
        (part, part, m * m, v),
        (part, whole, m * total_m, v),
        (whole, whole, total_m**2, total_v),
    ):
        found = np.einsum("k,rkl,rkl,l->r", LEFT, first, second, RIGHT)
        error = found.std() / np.sqrt(draws)
        expected = float(mean_products(LEFT, RIGHT, product_of_means, variance))
        assert abs(found.mean() - expected) < 4 * error
    np.testing.assert_allclose(
        float(products(LEFT, part[0], whole[0], RIGHT)),
        LEFT @ (part[0] * whole[0]) @ RIGHT,
        rtol=1e-5,
    )


def test_means_of_what_a_fit_follows():
    rng, n, draws = np.random.default_rng(1), 7, 40_000
    x = rng.standard_normal((draws, n, 3))
    grams = np.einsum("rik,ril->rkl", x, x) / n
    missed = np.array([0.2, 0.7, 0.4])
    found = np.asarray(jax.vmap(of_fit, (None, None, 0))(LEFT, missed, grams))
    error = found.std(axis=0) / np.sqrt(draws)
    assert np.all(np.abs(found.mean(axis=0) - mean_of_fit(LEFT, missed, n)) < 4 * error)
