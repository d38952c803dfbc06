"""``verified-synthesis.eigenvalues``: its only theory is the proxy of ``verified-synthesis``."""

from tests.cases import Case, Tests

TESTS = Tests(
    cases=[
        Case(
            "by hand",
            {"keep_correct": 0.6, "keep_incorrect": 0.2},
            {"breakdown_error": 0.75},
            rtol=1e-14,
        ),
        Case("oracle", {"keep_correct": 0.4, "keep_incorrect": 0.0}, {"breakdown_error": 1.0}),
    ],
)
