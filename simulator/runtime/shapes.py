"""Words for signatures: what mathematics and samplers take, checked when the tests run.

``Float[Array, "dim"]`` says what an array is. What may as well be a plain number is a `Scalar`, or,
where a function acts entry by entry, `Numbers`.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

from jax.typing import ArrayLike
from jaxtyping import Array, Key, Real

if TYPE_CHECKING:  # arithmetic on numbers, or arrays: what mypy cannot tell
    Scalar: TypeAlias = Any
    Numbers: TypeAlias = Any
    RandomKey: TypeAlias = Array
else:
    Scalar = Real[ArrayLike, ""]
    Numbers = Real[ArrayLike, "..."]
    RandomKey = Key[Array, ""]
