"""How good a minimum is, and how many starts found it."""

from typing import Any


class Certificate(float):
    """How far the gradient is from zero, in units of the metric; and from how many starts.

    Attributes
    ----------
    f, c : float
        Objective, and this number.
    starts, agreeing : int
    status : str
    """

    f: float
    starts: int
    agreeing: int
    status: str

    def __new__(cls, c: float, f: float, starts: int, agreeing: int, status: str) -> "Certificate":
        self = super().__new__(cls, c)
        self.f, self.starts, self.agreeing, self.status = f, starts, agreeing, status
        return self

    @property
    def c(self) -> float:
        return float(self)

    def as_dict(self) -> dict[str, Any]:
        return {"f": self.f, "c": self.c, "starts": self.starts, "agreeing": self.agreeing,
                "status": self.status}  # fmt: skip
