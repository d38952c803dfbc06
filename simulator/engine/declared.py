"""What a side of a study returns against what its outputs declare."""

from collections.abc import Iterator, Mapping

from simulator.spelling import suggestion
from simulator.study import Output, Study


def refuse_undeclared(study: Study, side: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ``TypeError`` unless ``side`` ("theory" or a method) returns what is declared."""
    complaints = list(undeclared(study, side, shapes))
    if complaints:
        raise TypeError(f"{study.name}: {'; '.join(complaints)}")


def undeclared(study: Study, side: str, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    """Complaints about names and ranks of the outputs, whose shapes are given."""
    expected = {output.name: output for output in study.outputs if _belongs(output, side)}
    missing = [name for name in expected if name not in shapes]
    for name, shape in shapes.items():
        if name not in expected:
            hint = suggestion(name, missing)
            yield f"{side} returns {name!r}, which is not declared for it{hint}"
        elif len(shape) != len(expected[name].dims):
            yield (
                f"{side} returns {name} with shape {shape}, but its declared dims are "
                f"({', '.join(expected[name].dims)}): declare dims=(...) of that length, or return "
                "another shape"
            )
    for name in missing:
        yield f"{side} does not return the declared output {name!r}"


def _belongs(output: Output, side: str) -> bool:
    if side == "theory":
        return output.in_theory
    return output.returned
