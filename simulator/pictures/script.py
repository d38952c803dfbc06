"""One command line for all scripts that draw."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from simulator.pictures.style import house_style, save

Picture = tuple[Callable[..., Figure], str]


def script(
    description: str,
    pictures: Mapping[str, Picture],
    *,
    quick: tuple[Any, ...],
    full: tuple[Any, ...],
    arguments: Sequence[str] | None = None,
) -> None:
    """Draw pictures into a folder: ``--full``, ``--out FOLDER``, ``--only NAME``.

    Parameters
    ----------
    description : the script's docstring
    pictures : name of the file -> (function that draws it, what it shows)
    quick, full : arguments of those functions
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="publication quality")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the PNGs")
    parser.add_argument("--only", choices=sorted(pictures), help="draw one picture")
    options = parser.parse_args(arguments)
    for name, (draw, meaning) in pictures.items():
        if options.only in (None, name):
            with house_style():
                path = save(draw(*(full if options.full else quick)), options.out / f"{name}.png")
            print(f"{path}: {meaning}", flush=True)
