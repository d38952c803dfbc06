"""Which memory does gradient descent find, and how does the step size choose its scheme?

One pass of SGD on the cross-entropy ``l = -s_y + log sum_z e^{s_z}``, ``s = u^T W e_x``, from
W = 0: T tokens in batches of B, learning rate gamma (arXiv 2310.02984, section 4),

    -grad_W l = (u_y - sum_z pi_W(z | x) u_z) e_x^T.

One step with B = T stores frequencies (rho = 1). With B = 1 and independent tokens the logit gap
of a token after n visits is ``q = F^n(0)``,

    F(q) = q + (gamma / B) (M / (M - 1)) / (1 + e^q / (M - 1))       (per visit):

``q ~ gamma n`` while small (rho = 1), ``q ~ log(M gamma n)`` later, and for gamma >~ 10 nearly
constant after one visit (fill, rho = 0): the step size interpolates between the schemes.

Theory: this *independent-token approximation* as weights of the finite-data formula. The n visits
of a token are taken as ``min(n, T/B)`` steps of equal size. It is a heuristic: for d >= 1.2 N
within 6 % at N = 100 and within 8 % at N = 20 (stated here as 10 %), 5 to 20 % pessimistic for
d ~ N/3 and gamma <= 1, and useless (3 to 4 times too high) for d < N and gamma >= 10, where SGD
corrects the interference it sees.

References
----------
Cabannes, Dohmatob, Bietti, "Scaling Laws for Associative Memories", ICLR 2024, arXiv 2310.02984.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from simulator.maths.zipf import finite_law
from simulator.parameters import choice, parameters, static, traced
from simulator.sampling import counts
from simulator.studies.memory.associative_memory import PAPER
from simulator.studies.memory.associative_memory import _theory as _errors
from simulator.studies.memory.associative_memory._simulation import wrong
from simulator.studies.memory.associative_memory.finite_data import count_values, expected_error
from simulator.study import NO_RELATION, Figure, Output, Study, approximate


@parameters
class Params:
    num_tokens: int = static(1000, at_least=2)
    num_classes: int = static(5, at_least=2)
    zipf_exponent: float = traced(2.0, symbol="α", above=0)
    dim: int = static(100, at_least=1)
    num_samples: int = static(500, symbol="T", detail="tokens", at_least=1)
    batch_size: int = static(1, detail="tokens; divides num_samples", at_least=1)
    learning_rate: float = traced(1.0, symbol="γ", above=0)
    embedding: str = choice("gaussian", ("gaussian", "sphere"))
    unembedding: str = choice("orthonormal", ("orthonormal", "sphere"))


def theory(params: Params):
    """Independent-token approximation."""
    p = finite_law(params.zipf_exponent, params.num_tokens)
    number, chance = count_values(params.num_samples, p)
    weights = logit_gap(
        number,
        params.learning_rate / params.batch_size,
        params.num_classes,
        params.num_samples // params.batch_size,
    )
    per_token = expected_error(params, weights, chance)
    return {"test_error": p @ per_token, "per_token_error": per_token}


def logit_gap(visits, rate, num_classes: int, num_steps: int):
    """``F^n(0)``: ``visits`` spread evenly over at most ``num_steps`` steps."""
    steps = jnp.ceil(jnp.minimum(visits, num_steps))
    pull = rate * visits / jnp.maximum(steps, 1) * num_classes / (num_classes - 1)

    def step(k, q):
        return jnp.where(k < steps, q + pull / (1 + jnp.exp(q) / (num_classes - 1)), q)

    return lax.fori_loop(0, num_steps, step, jnp.zeros_like(visits))


def simulate_direct(key: jax.Array, params: Params):
    """Train the d x d matrix by SGD and recall every token."""
    per_token = train(key, params, optax.sgd(params.learning_rate))
    return _errors.outputs(params, per_token)


def train(key: jax.Array, params: Params, optimizer: optax.GradientTransformation):
    """Error of every token after one pass of any optimizer (Adam at b1 = b2 = 0: sign descent)."""
    key_e, key_u, key_tokens = jax.random.split(key, 3)
    m, d = params.num_classes, params.dim
    e = jax.random.normal(key_e, (params.num_tokens, d), float) / np.sqrt(d)
    if params.embedding == "sphere":
        e = e / jnp.linalg.norm(e, axis=1, keepdims=True)
    u = jnp.eye(m, d, dtype=float)
    if params.unembedding == "sphere":
        u = jax.random.normal(key_u, (m, d), float)
        u = u / jnp.linalg.norm(u, axis=1, keepdims=True)
    classes = jnp.arange(params.num_tokens) % m
    p = finite_law(params.zipf_exponent, params.num_tokens)

    def step(carry, key):
        w, state = carry
        tokens = counts.categorical(counts.uniform(key, (params.batch_size,)), p)
        x, y = e[tokens], classes[tokens]
        missing = jax.nn.one_hot(y, m, dtype=w.dtype) - jax.nn.softmax(x @ w.T @ u.T, axis=1)
        gradient = -(missing @ u).T @ x / params.batch_size
        update, state = optimizer.update(gradient, state, w)
        return (w + update, state), None

    start = jnp.zeros((d, d), float)
    num_steps = params.num_samples // params.batch_size
    (w, _), _ = lax.scan(
        step, (start, optimizer.init(start)), jax.random.split(key_tokens, num_steps)
    )
    return wrong(e @ w.T @ u.T, classes)


def validate(params: Params, side: str) -> None:
    if params.num_samples % params.batch_size:
        raise ValueError(
            f"batch_size = {params.batch_size} is not allowed: it must divide "
            f"num_samples = {params.num_samples}"
        )
    _errors.check_dimension(params, side)


def _relation(params: Params):
    verified = params.batch_size in (1, params.num_samples)
    if params.dim < 1.2 * params.num_tokens or not verified:
        return NO_RELATION
    return approximate("independent tokens, d >= 1.2 N", accuracy=0.1)


figures = {
    "steps": Figure(
        title="SGD and the independent-token approximation",
        x="learning_rate", y=("test_error",), series="dim", replicates=50,
        grid={"learning_rate": [0.01, 0.1, 1.0, 10.0, 100.0], "dim": [10, 40, 150]},
        params={"num_tokens": 100},
        caption="The approximation (lines) fails for d < N and large steps.",
    ),
}  # fmt: skip

check_cells = (
    {"num_tokens": 20, "num_classes": 4, "zipf_exponent": 1.5, "dim": 44, "num_samples": 60,
     "learning_rate": 0.8},
    {"num_tokens": 20, "num_classes": 4, "zipf_exponent": 1.8, "dim": 30, "num_samples": 400,
     "batch_size": 400, "learning_rate": 0.5},
)  # fmt: skip

STUDY = Study(
    name="associative-memory.sgd",
    title="Recall error of an associative memory trained by one pass of SGD",
    paper=PAPER, params=Params,
    outputs=(
        Output("test_error", "probability of a wrong class after one pass", _relation),
        Output("per_token_error", "probability of a wrong class, by token", dims=("token",)),
    ),
    theory=theory, simulate_direct=simulate_direct, validate=validate, check_cells=check_cells,
    coordinates={"token": lambda params: np.arange(params.num_tokens)}, figures=figures,
)  # fmt: skip
