"""Reference values of arXiv 2310.02984 (see the study) and wrong versions of its theory.

Monte-Carlo means of the reduced simulation (mean, standard error), independent of this package.
"""

import functools

import jax
import numpy as np

from simulator.studies.memory.associative_memory import _errors
from simulator.studies.memory.associative_memory.infinite_data import stored_weights
from tests.cases import Case, Mutant

#: A maximiser over whole numbers: its derivative is 0 except at jumps.
NOT_DIFFERENTIABLE = {"test_error_lower_bound": "jumps", "test_error_upper_bound": "jumps"}
FLOAT32_RTOL = 1e-4


def _case(label, params, mean=None, slow=False, **expected):
    return Case(
        label,
        params,
        expected,
        rtol=1e-9,
        atol=5e-9,  # eight decimals are printed
        monte_carlo={} if mean is None else {"test_error": mean},
        slow=slow,
    )


SPHERE = {"unembedding": "sphere"}
SMALL = {"num_tokens": 100, "zipf_exponent": 0.5, "dim": 50}

CASES = [
    _case("all, orthonormal", {"dim": 50}, (0.671170, 0.0024), slow=True, test_error=0.66634587),
    _case(
        "frequencies",
        {"scheme_exponent": 1.0},
        (0.103192, 0.00061),
        test_error=0.10298168,
        optimal_threshold=25,
        optimal_test_error=0.02082538,
    ),
    _case("head", {"threshold": 29}, (0.021715, 0.00029), slow=True, test_error=0.02131421),
    _case("head, sphere", {"threshold": 29, **SPHERE}, None, slow=True, test_error=0.02210563),
    _case("flat law", SMALL, (0.323523, 0.00050), slow=True, test_error=0.32395620),
    _case("flat law, sphere", {**SMALL, **SPHERE}, None, slow=True, test_error=0.33747361),
    _case(
        "six classes",
        {
            "num_tokens": 400,
            "num_classes": 6,
            "zipf_exponent": 1.5,
            "dim": 80,
            "threshold": 60,
            **SPHERE,
        },
        None,
        slow=True,
        test_error=0.13707689,
    ),
    _case("ties", {"dim": 10, "threshold": 1}, (0.3317, 0.0029), slow=True, test_error=0.33122194),
    _case(
        "bounds, head",
        {"dim": 1000, "threshold": 3, **SPHERE},
        None,
        slow=True,
        test_error_lower_bound=0.00860203,
        test_error_upper_bound=0.17204058,
    ),
    _case(
        "bounds, frequencies",
        {"dim": 100_000, "scheme_exponent": 1.0, **SPHERE},
        None,
        slow=True,
        test_error_lower_bound=0.00126365,
        test_error_upper_bound=0.11015207,
    ),
    *(
        Case(
            f"constant {alpha}, {rho}",
            {
                "num_tokens": 1000 if m == 5 else 2 * m,  # plays no role, and shares a program
                "num_classes": m,
                "zipf_exponent": alpha,
                "scheme_exponent": rho,
                "dim": 10_000,
            },
            {"test_error_asymptotic": constant * 10_000**-exponent},
            rtol=2e-7,  # seven digits are printed
            slow=m != 5,
        )
        for alpha, rho, m, constant, exponent in (
            (2.0, 1.0, 5, 0.3312215, 1 / 4),
            (2.0, 0.5, 5, 0.3952734, 1 / 2),
            (1.5, 1.0, 3, 0.4273445, 1 / 6),
        )
        if 2 * alpha * rho > 1
    ),
]


@functools.partial(jax.jit, static_argnames=("embedding", "unembedding"))
def _errors_at(drive, noise, dim, embedding, unembedding):
    """Compiled once for all mutants."""
    return _errors.errors_of_tokens(drive, noise, dim, embedding, unembedding)


_stored_weights = jax.jit(stored_weights)
_noise_of_tokens = jax.jit(_errors.noise_of_tokens, static_argnums=1)


def _with(squares=None, signal=None, law=None, dim=None, noise=None):
    """The theory with one ingredient replaced by a function of (params, its right value)."""

    def change(params, outputs):
        p = token_law(params)
        q = np.asarray(_stored_weights(params))
        power = _noise_of_tokens(q**2 if squares is None else squares(q), params.num_classes)
        power = jax.tree.map(np.asarray, power)
        power = power if noise is None else noise(params, q, power)
        d = float(params.dim if dim is None else dim(params))
        drive = q if signal is None else signal(q)
        found = np.asarray(_errors_at(drive, power, d, params.embedding, params.unembedding))
        weights = p if law is None else law(p)
        return {"test_error": weights @ found, "per_token_error": found}

    return change


def token_law(params):
    p = np.arange(1.0, params.num_tokens + 1) ** -params.zipf_exponent
    return p / p.sum()


def _with_itself(params, q, noise):
    return noise._replace(own=noise.own + q**2)


def _no_own(params, q, noise):
    return noise._replace(own=0 * noise.own)


def _one_competitor(params, q, noise):
    return noise._replace(multiplicity=noise.multiplicity / (params.num_classes - 1))


def _stored_is_right(params, outputs):
    """Infinite memory: every stored token is right, every other one wrong."""
    per_token = np.where(np.asarray(_stored_weights(params)) > 0, 0.0, 1.0)
    return {"test_error": token_law(params) @ per_token, "per_token_error": per_token}


def _unstored_is_wrong(params, outputs):
    stored = np.asarray(_stored_weights(params)) > 0
    per_token = np.where(stored, outputs["per_token_error"], 1.0)
    return {"test_error": token_law(params) @ per_token, "per_token_error": per_token}


MUTANTS = [
    Mutant("noise of the token itself", after=_with(noise=_with_itself)),
    Mutant("no noise of the own class", after=_with(noise=_no_own)),
    Mutant("a single competitor", after=_with(noise=_one_competitor)),
    Mutant("linear noise powers", after=_with(squares=lambda q: q)),
    Mutant("half the dimension", after=_with(dim=lambda params: params.dim / 2)),
    Mutant("frequencies squared", after=_with(signal=lambda q: q**2)),
    Mutant(
        "uniform test law",
        after=_with(law=lambda p: np.full_like(p, 1 / p.size)),
        outputs=("test_error",),
    ),
    Mutant("infinite memory", after=_stored_is_right),
    Mutant("unstored tokens are always wrong", after=_unstored_is_wrong),
    Mutant("threshold ignored", at=lambda p: {"threshold": np.inf}),
]
