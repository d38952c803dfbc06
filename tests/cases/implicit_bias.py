"""Reference values of arXiv 2406.04981 (see the study) and wrong versions of its theory.

Monte-Carlo means are of 40 replicates with independent solvers.
"""

import numpy as np
from scipy import special

from tests.cases import Case, Mutant, Tests
from tests.references import implicit_bias as reference


def _case(label, params, radius_max, l1, l2, price, margin, **more):
    rows = {"attack_radius_max": radius_max, "price": price, "robust_margin_l2": margin}
    return Case(
        label,
        params,
        {name: row[0] for name, row in rows.items()} | {"adversarial_error": [l1[0], l2[0]]} | more,
        rtol=1e-7,
        atol=6e-9,  # eight decimals are printed
        monte_carlo={name: row[1:] for name, row in rows.items()}
        | {"adversarial_error": ([l1[1], l2[1]], [l1[2], l2[2]])},
    )


def _setting(sample_ratio, fraction, **more):
    return {"sample_ratio": sample_ratio, "attack_radius_fraction": fraction} | more


SIGNS = {"teacher": "signs", "teacher_density": 1 / 16}

CASES = [
    _case(
        "dense, f = 1/4",
        _setting(0.5, 0.25, dim=256),
        (2.00326999, 2.0157, 0.0159),
        (0.46441817, 0.4644, 0.0024),
        (0.48229312, 0.4848, 0.0024),
        (0.01787496, 0.0204, 0.0016),
        (0.87836734, 0.8916, 0.0057),
        generalization_error=[0.36842580, 0.33172513],
        cosine=[0.40168177, 0.50436903],
        norm_ratio=[0.46589285, 0.71135293],
    ),
    _case(
        "dense, f = 1/2",
        _setting(0.5, 0.5, dim=256),
        (2.00326999, 1.9966, 0.0160),
        (0.56240679, 0.5561, 0.0029),
        (0.60517659, 0.5999, 0.0029),
        (0.04276980, 0.0438, 0.0015),
        (0.54388223, 0.5393, 0.0040),
    ),
    _case(
        "dense, many samples",
        _setting(2.0, 0.5, dim=160),
        (0.60393557, 0.6064, 0.0065),
        (0.29425652, 0.2903, 0.0025),
        (0.29305035, 0.2901, 0.0026),
        (-0.00120617, -0.0001, 0.0008),
        (0.22037340, 0.2193, 0.0023),
    ),
    _case(
        "dense, no attack",
        _setting(1.0, 0.0, dim=200),
        (1.12756834, 1.150, 0.012),
        (0.29247536, 0.2921, 0.0026),
        (0.26571147, 0.2646, 0.0021),
        (-0.02676389, -0.0274, 0.0022),
        (0.78654984, 0.8002, 0.0068),
    ),
    _case(
        "sparse signs, no attack",
        _setting(0.5, 0.0, **SIGNS, dim=256),
        (2.18620705, 2.174, 0.022),
        (0.25981780, 0.2686, 0.0035),
        (0.32884975, 0.3301, 0.0020),
        (0.06903195, 0.0615, 0.0027),
        (1.25638034, 1.249, 0.011),
    ),
    _case(
        "sparse signs, f = 1/2",
        _setting(0.5, 0.5, **SIGNS, dim=256),
        (2.18620705, 2.217, 0.019),
        (0.46317507, 0.4634, 0.0042),
        (0.56343670, 0.5638, 0.0027),
        (0.10026163, 0.1005, 0.0033),
        (0.52870702, 0.5338, 0.0038),
    ),
    _case(
        "sparse signs, more samples",
        _setting(1.0, 0.5, **SIGNS, dim=256),
        (1.40915490, 1.396, 0.014),
        (0.29846641, 0.2944, 0.0034),
        (0.38879896, 0.3880, 0.0029),
        (0.09033255, 0.0937, 0.0027),
        (0.33983853, 0.3380, 0.0035),
    ),
    *(
        Case(
            f"price, dense, alpha = {alpha}, f = {f}",
            _setting(alpha, f),
            {"price": price},
            rtol=0,
            atol=6e-5,
        )
        for alpha, f, price in (
            (0.5, 0.0, -0.0396), (0.5, 0.9, 0.0149), (0.25, 0.25, 0.0745), (1.0, 0.25, -0.0054),
        )
    ),
    Case(
        "second entries, sparse signs",
        _setting(0.5, 0.5, **SIGNS),
        {"attack_radius": 2.18620705 / 2},
        rtol=1e-8,
    ),
]  # fmt: skip

