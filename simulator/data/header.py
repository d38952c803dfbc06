"""Is the first row of a text table a header, or data?"""

from simulator.data.files import DataError, is_name, is_number, is_whole, shown


def header_of(rows: list[list[str]], name: str) -> list[str] | None:
    """The first row if it names the columns, None if it is data.

    `simulator.data.load` says how that is known.
    """
    first, body = rows[0], rows[1:]
    numbers = [cell for cell in first if is_number(cell)]
    counting = numbers == [str(i) for i in range(len(numbers))]
    if len(numbers) == len(first) and not counting:
        fractions = sum(not any(map(_is_integral, column)) for column in zip(*body, strict=True))
        if body and all(map(_is_integral, first)) and fractions > 1:  # years over measurements, say
            raise _either(name, first)
        return None
    labelled = len(first) > 1 and counting and not is_named(first[0])
    for j, cell in enumerate(first):
        known = is_number(cell) or (counting and is_name(cell)) or (labelled and j == 0)
        if not known:
            raise DataError(
                f"{name}: data row 1, column {j}: {shown(cell)}; allowed: numbers only, or names "
                "only (a header)"
            )
    below = [[row[j] for row in body] for j, cell in enumerate(first) if is_number(cell)]
    decimals = any(not any(map(is_whole, column)) for column in below)
    if not numbers or labelled or decimals or len(first) > len(numbers) > 2:
        return first
    raise _either(name, first)


def is_named(cell: str) -> bool:
    """False for what pandas writes, and what it makes of that later, above its row labels."""
    return cell not in ("", "Unnamed: 0")


def _either(name: str, first: list[str]) -> DataError:
    return DataError(
        f"{name}: the first row ({shown(', '.join(first))}) could be a header or data; allowed: a "
        "header of names that have a letter (DataFrame.add_prefix('x'))"
    )


def _is_integral(cell: str) -> bool:
    """Is it a number without a fraction, as in ``2019`` or ``3.0``?"""
    return is_number(cell) and float(cell).is_integer()
