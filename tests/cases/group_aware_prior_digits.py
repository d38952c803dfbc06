"""A study without theory: nothing to compare with, nothing to get wrong."""

from tests.cases import Tests

TESTS = Tests()
