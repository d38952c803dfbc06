"""The laws that can be fitted, by name."""

from simulator.planner.laws.chains import ACCUMULATE, GENERATIONS, GENERATIONS_TAIL
from simulator.planner.laws.law import Law, Outer
from simulator.planner.laws.scaling import CHINCHILLA, REPETITION, REPETITION_UNTIED, TIED, power
from simulator.planner.laws.synthetic import SYNTHETIC_SHARE, SYNTHETIC_SHARE_ADDITIVE, tail_mixture
from simulator.spelling import suggestion

__all__ = ["LAWS", "Law", "Outer", "law_named"]

_FIXED = {
    law.name: law
    for law in (
        CHINCHILLA,
        TIED,
        REPETITION,
        SYNTHETIC_SHARE,
        SYNTHETIC_SHARE_ADDITIVE,
        GENERATIONS,
        GENERATIONS_TAIL,
        ACCUMULATE,
    )
}
#: All names, in the order of the documentation.
LAWS = ("power", "chinchilla", "tied", "data-constrained", "synthetic-share") + (
    "synthetic-share-additive",
    "tail-mixture",
    "generations",
    "generations-tail",
    "accumulate",
)
_made: dict[tuple[str, object], Law] = {}


def law_named(
    name: str, *, x: str | None = None, untied: bool = False, scale: float | None = None
) -> Law:
    """The law of a name; the same object for the same arguments, so that programs are shared.

    Parameters
    ----------
    name : str
    x : str, optional
        The column of ``power``.
    untied : bool
        Two exponents in ``data-constrained``.
    scale : float, optional
        Of ``tail-mixture``: loss of an untrained model minus E.

    Raises
    ------
    ValueError
        For a name that is none.
    """
    if name not in LAWS:
        raise ValueError(
            f"law = {name!r} is not allowed: it must be one of {', '.join(LAWS)}"
            f"{suggestion(str(name), LAWS)}"
        )
    if name == "power":
        return _made.setdefault((name, x), power(x or "tokens"))
    if name == "tail-mixture":
        return _made.setdefault((name, scale), tail_mixture(scale))
    if name == "data-constrained" and untied:
        return REPETITION_UNTIED
    return _FIXED[name]
