"""One replicate of recalling from a matrix of random associations, three ways.

All take the weights ``q(x)`` of one memory and, from ``params``, the number of classes, the
dimension, and the kinds of embedding and unembedding. The dimension may be traced: Gaussian vectors
enter through their inner products, whose law is that of a lower-trapezoidal factor (Bartlett).
"""

import jax
import jax.numpy as jnp
from jax import Array

from simulator.sampling.gamma import chi, chi_square
from simulator.studies.memory.associative_memory import _theory as _errors


def vectors(key: Array, count: int, dim, sphere: bool) -> Array:
    """Rows with the inner products of ``count`` vectors in ``dim`` dimensions, up to rotation.

    Gaussian ``N(0, I/d)`` or uniform on the sphere. Row i lives in its first ``min(i, d - 1) + 1``
    coordinates: normals, and on the diagonal the norm of what is left, chi with ``d - i`` degrees.
    """
    key_normal, key_chi = jax.random.split(key)
    d = jnp.asarray(dim, float)  # the root of a whole number has half the digits
    index = jnp.arange(count, dtype=float)
    normals = jax.random.normal(key_normal, (count, count), float)
    lower = (index[:, None] > index) & (index < d)
    factor = jnp.where(lower, normals, 0.0) + jnp.diag(chi(key_chi, d - index))
    if sphere:
        return factor / jnp.linalg.norm(factor, axis=1, keepdims=True)
    return factor / jnp.sqrt(d)


def gram(key: Array, num_classes: int, dim, unembedding: str) -> Array:
    """Inner products of the unembeddings."""
    if unembedding == "orthonormal":
        return jnp.eye(num_classes, dtype=float)
    factor = vectors(key, num_classes, dim, sphere=True)
    return factor @ factor.T


def wrong(scores: Array, classes: Array) -> Array:
    """Probability of a wrong answer: ties are broken uniformly; NaN where a score is.

    Scores are compared with the right one, never with their own maximum: a compiler may compute
    the two sides of such a comparison with different rounding, and nothing would be best.
    """
    own = jnp.arange(scores.shape[1]) == classes[:, None]
    right = jnp.take_along_axis(scores, classes[:, None], axis=1)
    beaten = jnp.any(~own & (scores > right), axis=1)
    equal = jnp.sum(~own & (scores == right), axis=1)
    error = jnp.where(beaten, 1.0, equal / (1.0 + equal))
    return jnp.where(jnp.any(jnp.isnan(scores), axis=1), jnp.nan, error)


def recall_directly(key: Array, weights: Array, params) -> Array:
    """All scores ``u_y^T W e_x`` of one draw of embeddings and unembeddings."""
    key_e, key_u = jax.random.split(key)
    num_tokens, num_classes = weights.shape[0], params.num_classes
    classes = jnp.arange(num_tokens) % num_classes
    e = vectors(key_e, num_tokens, params.dim, params.embedding == "sphere")
    stored = jax.ops.segment_sum(weights[:, None] * e, classes, num_classes)  # W = sum_y u_y v_y
    scores = e @ stored.T @ gram(key_u, num_classes, params.dim, params.unembedding)
    return wrong(scores, classes)


def _class_scores(key, weights, params):
    """Signal and class noises of every token, independent between tokens, in units of R / sqrt d.

    One token at a time this is the law of the direct draw; jointly it is not.
    """
    key_norm, key_noise = jax.random.split(key)
    num_tokens, num_classes = weights.shape[0], params.num_classes
    d = jnp.asarray(params.dim, float)
    norm = jnp.ones(num_tokens, float)
    if params.embedding == "gaussian":
        norm = jnp.sqrt(chi_square(key_norm, jnp.full(num_tokens, d)) / d)
    noise = _errors.noise_of_tokens(weights**2, num_classes)
    g = jax.random.normal(key_noise, (num_tokens, num_classes), float)
    others = g[:, 1:] * jnp.sqrt(noise.others)  # classes f + 1, f + 2, ... modulo M
    return weights * norm * jnp.sqrt(d), g[:, 0], jnp.sqrt(noise.own), others


def recall_reduced(key: Array, weights: Array, params) -> Array:
    """The same error of every single token from M numbers each."""
    key_tokens, key_u = jax.random.split(key)
    signal, g, own, others = _class_scores(key_tokens, weights, params)
    activation = jnp.concatenate([(signal + own * g)[:, None], others], axis=1)
    if params.unembedding == "orthonormal":
        # The token's class is column 0.
        return wrong(activation, jnp.zeros(weights.shape[0], int))
    num_classes = params.num_classes
    classes = jnp.arange(weights.shape[0]) % num_classes
    turned = (jnp.arange(num_classes) - classes[:, None]) % num_classes
    activation = jnp.take_along_axis(activation, turned, axis=1)  # by class, not by offset
    return wrong(activation @ gram(key_u, num_classes, params.dim, params.unembedding), classes)


def recall_conditionally(key: Array, weights: Array, params) -> Array:
    """Orthonormal unembeddings: the noise of the token's own class is integrated out; else reduced.

    ``P(s + sqrt(Q_f) h < max)``: rare failures of frequent tokens get their exact probability.
    """
    if params.unembedding != "orthonormal":
        return recall_reduced(key, weights, params)
    signal, _, own, others = _class_scores(key, weights, params)
    best = jnp.max(others, axis=1)
    loud = own > 0
    smooth = jax.scipy.stats.norm.cdf((best - signal) / jnp.where(loud, own, 1.0))
    equal = 1 + jnp.sum(others == signal[:, None], axis=1)
    sharp = jnp.where(signal == best, 1 - 1 / equal, signal < best)
    return jnp.where(loud, smooth, sharp)
