"""Large array parameters, such as the rows of a data set: held once, known by their content.

All cells of a run hold one and the same object, a program passes it once for all its lanes, and
where content is written down (identities, manifests, messages) a digest stands for it.
"""

import functools
import hashlib
import math
from collections.abc import Hashable
from typing import Any

import numpy as np


class LargeArray(np.ndarray):
    """Numbers that nobody writes to. Arithmetic with it gives an array that may be written to."""

    @classmethod
    def of(cls, values: Any) -> "LargeArray":
        """A copy of ``values`` that is read-only, in C order."""
        held = np.array(values, order="C")
        held.flags.writeable = False
        return held.view(cls)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of type, shape and content: equal on every machine."""
        plain = np.ascontiguousarray(self).view(np.ndarray)
        little_endian = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
        head = f"{little_endian.dtype.str} {self.shape} ".encode()
        return hashlib.sha256(head + little_endian.tobytes()).hexdigest()

    @property
    def token(self) -> dict[str, Any]:
        """What stands for it in JSON."""
        return {"sha256": self.digest, "shape": list(self.shape)}

    def __repr__(self) -> str:
        if math.prod(self.shape) < 10 or self.flags.writeable:
            return np.array2string(self.view(np.ndarray), threshold=6)
        return f"[{' x '.join(map(str, self.shape))} numbers, sha256 {self.digest[:8]}...]"

    __str__ = __repr__


def content_key(value: Any) -> Hashable:
    """Equal for parameters of equal value, and not for others."""
    if isinstance(value, LargeArray):
        return value.digest
    return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
