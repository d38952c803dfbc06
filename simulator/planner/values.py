"""Numbers with an interval, as a fit and a plan answer them."""

import math
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """Lower and upper end; both are NaN where there is no interval, and a `Value` says why."""

    low: float
    high: float


class Value(float):
    """A number that knows its interval.

    Attributes
    ----------
    low, high : float
        Ends of the interval; NaN where none is given.
    level : float
        Its nominal coverage.
    se : float
        Standard error, of the logarithm where ``log`` says so.
    log : bool
        Whether the interval was made on the scale of logarithms.
    reason : str
        Why there is no interval, or what is peculiar about it.
    """

    low: float
    high: float
    level: float
    se: float
    log: bool
    reason: str

    def __new__(
        cls,
        value: float,
        low: float = math.nan,
        high: float = math.nan,
        *,
        level: float = 0.95,
        se: float = math.nan,
        log: bool = False,
        reason: str = "",
    ) -> "Value":
        self = super().__new__(cls, value)
        self.low, self.high, self.level, self.se = float(low), float(high), level, float(se)
        self.log, self.reason = log, reason
        return self

    @property
    def value(self) -> float:
        return float(self)

    @property
    def interval(self) -> Interval:
        return Interval(self.low, self.high)

    def __reduce__(self) -> Any:
        return Value._again, (self.value, self.as_dict())

    @classmethod
    def _again(cls, value: float, rest: dict[str, Any]) -> "Value":
        low, high = rest["interval"]
        others = {name: rest[name] for name in ("level", "se", "log", "reason")}
        return cls(value, low, high, **others)

    def as_dict(self) -> dict[str, Any]:
        """Everything, as the artefact has it."""
        return {
            "value": float(self),
            "interval": [self.low, self.high],
            "level": self.level,
            "se": self.se,
            "log": self.log,
            "reason": self.reason,
        }

    def scaled(self, factor: float) -> "Value":
        """In other units."""
        return Value(
            float(self) * factor, self.low * factor, self.high * factor,
            level=self.level, se=self.se, log=self.log, reason=self.reason,
        )  # fmt: skip

    def clipped(self, least: float) -> "Value":
        """Without what is impossible: no end below ``least``."""
        return Value(
            max(float(self), least), max(self.low, least), max(self.high, least),
            level=self.level, se=self.se, log=self.log, reason=self.reason,
        )  # fmt: skip

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        if math.isnan(self.low) and math.isnan(self.high):
            return f"{float(self):.4g}"
        return f"{float(self):.4g} ({self.low:.4g}, {self.high:.4g})"

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)
