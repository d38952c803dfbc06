"""Losses of alignment, for whoever trains a policy: RLHF, E-RLHF, and their direct forms.

E-RLHF (arXiv 2408.01420) differs from RLHF in one argument: the reference is evaluated at a safe
version of a harmful prompt, ``log π_ref(y|x_s)`` in place of ``log π_ref(y|x_h)``; the policy stays
at the prompt itself, and harmless prompts are their own safe versions. So there is one function for
both. Its direct form (DPO, and E-DPO with the other reference) is a logistic regression.

All of them are plain functions of arrays: `jax.grad` them, with the log-probabilities of any model.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from simulator.runtime.shapes import Numbers, Scalar


def regularized_value(
    log_policy: Float[Array, "*prompts responses"],
    log_reference: Float[Array, "*prompts responses"],
    rewards: Float[Array, "*prompts responses"],
    kl_regularization: Scalar,
) -> Float[Array, ""]:
    """``mean over prompts of E_π r - β KL(π | π_ref)``, to be maximised: RLHF's objective.

    Parameters
    ----------
    log_policy : array (..., responses)
        ``log π(y|x)``, normalised.
    log_reference : array (..., responses)
        ``log π_ref(y|x)`` for RLHF, ``log π_ref(y|x_s)`` for E-RLHF.
    rewards : array (..., responses)
    kl_regularization : float
        ``β > 0``; the penalty has no factor 1/2.
    """
    gain = rewards - kl_regularization * (log_policy - log_reference)
    return jnp.mean(jnp.sum(jnp.exp(log_policy) * gain, axis=-1))


def direct_preference_loss(
    log_chosen: Float[Array, " pairs"],
    log_rejected: Float[Array, " pairs"],
    log_reference_chosen: Float[Array, " pairs"],
    log_reference_rejected: Float[Array, " pairs"],
    kl_regularization: Scalar,
    weights: Numbers = 1.0,
) -> Float[Array, ""]:
    """``mean -w log σ(β log π(c)/π_ref(c) - β log π(r)/π_ref(r))``: DPO, or E-DPO.

    Parameters
    ----------
    log_chosen, log_rejected : array (pairs,)
        Log-probabilities of the preferred and of the other response under the policy.
    log_reference_chosen, log_reference_rejected : array (pairs,)
        Of the reference: at the prompt for DPO, at its safe version for E-DPO.
    kl_regularization : float
        ``β > 0``.
    weights : array (pairs,) or float
        Of the pairs: ``Z_x / Z̄`` for importance-weighted samplers (`maths.preferences`).
    """
    margin = (log_chosen - log_reference_chosen) - (log_rejected - log_reference_rejected)
    return -jnp.mean(weights * jax.nn.log_sigmoid(kl_regularization * margin))
