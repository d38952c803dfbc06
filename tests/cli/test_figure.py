"""`figure`."""

import pytest

from tests.cli import run


@pytest.mark.parametrize("study", ["toy", pytest.param("ridge-collapse", marks=pytest.mark.slow)])
def test_figure_is_drawn(capsys, tmp_path, study):
    code, out, _ = run(
        capsys, "figure", f"{study}/samples", "--replicates", "2", "--out", str(tmp_path)
    )
    assert code == 0
    path = tmp_path / f"{study}-samples.png"
    assert out.strip() == str(path)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
