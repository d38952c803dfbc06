"""Which column of a table is what: by its name, or as told."""

from collections.abc import Mapping, Sequence

from simulator.planner.notices import TableError
from simulator.spelling import suggestion

ALIASES = {
    "loss": ("loss", "val loss", "validation loss", "test loss", "eval loss", "final loss"),
    "params": ("params", "parameters", "N", "num params", "model size", "n params"),
    "tokens": ("tokens", "D", "num tokens", "train tokens", "dataset size", "n tokens"),
    "flop": ("flop", "flops", "C", "compute", "training flop", "budget"),
    "unique_tokens": ("unique tokens", "U"),
    "epochs": ("epochs", "num epochs"),
    "real_tokens": ("real tokens",),
    "synthetic_tokens": ("synthetic tokens",),
    "synthetic_fraction": ("synthetic fraction", "q"),
    "real_fraction": ("real fraction",),
    "generation": ("generation", "gen"),
    "num_samples_generator": ("num samples generator", "T0"),
    "run": ("run", "run id", "name"),
    "seed": ("seed", "replicate"),
    "weight": ("weight",),
}
TUNING = ("lr", "learning rate", "peak lr", "batch size", "warmup", "weight decay", "sweep")


def plain(name: str) -> str:
    """A name in lower case without blanks, ``_`` and ``-``."""
    return str(name).lower().replace(" ", "").replace("_", "").replace("-", "")


_ROLE_OF = {plain(alias): role for role, aliases in ALIASES.items() for alias in aliases}
_TUNING = {plain(name) for name in TUNING}


def roles(
    names: Sequence[str],
    given: Mapping[str, str] | None = None,
    loss: str | None = None,
    own: str | None = None,
) -> dict[str, str]:
    """The column of each role that the table has.

    Parameters
    ----------
    names : sequence of str
        Of the columns.
    given : mapping role -> name, optional
        Overrides what the names say.
    loss : str, optional
        The column of the loss.
    own : str, optional
        A column that the law reads and that has no role of its own: it is its role.

    Raises
    ------
    TableError
        For two columns of one role, and for roles and names that there are not.
    """
    told = dict(given or {})
    if loss is not None:
        told["loss"] = loss
    for role, name in told.items():
        if role not in ALIASES:
            near = suggestion(role, ALIASES)
            text = f"columns = {role!r}: no such role{near}; there are {', '.join(ALIASES)}"
            raise TableError("E-ROLE", text)
        if name not in names:
            raise TableError("E-ROLE", f"{role} = {name!r}: no such column"
                             f"{suggestion(str(name), names)}; there are "
                             f"{', '.join(names)}")  # fmt: skip
    found = dict(told)
    if own is not None and own not in ALIASES:
        same = sorted((n for n in names if plain(n) == plain(own)), key=lambda name: name != own)
        if not same:
            raise TableError("E-ROLE", f"x = {own!r}: no such column{suggestion(own, names)}; "
                             f"there are {', '.join(names)}")  # fmt: skip
        found[own] = same[0]
    for name in names:
        known = _ROLE_OF.get(plain(name))
        if known is None or known in told or name in found.values():
            continue
        if known in found:
            raise _two(known, found[known], name)
        found[known] = name
    if "loss" not in found:
        like = [n for n in names if plain(n).startswith("loss") or plain(n).endswith("loss")]
        like = [name for name in like if name not in found.values()]
        if len(like) > 1:
            raise _two("loss", *like[:2])
        if like:
            found["loss"] = like[0]
    return found


def tuning_columns(names: Sequence[str], roles: Mapping[str, str]) -> list[str]:
    """The columns that say how a run was tuned and that have no role."""
    return [name for name in names if plain(name) in _TUNING and name not in roles.values()]


def _two(role: str, one: str, other: str) -> TableError:
    flag = "--loss" if role == "loss" else f"columns={{'{role}': ...}} (--column {role}=NAME)"
    return TableError("E-ROLE", f"two {role} columns, {one} and {other}: name one with {flag}")
