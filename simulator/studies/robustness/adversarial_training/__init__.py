"""The geometry of regularisation in adversarial training (arXiv 2410.16073).

``isotropic`` holds the study ``adversarial-training``, ``mahalanobis`` the study
``adversarial-training.mahalanobis``; ``any_order`` has the theory at any order of the penalty, to
search over it, ``rademacher`` the uniform-convergence bounds.
"""
