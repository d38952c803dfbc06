"""Reference values of arXiv 2310.02984 (see the study).

Monte-Carlo means of the reduced simulation (mean, standard error), independent of this package.
"""

from tests.cases import Case, digits
from tests.references import associative_memory as reference


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

#: All outputs, by the independent program. An error of 1e-6 has 21 norms' seven digits.
GENERIC = {
    "num_tokens": 8,
    "num_classes": 4,
    "zipf_exponent": 2.0,
    "dim": 14,
    "scheme_exponent": 0.6,
    "threshold": 7,
}
CASES += [
    Case(
        "generic",
        GENERIC,
        {
            "test_error": 0.0721598335586,
            "per_token_error": digits(
                "7.92903380072e-07 0.0658686843078 0.188909992994 0.305842995423 "
                "0.400023168811 0.479224055621 0.546159615409 0.84393919782"
            ),
            "test_error_asymptotic": float("inf"),
            "test_error_lower_bound": 0.0,
            "test_error_upper_bound": 1.0,
            "optimal_threshold": 5.0,
            "optimal_test_error": 0.0518127646494,
            "test_error_std": 0.0558581821051,
            "per_token_error_std": digits(
                "0.000890450869715 0.248052415298 0.391437105473 0.460763559294 "
                "0.4899026773 0.499568173661 0.49786473053 0.362912976074"
            ),
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory,
    ),
    Case(
        "all tokens",
        GENERIC | {"threshold": float("inf")},
        {
            "test_error": 0.0700112781257,
            "per_token_error": digits(
                "7.93041221716e-07 0.0658700693462 0.188996920492 0.309367893904 "
                "0.401330909336 0.481641920261 0.549569838115 0.607066812453"
            ),
            "test_error_asymptotic": 0.117006608711,
            "test_error_lower_bound": 0.0,
            "test_error_upper_bound": 1.0,
            "optimal_threshold": 5.0,
            "optimal_test_error": 0.0518127646494,
            "test_error_std": 0.0559826445427,
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory,
    ),
    Case(
        "one class without a token",
        GENERIC | {"threshold": 3},
        {
            "test_error": 0.107776249268,
            "per_token_error": digits(
                "2.94385179076e-07 0.0628479649964 0.18160556416 0.875 "
                "0.591888086452 0.733585382939 0.799526530609 0.875"
            ),
            "test_error_asymptotic": float("inf"),
            "test_error_lower_bound": 0.0,
            "test_error_upper_bound": 1.0,
            "optimal_threshold": 5.0,
            "optimal_test_error": 0.0518127646494,
            "test_error_std": 0.0530842492884,
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory,
    ),
    Case(
        "embeddings on the sphere",
        GENERIC | {"embedding": "sphere"},
        {
            "test_error": 0.0683178236246,
            "per_token_error": digits(
                "1.33474599781e-15 0.0546660120774 0.174296083548 0.289880220367 "
                "0.395954579001 0.473339945892 0.540315018169 0.84393919782"
            ),
            "test_error_asymptotic": float("inf"),
            "test_error_lower_bound": 0.0,
            "test_error_upper_bound": 1.0,
            "optimal_threshold": 6.0,
            "optimal_test_error": 0.038373192568,
            "test_error_std": 0.0528700006889,
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory,
    ),
    Case(
        "unembeddings on the sphere",
        GENERIC | {"unembedding": "sphere"},
        {
            "test_error": 0.0808909590923,
            "per_token_error": digits(
                "1.43543404278e-06 0.0732945734217 0.229959355964 0.379272837327 "
                "0.408656955459 0.525884803935 0.595149487927 0.823927469308"
            ),
            "test_error_asymptotic": float("inf"),
            "test_error_lower_bound": 0.00339824022105,
            "test_error_upper_bound": 1.0,
            "optimal_threshold": 4.0,
            "optimal_test_error": 0.0581348723016,
            "test_error_std": 0.0588032895069,
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory,
    ),
    Case(
        "bounds just outside their range",
        GENERIC | {"dim": 11, "unembedding": "sphere"},
        {
            "test_error": 0.0959410693999,
            "per_token_error": digits(
                "2.13018930548e-05 0.108473569671 0.295761855734 0.445876547793 "
                "0.434240567074 0.563327430602 0.628990622965 0.820412669042"
            ),
            "test_error_asymptotic": float("inf"),
            "test_error_lower_bound": 0.0,
            "test_error_upper_bound": 1.0,
            "optimal_threshold": 4.0,
            "optimal_test_error": 0.0722810736757,
            "test_error_std": 0.0665029532713,
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory,
    ),
    Case(
        "bounds just inside their range",
        GENERIC | {"dim": 12, "threshold": float("inf"), "unembedding": "sphere"},
        {
            "test_error": 0.0889343171931,
            "per_token_error": digits(
                "8.79363575509e-06 0.0947873762019 0.272601810449 0.423670332705 "
                "0.426593014372 0.551775954162 0.618919180215 0.662033897808"
            ),
            "test_error_asymptotic": 0.124768480987,
            "test_error_lower_bound": 0.00339824022105,
            "test_error_upper_bound": 1.0,
            "optimal_threshold": 4.0,
            "optimal_test_error": 0.0657995238014,
            "test_error_std": 0.0638401386612,
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory,
    ),
    Case(
        "lower bound, a token between d and d + 1",
        GENERIC
        | {
            "zipf_exponent": 1.3,
            "dim": 12,
            "scheme_exponent": 1.3,
            "threshold": float("inf"),
            "unembedding": "sphere",
        },
        {"test_error_lower_bound": 0.01772345509475069},
        rtol=1e-8,
        program=reference.theory,
    ),
    Case(
        "classes without a stored token",
        GENERIC | {"threshold": 2},
        {
            "test_error": 0.157638282704,
            "per_token_error": digits(
                "2.93759660654e-07 0.0628369017225 0.875 0.875 "
                "0.565339726967 0.684660273033 0.875 0.875"
            ),
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory,
    ),
    Case(
        "bounds, large",
        GENERIC
        | {"dim": 4000, "scheme_exponent": 0.9, "threshold": float("inf"), "unembedding": "sphere"},
        {
            "test_error": 0.00125332553481,
            "per_token_error": digits(
                "0.0 0.0 6.88979813189e-22 1.01387241777e-07 "
                "0.000522814645104 0.00793968366568 0.0298304198769 0.0681028665783"
            ),
            "test_error_asymptotic": 0.0323338456651,
            "test_error_lower_bound": 0.0,
            "test_error_upper_bound": 0.179815161874,
            "optimal_threshold": 8.0,
            "optimal_test_error": 0.0,
            "test_error_std": 0.0038433621091,
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory,
    ),
    Case(
        "no law without a decay",
        GENERIC | {"zipf_exponent": 1.5, "scheme_exponent": 0.3, "threshold": float("inf")},
        {
            "test_error": 0.0418885196849,
            "per_token_error": digits(
                "0.00156593224346 0.0237211287109 0.0554971062849 0.0895474681618 "
                "0.170506204831 0.184123828131 0.204995292338 0.226995442737"
            ),
            "test_error_asymptotic": float("inf"),
            "test_error_lower_bound": 0.0,
            "test_error_upper_bound": 1.0,
            "optimal_threshold": 8.0,
            "optimal_test_error": 0.0635589302143,
            "test_error_std": 0.0527225137777,
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory,
    ),
    Case(
        "no law without a head",
        GENERIC | {"zipf_exponent": 0.9, "threshold": float("inf")},
        {
            "test_error": 0.0821600885082,
            "per_token_error": digits(
                "0.000626639265487 0.0236554943929 0.061941553355 0.10515679948 "
                "0.201221360411 0.219666295249 0.24713076868 0.275725233227"
            ),
            "test_error_asymptotic": float("inf"),
            "test_error_lower_bound": 0.0,
            "test_error_upper_bound": 1.0,
            "optimal_threshold": 8.0,
            "optimal_test_error": 0.0635589302143,
            "test_error_std": 0.0749238904747,
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory,
    ),
    Case(
        "best threshold one beyond a row",
        GENERIC | {"zipf_exponent": 2.5},
        {
            "test_error": 0.0551037597211,
            "per_token_error": digits(
                "4.20579710991e-08 0.104894339388 0.267356145734 0.405055907009 "
                "0.451371699145 0.563381527436 0.637377753029 0.852648327276"
            ),
            "test_error_asymptotic": float("inf"),
            "test_error_lower_bound": 0.0,
            "test_error_upper_bound": 1.0,
            "optimal_threshold": 4.0,
            "optimal_test_error": 0.0273687298557,
            "test_error_std": 0.0487301016168,
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory,
    ),
    Case(
        "best threshold a row",
        GENERIC | {"dim": 10},
        {
            "test_error": 0.0876699917686,
            "per_token_error": digits(
                "2.83068274436e-05 0.10334613928 0.248097021778 0.375055553538 "
                "0.432193199959 0.522559475484 0.590308404354 0.84393919782"
            ),
            "test_error_asymptotic": float("inf"),
            "test_error_lower_bound": 0.0,
            "test_error_upper_bound": 1.0,
            "optimal_threshold": 4.0,
            "optimal_test_error": 0.0647152607039,
            "test_error_std": 0.0646679530445,
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory,
    ),
]
