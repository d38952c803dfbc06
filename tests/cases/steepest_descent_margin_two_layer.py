"""A study without theory: nothing to compare with, nothing to get wrong."""

CASES = []
MUTANTS = []
