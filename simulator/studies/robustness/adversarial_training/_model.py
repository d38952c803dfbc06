"""Declarations that the two studies share."""

from simulator.study import asymptotic, both, theory_only

ERRORS = (
    *both(
        asymptotic(),
        generalization_error="P(sign(w.x) != y)",
        adversarial_error="robust error at radius eps_g",
        boundary_error="their difference",
        robust_train_loss="mean training loss at radius eps_t",
        robust_train_error="share of training points with negative robust margin",
    ),
)
CONJUGATES = (
    *theory_only(
        V="response of a field to itself",
        m_hat="drift along the teacher",
        q_hat="variance of the fields on the weights",
        V_hat="stiffness from the loss",
        P_hat="pull of the attack towards zero",
    ),
)
