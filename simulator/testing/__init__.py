"""Where a study breaks the contract, in words: for authors, here and in other packages."""

from simulator.testing.contract import check_contract, diagnose
from simulator.testing.data import EXCEPTIONS, Case, Mutant, Tests
from simulator.testing.evidence import catches

__all__ = ["EXCEPTIONS", "Case", "Mutant", "Tests", "catches", "check_contract", "diagnose"]
