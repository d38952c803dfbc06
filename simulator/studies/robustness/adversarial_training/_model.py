"""Declarations that the two studies share."""

from simulator.study import Output, asymptotic

ERRORS = (
    Output("generalization_error", "P(sign(w.x) != y)", asymptotic()),
    Output("adversarial_error", "robust error at radius eps_g", asymptotic()),
    Output("boundary_error", "their difference", asymptotic()),
    Output("robust_train_loss", "mean training loss at radius eps_t", asymptotic()),
    Output("robust_train_error", "share of training points with negative robust margin",
           asymptotic()),
)  # fmt: skip
CONJUGATES = (
    Output("V", "response of a field to itself", where="theory"),
    Output("m_hat", "drift along the teacher", where="theory"),
    Output("q_hat", "variance of the fields on the weights", where="theory"),
    Output("V_hat", "stiffness from the loss", where="theory"),
    Output("P_hat", "pull of the attack towards zero", where="theory"),
)
