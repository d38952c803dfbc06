"""Two scalars per generation against chains of minimum-norm fits on drawn inputs."""

import jax
import numpy as np
import pytest

from simulator.sampling.scalar_chain import isotropic_chain, squared_error
from tests.sampling.laws import CountTraces, assert_same_law, draws, minimum_norm_fit


def chain(key, norm, num_samples, dim, noise_std):
    return isotropic_chain(key, norm, 3, num_samples, dim, noise_std)


def direct_chain(num_samples, dim, noise_std, norm, num_generations, count):
    """Components along and across the teacher, for each generation."""
    rng = np.random.default_rng(12)
    teacher = np.zeros(dim)
    teacher[0] = norm
    weights = np.tile(teacher, (count, 1))
    path = [weights]
    for _ in range(num_generations):
        inputs = rng.standard_normal((count, num_samples, dim))
        labels = np.einsum("bni,bi->bn", inputs, weights)
        labels += noise_std * rng.standard_normal((count, num_samples))
        weights = minimum_norm_fit(inputs, labels)
        path.append(weights)
    path = np.stack(path, axis=1)
    return path[..., 0], np.linalg.norm(path[..., 1:], axis=-1)


@pytest.mark.parametrize(
    "num_samples, dim, noise_std",
    [(3, 8, 0.4), (1, 5, 0.3), (12, 5, 0.6), (9, 3, 0.2), (6, 2, 0.5), (2, 6, 0.0)],
)
def test_law_of_a_chain(num_samples, dim, noise_std):
    count, norm = 8000, 1.7
    along, across = direct_chain(num_samples, dim, noise_std, norm, 3, count)
    path = draws(chain, count, norm, num_samples, dim, noise_std)
    np.testing.assert_allclose(path.along[:, 0], norm, rtol=1e-6)
    for generation in (1, 2, 3):
        assert_same_law(path.along[:, generation], along[:, generation])
        assert_same_law(path.across[:, generation], across[:, generation])
        error = (along[:, generation] - norm) ** 2 + across[:, generation] ** 2
        assert_same_law(squared_error(path, norm)[:, generation], error)
    # Two generations jointly.
    assert_same_law(path.along[:, 1] * path.along[:, 3], along[:, 1] * along[:, 3])


def test_exact_mean_of_a_forgetting_chain():
    """``(norm^2 + v/(1 - eta)) (1 - eta^n)``, ``eta = N/d``, ``v = s^2 N/(d - N - 1)``."""
    # Five times the 8000 draws of the tests above: their program serves.
    parts = [draws(chain, 8000, 1.3, 60, 100, 0.5, seed=seed) for seed in range(5)]
    sample = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    eta, v = 0.6, 0.25 * 60 / 39
    for generation in range(1, 4):
        error = squared_error(sample, 1.3)[:, generation].astype(float)
        expected = (1.69 + v / (1 - eta)) * (1 - eta**generation)
        assert abs(error.mean() - expected) < 5 * error.std() / np.sqrt(error.size)


def test_nothing_to_learn_from_a_zero_labeller():
    path = draws(chain, 8000, 0.0, 4, 9, 0.0)
    assert np.all(path.along == 0)
    assert np.all(path.across == 0)


def test_one_compilation_for_all_sizes():
    sampler = CountTraces(lambda key, n, d: isotropic_chain(key, 1.0, 3, n, d, 0.1))
    for num_samples, dim in [(1, 2), (50, 70), (70, 50), (50, 50), (10**9, 10**6)]:
        path = sampler(jax.random.key(3), np.int32(num_samples), np.int32(dim))
        assert np.all(np.isfinite(path.along))
        assert np.all(path.across >= 0)
    assert sampler.traces == 1
    np.testing.assert_allclose(path.across[1] ** 2, 0.01 * 1e-3, rtol=0.02)
