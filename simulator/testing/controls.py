"""Controls: a wrong theory that was written anew is right once its mistake is taken out.

A mutant that starts from the right values (half of them, in another order) is wrong by its mistake
alone. One that computes an output anew could be rejected because of a slip of its author's, and
prove nothing: without the mistake it must equal the theory.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from simulator.door import as_arrays
from simulator.engine.cells import Values
from simulator.engine.theory import theory_of_cells
from simulator.runtime.compilation import float64_on_cpu
from simulator.spelling import suggestion
from simulator.study import RESIDUAL, Study
from simulator.testing.data import Mutant

EQUAL = {"rtol": 1e-9, "atol": 1e-12}
Outputs = Mapping[str, Any]


def misspelt(mutant: Mutant, study: Study, cell: Values) -> Iterator[str]:
    """Complaints about outputs and parameters of a mutant that the study does not have."""
    known = [output.name for output in study.outputs]
    for name in (*(mutant.outputs or ()), *_written(mutant, study, cell)):
        if name not in known:
            yield (
                f"mutant {mutant.name!r} speaks of the output {name!r}, which {study.name} does "
                f"not have{suggestion(name, known)}"
            )
    moved = mutant.at(study.params(**study.canonical(cell))) if mutant.at is not None else {}
    for name in moved:
        if name not in study.declarations:
            yield (
                f"mutant {mutant.name!r} moves the parameter {name!r}, which {study.name} does "
                f"not have{suggestion(name, list(study.declarations))}"
            )


def off_control(mutant: Mutant, study: Study, cells: Sequence[Values]) -> Iterator[str]:
    """Complaints about a mutant that is wrong in more than its mistake, or may be."""
    right = theory_of_cells(study, cells)
    anew = _written_anew(mutant, study, cells[0], right[0])
    if mutant.control is None:
        if anew:
            yield (
                f"mutant {mutant.name!r} computes {' and '.join(anew)} anew, and could be rejected "
                "for a slip in that: give it control=..., the same function without the mistake, "
                "or parameters at which the mistake makes no difference"
            )
        return
    if callable(mutant.control):
        control = mutant.control
        if mutant.theory is not None:
            control = _as_after(control)
        for cell, outputs in zip(cells, right, strict=True):
            yield from _compared(mutant, _applied(control, study, cell, outputs), outputs, cell)
        written = _applied(control, study, cells[0], right[0])
        if not any(_computes(control, study, cells[0], right[0], name) for name in written):
            yield (
                f"the control of mutant {mutant.name!r} computes nothing, it hands on what is right"
            )
    else:
        cell = study.canonical({**cells[0], **mutant.control})
        (outputs,) = theory_of_cells(study, [cell])
        (found,) = mutant.theories(study, [cell])
        yield from _compared(mutant, found, outputs, cell)


def _compared(mutant: Mutant, found: Outputs, right: Outputs, cell: Values) -> Iterator[str]:
    for name in found:
        if not np.allclose(found[name], right[name], **EQUAL, equal_nan=True):
            yield (
                f"without its mistake, mutant {mutant.name!r} has {name} = {found[name]}, the "
                f"theory {right[name]}, at {cell}: it is wrong in more than it says"
            )


def _written(mutant: Mutant, study: Study, cell: Values) -> list[str]:
    if mutant.after is None:
        return []
    (right,) = theory_of_cells(study, [cell])
    return list(_applied(mutant.after, study, cell, right))


def _written_anew(mutant: Mutant, study: Study, cell: Values, right: Outputs) -> list[str]:
    """The outputs that a mutant has even where their right values are withheld."""
    if mutant.theory is not None:
        return list(right)
    if mutant.after is None:
        return []
    wrong = _applied(mutant.after, study, cell, right)
    return [
        name
        for name, value in wrong.items()
        if _computes(mutant.after, study, cell, right, name)
        # Another output in its place is right, and in the wrong place.
        and not any(np.array_equal(value, right[o]) for o in right if o != name)
    ]


def _computes(function: Callable, study: Study, cell: Values, right: Outputs, name: str) -> bool:
    withheld = {**right, name: np.full(np.shape(right[name]), np.nan)}
    found = _applied(function, study, cell, withheld)
    return bool(np.isfinite(found.get(name, np.nan)).all())


def _as_after(theory: Callable) -> Callable:
    """A theory is called as the study's own is: with arrays."""

    def after(params: Any, outputs: Outputs) -> Outputs:
        found = theory(as_arrays(params, "theory"))
        return {name: value for name, value in found.items() if name != RESIDUAL}

    return after


def _applied(function: Callable, study: Study, cell: Values, outputs: Outputs) -> Outputs:
    with float64_on_cpu():
        found = function(study.params(**cell), dict(outputs))
        return {name: np.asarray(value) for name, value in found.items()}