#: All outputs, by the independent program.
CASES += [
    Case(
        "generic, signs",
        {
            "sample_ratio": 0.7,
            "attack_radius_fraction": 0.4,
            "teacher": "signs",
            "teacher_density": 0.3,
        },
        {
            "attack_radius_max": 1.53327175202,
            "attack_radius": 0.613308700808,
            "generalization_error": [0.327382911713, 0.302589597154],
            "adversarial_error": [0.463897822281, 0.484361097059],
            "price": 0.0204632747777,
            "cosine": [0.516101001525, 0.581184148605],
            "norm_ratio": [0.527190099731, 0.684675919611],
            "robust_margin_l2": 0.556153441254,
            "support_fraction_l2": 0.721155415067,
        },
        rtol=1e-9,
        program=reference.theory,
    ),
    Case(
        "generic, gaussian",
        {
            "sample_ratio": 0.7,
            "attack_radius_fraction": 0.4,
            "teacher": "gaussian",
            "teacher_density": 0.3,
        },
        {
            "attack_radius_max": 1.62236495812,
            "attack_radius": 0.64894598325,
            "generalization_error": [0.277822299732, 0.284485971965],
            "adversarial_error": [0.415239849425, 0.468759178412],
            "price": 0.0535193289866,
            "cosine": [0.642680456883, 0.626502131612],
            "norm_ratio": [0.488587045476, 0.647588997235],
            "robust_margin_l2": 0.549049004312,
            "support_fraction_l2": 0.709972148014,
        },
        rtol=1e-9,
        program=reference.theory,
    ),
]


def _reattacked(change):
    """Errors under a wrong law of the attacked score: ``change(kappa, A)`` per geometry."""

    def after(params, outputs):
        t = outputs["cosine"]
        kappa = outputs["attack_radius"] * outputs["norm_ratio"]
        errors = change(kappa, t / np.sqrt(1 - t**2))
        return {"adversarial_error": errors, "price": errors[1] - errors[0]}

    return after


def _skew_normal_cdf(k, shape):
    return special.ndtr(k) - 2 * special.owens_t(k, shape)


def _swapped(params, outputs):
    names = ("generalization_error", "adversarial_error", "cosine")
    return {name: outputs[name][::-1] for name in names}


def _score(name, law):
    return Mutant(name, after=_reattacked(law), control=_reattacked(_skew_normal_cdf))


MUTANTS = [
    _score("radius not scaled by sqrt(d)", lambda k, a: _skew_normal_cdf(k**2, a)),
    _score("attacked score independent of the label", lambda k, a: special.ndtr(k)),
    _score("Owen's T counted once", lambda k, a: special.ndtr(k) - special.owens_t(k, a)),
    Mutant("gradient descent blind to the attack", at=lambda p: {"attack_radius_fraction": 0.0},
           outputs=("robust_margin_l2", "cosine", "norm_ratio")),
    Mutant("sparsity of the teacher ignored", at=lambda p: {"teacher_density": 1.0}),
    Mutant("mean squares of a Gaussian teacher", at=lambda p: {"teacher": "gaussian"},
           slow=True),
    Mutant("l1 and l2 swapped", after=_swapped),
    Mutant("margin in units of the squared norm",
           after=lambda p, o: {"robust_margin_l2": o["robust_margin_l2"] ** 2}),
    Mutant("angle over 2 pi",
           after=lambda p, o: {"generalization_error": o["generalization_error"] / 2}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={
        "small": {
            "dim": 48,
            "sample_ratio": 0.5,
            "attack_radius_fraction": 0.5,
            "teacher": "signs",
            "teacher_density": 1 / 12,
        },
    },
)
