"""Outputs of a study, and how simulation relates to theory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Relation:
    """How the simulated mean of an output relates to its theory value: one class for each way.

    Attributes
    ----------
    note : str
        The statement in words, for the documentation.
    of : str, optional
        The simulated output this theory value speaks of, where it is another one
        (``test_error_upper_bound`` bounds ``test_error``).
    """

    note: str = ""
    of: str | None = None

    #: In one or two words.
    kind = ""
    #: It speaks of several sizes.
    needs_ladder = False


@dataclass(frozen=True)
class Unrelated(Relation):
    """Nothing is stated: one side only, or a heuristic."""

    kind = "none"


@dataclass(frozen=True)
class Exact(Relation):
    """Means are equal at this very size."""

    kind = "exact"


@dataclass(frozen=True)
class Asymptotic(Relation):
    """Equal as the size grows: the relative error falls as size^-rate along the ladder of sizes."""

    rate: float = 1.0

    kind = "asymptotic"
    needs_ladder = True


@dataclass(frozen=True)
class Approximate(Relation):
    """Equal up to a declared relative ``accuracy``, where no rate is established."""

    accuracy: float = 0.0

    kind = "approximate"


@dataclass(frozen=True)
class Bound(Relation):
    """Theory bounds the simulated mean from ``side``."""

    side: Literal["below", "above"] = "above"

    @property
    def kind(self) -> str:  # type: ignore[override]  # a constant elsewhere
        return "lower bound" if self.side == "below" else "upper bound"


@dataclass(frozen=True)
class Exponent(Relation):
    """Theory is the log-log slope of the simulated mean along the ladder of sizes."""

    kind = "exponent"
    needs_ladder = True


def exact(note: str = "", *, of: str | None = None) -> Exact:
    """Means are equal at this very size."""
    return Exact(note, of)


def asymptotic(note: str = "", *, rate: float = 1.0, of: str | None = None) -> Asymptotic:
    """Equal as the size grows: error O(size^-rate)."""
    return Asymptotic(note, of, rate)


def approximate(note: str = "", *, accuracy: float, of: str | None = None) -> Approximate:
    """Equal up to a relative ``accuracy``: no rate is established."""
    return Approximate(note, of, accuracy)


def lower_bound(note: str = "", *, of: str | None = None) -> Bound:
    """Theory bounds the simulated mean from below."""
    return Bound(note, of, "below")


def upper_bound(note: str = "", *, of: str | None = None) -> Bound:
    """Theory bounds the simulated mean from above."""
    return Bound(note, of, "above")


def exponent(note: str = "", *, of: str | None = None) -> Exponent:
    """Theory is the log-log slope of the simulated mean along the ladder of sizes."""
    return Exponent(note, of)


NO_RELATION = Unrelated()


@dataclass(frozen=True)
class Dispersion:
    """The output is the spread of another output over replicates.

    ``of`` may be the output itself: then a simulation returns the replicate's value under its name.
    """

    statistic: Literal["std", "variance"]
    of: str


@dataclass(frozen=True)
class Output:
    """Declaration of one output.

    Attributes
    ----------
    name, meaning : str
    relation : Relation, or a function of the (concrete) parameters that returns one
    dims : tuple of str
        Named dims of the array; scalars have none.
    where : {"both", "theory", "simulation"}
    dispersion : Dispersion, optional
        The engine computes it from the replicates; the simulation does not return it, unless it is
        a dispersion of its own values.
    model_std : str, optional
        Theory output that holds the standard deviation of one replicate of this output, whose
        replicates lie in [0, 1] (probabilities of rare events). Verdicts use it where the
        replicates' tails are too heavy for their own standard error.
    nan_where_undefined : bool
        The theory returns NaN where the docstring says that no value is defined.
    certificate : bool
        What a solver leaves, nothing but rounding: its digits and its slopes mean nothing.
    """

    name: str
    meaning: str
    relation: Relation | Callable[[Any], Relation] = NO_RELATION
    dims: tuple[str, ...] = ()
    where: Literal["both", "theory", "simulation"] = "both"
    dispersion: Dispersion | None = None
    model_std: str | None = None
    nan_where_undefined: bool = False
    certificate: bool = False

    def relation_at(self, params: Any) -> Relation:
        """The relation that holds at ``params`` (concrete values)."""
        return self.relation(params) if callable(self.relation) else self.relation

    @property
    def in_theory(self) -> bool:
        return self.where in ("both", "theory")

    @property
    def in_simulation(self) -> bool:
        return self.where in ("both", "simulation")

    @property
    def returned(self) -> bool:
        """A simulation returns a value of every replicate under this name."""
        own = self.dispersion is None or self.dispersion.of == self.name
        return self.in_simulation and own


def both(
    relation: Relation | Callable[[Any], Relation],
    /,
    *,
    dims: tuple[str, ...] = (),
    **meanings: str,
) -> tuple[Output, ...]:
    """Outputs of theory and simulation that share a relation: ``name="meaning"``."""
    return tuple(Output(name, text, relation, dims=dims) for name, text in meanings.items())


def theory_only(*, dims: tuple[str, ...] = (), **meanings: str) -> tuple[Output, ...]:
    """Outputs that only the theory has: ``name="meaning"``."""
    return tuple(Output(name, text, dims=dims, where="theory") for name, text in meanings.items())


def simulation_only(*, dims: tuple[str, ...] = (), **meanings: str) -> tuple[Output, ...]:
    """Outputs that only the simulation has: ``name="meaning"``."""
    return tuple(
        Output(name, text, dims=dims, where="simulation") for name, text in meanings.items()
    )
