"""One replicate of recalling from a matrix of random associations, three ways.

All take the weights ``q(x)`` of one memory and, from ``params``, the number of classes, the
dimension, and the kinds of embedding and unembedding. The dimension may be traced: Gaussian vectors
enter through their inner products, whose law is that of a lower-trapezoidal factor (Bartlett).

Control variates: which classes have a higher score than the right one. One by one these are
Gaussian events: given the unembeddings, with inner products ``G``, and the norm ``R`` of its token,

    P(s_y > s_f) = Phi(-t_y R),  t_y = q sqrt(d) (1 - G_fy) / sqrt(sum_c (G_fc - G_yc)^2 Q_c),

exact for Gaussian embeddings, at every size. An answer is wrong if there is any.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from simulator.maths.gaussian import normal_cdf, normal_pdf
from simulator.maths.slopes import ratio, square_root
from simulator.maths.zipf import finite_law
from simulator.sampling.gamma import chi, chi_square
from simulator.studies.memory.associative_memory import _theory as _errors
from simulator.study import CONTROLS

_MOST_TOKENS = 64  # that have a control variate each
_CERTAIN = 1e9  # standard deviations of a margin without noise
_RARE = 0.05  # classes that beat a token's own: fewer are rarely seen, and have no sure slope


class Recall(NamedTuple):
    """What is found of every token."""

    error: Array  # chance of a wrong answer
    excess: Array | None  # `_excess`; None where the chances of classes are not known


def outputs(params, recall: Recall) -> dict:
    """The errors, beside the mean excess over the token law and, of few tokens, that of each."""
    found = _errors.outputs(params, recall.error)
    if recall.excess is None:
        return found
    p = finite_law(params.zipf_exponent, params.num_tokens)
    known = {"beaten": p @ recall.excess}
    if params.num_tokens <= _MOST_TOKENS:
        known["beaten_by_token"] = recall.excess
    return found | {CONTROLS: known}


def controls(params) -> dict:
    """Means of the control variates."""
    return {"beaten": jnp.zeros(()), "beaten_by_token": jnp.zeros(())}


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


def _beats(scores: Array, right: Array) -> Array:
    """1 for a higher score, 1/2 for an equal one."""
    return (scores > right) + (scores == right) / 2


def _beats_of_classes(scores: Array, classes: Array) -> Array:
    """The same, class by class; the right one does not beat itself, however a compiler rounds."""
    right = jnp.take_along_axis(scores, classes[:, None], axis=1)
    return jnp.where(jnp.arange(scores.shape[1]) == classes[:, None], 0, _beats(scores, right))


def _margins(weights: Array, products: Array, params) -> Array:
    """``t_y`` of every token, `_CERTAIN` for the right class; shape (tokens, classes).

    ``products`` are the inner products of the unembeddings.
    """
    num_classes = params.num_classes
    classes = jnp.arange(weights.shape[0]) % num_classes
    own = jnp.arange(num_classes) == classes[:, None]
    noise = _errors.noise_of_tokens(weights**2, num_classes)
    power = _by_class(jnp.concatenate([noise.own[:, None], noise.others], axis=1))
    mine = products[classes]  # G_fc
    variance = (
        jnp.sum(mine**2 * power, axis=1, keepdims=True)
        - 2 * (mine * power) @ products.T
        + power @ (products**2).T
    )
    return _in_deviations(
        jnp.where(own, 1, weights[:, None] * (1 - mine)), jnp.where(own, 0, variance), params
    )


def _in_deviations(signal: Array, variance: Array, params) -> Array:
    """Margins in standard deviations; `_CERTAIN` where there is a signal and no noise."""
    noise = square_root(jnp.maximum(variance, 0) / jnp.asarray(params.dim, float))
    return jnp.minimum(ratio(signal, noise, jnp.where(signal > 0, _CERTAIN, 0)), _CERTAIN)


def _excess(beats: Array, margins: Array, square: Array) -> Array:
    """By how many classes more than expected every token's own is beaten; 0 where that is rare.

    Minus the chances at its norm, whose square has mean 1; what they vary by with it is added to
    first order, so that the mean is 0 exactly.
    """
    varied = normal_pdf(margins) * margins / 2 * (square - 1)[:, None]
    expected = normal_cdf(-margins * jnp.sqrt(square)[:, None]) + varied
    common = jnp.sum(normal_cdf(-margins), axis=1) > _RARE
    return jnp.where(common, jnp.sum(beats - expected, axis=1), 0)


def _by_class(by_offset: Array) -> Array:
    """Columns of classes f, f + 1, ... modulo M become those of classes 0, 1, ..."""
    num_tokens, num_classes = by_offset.shape
    classes = jnp.arange(num_tokens) % num_classes
    turned = (jnp.arange(num_classes) - classes[:, None]) % num_classes
    return jnp.take_along_axis(by_offset, turned, axis=1)


def recall_directly(key: Array, weights: Array, params) -> Recall:
    """All scores ``u_y^T W e_x`` of one draw of embeddings and unembeddings."""
    key_e, key_u = jax.random.split(key)
    num_tokens, num_classes = weights.shape[0], params.num_classes
    classes = jnp.arange(num_tokens) % num_classes
    e = vectors(key_e, num_tokens, params.dim, params.embedding == "sphere")
    stored = jax.ops.segment_sum(weights[:, None] * e, classes, num_classes)  # W = sum_y u_y v_y
    products = gram(key_u, num_classes, params.dim, params.unembedding)
    scores = e @ stored.T @ products
    error = wrong(scores, classes)
    if params.embedding == "sphere":
        return Recall(error, None)
    beats = _beats_of_classes(scores, classes)
    square = jnp.sum(e**2, axis=1)
    return Recall(error, _excess(beats, _margins(weights, products, params), square))


class _Scores(NamedTuple):
    """Signal and class noises of every token, independent between tokens, in units of R / sqrt d.

    One token at a time this is the law of the direct draw; jointly it is not.
    """

    signal: Array
    g: Array  # standard normal: the noise of the token's own class over ``own``
    own: Array
    others: Array  # noises of the classes f + 1, f + 2, ... modulo M
    variances: Array  # of the differences between these and the own one
    square: Array  # R^2


def _class_scores(key, weights, params) -> _Scores:
    key_norm, key_noise = jax.random.split(key)
    num_tokens, num_classes = weights.shape[0], params.num_classes
    d = jnp.asarray(params.dim, float)
    norm = jnp.ones(num_tokens, float)
    if params.embedding == "gaussian":
        norm = jnp.sqrt(chi_square(key_norm, jnp.full(num_tokens, d)) / d)
    noise = _errors.noise_of_tokens(weights**2, num_classes)
    g = jax.random.normal(key_noise, (num_tokens, num_classes), float)
    others = g[:, 1:] * jnp.sqrt(noise.others)
    return _Scores(
        weights * norm * jnp.sqrt(d),
        g[:, 0],
        jnp.sqrt(noise.own),
        others,
        noise.own[:, None] + noise.others,
        norm**2,
    )


def recall_reduced(key: Array, weights: Array, params) -> Recall:
    """The same error of every single token from M numbers each."""
    key_tokens, key_u = jax.random.split(key)
    drawn = _class_scores(key_tokens, weights, params)
    right = drawn.signal + drawn.own * drawn.g
    activation = jnp.concatenate([right[:, None], drawn.others], axis=1)
    if params.unembedding == "orthonormal":
        # The token's class is column 0.
        error = wrong(activation, jnp.zeros(weights.shape[0], int))
        beats = _beats(drawn.others, right[:, None])
        return Recall(error, _excess_of(drawn, beats, weights, params))
    classes = jnp.arange(weights.shape[0]) % params.num_classes
    products = gram(key_u, params.num_classes, params.dim, params.unembedding)
    scores = _by_class(activation) @ products
    beats = _beats_of_classes(scores, classes)
    margins = _margins(weights, products, params)
    return Recall(wrong(scores, classes), _excess(beats, margins, drawn.square))


def _excess_of(drawn: _Scores, beats, weights, params):
    """The excess for orthonormal unembeddings."""
    margins = _in_deviations(weights[:, None], drawn.variances, params)
    return _excess(beats, margins, drawn.square)


def recall_conditionally(key: Array, weights: Array, params) -> Recall:
    """Orthonormal unembeddings: the noise of the token's own class is integrated out; else reduced.

    ``P(s + sqrt(Q_f) h < max)``: rare failures of frequent tokens get their exact probability.
    """
    if params.unembedding != "orthonormal":
        return recall_reduced(key, weights, params)
    drawn = _class_scores(key, weights, params)
    signal, others = drawn.signal, drawn.others
    best = jnp.max(others, axis=1)
    loud = drawn.own > 0
    own = jnp.where(loud, drawn.own, 1.0)
    smooth = jax.scipy.stats.norm.cdf((best - signal) / own)
    equal = 1 + jnp.sum(others == signal[:, None], axis=1)
    sharp = jnp.where(signal == best, 1 - 1 / equal, signal < best)
    beats = jnp.where(
        loud[:, None],
        normal_cdf((others - signal[:, None]) / own[:, None]),
        _beats(others, signal[:, None]),
    )
    return Recall(jnp.where(loud, smooth, sharp), _excess_of(drawn, beats, weights, params))
