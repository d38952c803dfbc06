"""Programs that accelerators cannot run are told from those that they can."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from simulator.testing import lowering
from simulator.testing.lowering import lowers
from tests.toy import STUDY


def drawn(change, **others):
    def simulate(key, params):
        return {"test_error": change(STUDY.simulate_fast(key, params)["test_error"])}

    return replace(STUDY, simulate_fast=simulate, **others)


def general_eigenvalues(x):
    """No TPU or GPU computes those of a matrix that is not symmetric."""
    return jnp.abs(jnp.linalg.eigvals(jnp.full((3, 3), x))).sum()


def test_what_no_accelerator_computes():
    (complaint,) = lowers(drawn(general_eigenvalues))
    assert complaint.startswith("fast does not compile for a TPU: ")


def test_double_precision():
    with jax.enable_x64(True):
        (complaint,) = lowers(drawn(doubled))
    assert complaint.startswith("fast computes in float64 where float32 was asked for (in ")


def doubled(x):
    with jax.enable_x64(True):
        return jnp.float32(jnp.sin(jax.lax.convert_element_type(x, np.float64)))


def test_programs_of_known_parts_are_not_compiled_again(monkeypatch):
    monkeypatch.setattr(lowering, "_compiled", set())
    assert list(lowers(STUDY)) == []
    known = set(lowering._compiled)
    assert known
    monkeypatch.setattr(lowering.jax.export, "export", None)  # nobody calls it
    assert list(lowers(STUDY)) == []
    assert list(lowers(drawn(lambda x: x * x))) == []
    assert lowering._compiled == known


def test_shortcuts_compile_too_and_are_reached():
    shortcut = drawn(general_eigenvalues).simulate_fast
    few = replace(STUDY, shortcuts=(("fast", lambda params: params.dim == 6, shortcut),))
    (complaint,) = lowers(few)
    assert complaint.startswith("fast does not compile for a TPU: ")
    never = replace(STUDY, shortcuts=(("fast", lambda params: False, shortcut),))
    (complaint,) = lowers(never)
    assert complaint == (
        "fast: no check cell reaches the shortcut simulate: add one at which it applies"
    )
