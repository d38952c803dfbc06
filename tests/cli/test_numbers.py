"""Words that are numbers."""

import pytest

from simulator.cli import numbers


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e2", 100), ("1E23", 10**23), ("100000000000000000000", 10**20), ("-3", -3), ("2.50e1", 25)],
)
def test_whole_numbers_are_read_exactly(text, number):
    assert numbers.whole(text) == number
    assert type(numbers.whole(text)) is int
