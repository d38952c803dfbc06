"""The geometry of regularisation in adversarial training (arXiv 2410.16073).

``isotropic`` holds the study ``adversarial-training``, ``mahalanobis`` the study
``adversarial-training.mahalanobis``; ``optimum`` tunes regularisation and geometry by
differentiating through the saddle point, ``rademacher`` holds the uniform-convergence bounds.
"""
