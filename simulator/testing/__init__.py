"""Where a study breaks the contract, in words: for authors, here and in other packages."""

from simulator.testing.contract import check_contract, diagnose

__all__ = ["check_contract", "diagnose"]
