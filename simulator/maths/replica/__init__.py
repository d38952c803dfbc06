"""Replica theory of convex linear classifiers: one framework for all losses and penalties.

A classifier is fitted to ``n = alpha d`` points with standard normal inputs and labels
``y = sign(w*.x / sqrt d + tau xi)``, each input moved by an adversary of radius ``eps``,

    min_w  sum_i loss(y_i w.x_i / sqrt d - eps N(w)) + penalty(w).

As ``d -> inf`` everything about it follows from four order parameters,

    m = mean w w*,   q = mean w^2,   V (response of a score to a field),   P (what N depends on),

and their conjugates, each a function of the other (exact for convex problems by Gordon's comparison
inequality; arXiv 2410.16073 has the equations):

    order --channel--> averages over one sample --> conjugates --weights--> order.

A *channel* is what a loss does to one sample, a *weight law* what a penalty does to one weight. A
new paper writes one of the two, about ten lines; the fixed point, its derivatives and its residual
are in `order_parameters`.
"""
