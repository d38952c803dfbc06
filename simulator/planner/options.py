"""How a law is to be fitted: the arguments of `fit`, checked."""

from dataclasses import dataclass
from typing import Any

from simulator import checks
from simulator.planner.roles import ALIASES, plain
from simulator.spelling import suggestion


@dataclass(frozen=True)
class Options:
    """Arguments of `simulator.fit` that belong to the fit, not to the table.

    Attributes
    ----------
    law : str
    huber : "auto" or float
    residual : "log" or "absolute"
    cluster : "auto", "none", "run" or "params"
    holdout : "auto", "none" or float
    seed : int
    x : str or None
        The role of the column of ``power``.
    untied : bool
    scale : float or None
    """

    law: str = "chinchilla"
    huber: str | float = "auto"
    residual: str = "log"
    cluster: str = "auto"
    holdout: str | float = "auto"
    seed: int = 0
    x: str | None = None
    untied: bool = False
    scale: float | None = None

    @property
    def absolute(self) -> bool:
        return self.residual == "absolute"


def options_of(
    law: Any, *, huber: Any, residual: Any, cluster: Any, holdout: Any, seed: Any, x: Any,
    untied: Any, scale: Any,
) -> Options:  # fmt: skip
    """The options, or one line that says which is not allowed."""
    checks.text("law", law, "the name of a law")
    threshold = _number_or("huber", huber, ("auto",))
    _word("residual", residual, ("log", "absolute"))
    if residual == "absolute" and threshold != float("inf"):
        raise ValueError(checks.refusal("residual", residual, 'given together with huber="inf"'))
    cluster = "none" if cluster is None else cluster
    _word("cluster", cluster, ("auto", "none", "run", "params"))
    held = _number_or("holdout", "none" if holdout is None else holdout, ("auto", "none"))
    if x is not None:
        x = _role(checks.text("x", x, "the column of the law 'power'"))
        if law != "power":
            raise ValueError(checks.refusal("x", x, "given with law = 'power' alone"))
        if x in ("loss", "weight"):
            raise ValueError(checks.refusal("x", x, "a column that explains the loss"))
    if scale is not None:
        scale = checks.number("scale", scale, above=0)
    return Options(
        law, threshold, residual, cluster, held, checks.seed(seed), x,
        checks.flag("untied", untied), scale,
    )  # fmt: skip


def _word(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        near = suggestion(value, allowed) if isinstance(value, str) else ""
        raise ValueError(checks.refusal(name, value, " or ".join(map(repr, allowed))) + near)


def _number_or(name: str, value: Any, words: tuple[str, ...]) -> str | float:
    """A positive number, also infinite, also as text; or one of some words."""
    if isinstance(value, str) and value in words:
        return value
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = float("nan")
    if isinstance(value, bool) or not found > 0:
        raise ValueError(
            checks.refusal(name, value, f"a number > 0, or {' or '.join(map(repr, words))}")
        )
    return found


def column_of_power(x: Any, columns: Any) -> tuple[str | None, dict[str, str] | None]:
    """The column of ``power``, said by ``x`` or under ``"x"``; and the other roles of columns."""
    told = dict(columns or {})
    named = told.pop("x", None)
    if named is not None and x is not None and named != x:
        raise ValueError(checks.refusal("x", x, f"{named!r}, as columns={{'x': ...}} says"))
    x = named if x is None else x
    role = next((role for role, name in told.items() if x is not None and name == x), x)
    return role, told or None


def _role(name: str) -> str:
    """The role that a name of ``power``'s column stands for; a column of its own otherwise."""
    for role, aliases in ALIASES.items():
        if plain(name) in {plain(alias) for alias in (role, *aliases)}:
            return role
    return name
