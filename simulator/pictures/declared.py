"""The figures that studies declare, drawn by the one road that all pictures take."""

from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure as MatplotlibFigure

from simulator import checks
from simulator.pictures import style
from simulator.pictures.curves import against
from simulator.spelling import suggestion
from simulator.study import Figure, Study


def save_figures(
    study: Study,
    only: str | None,
    folder: str | Path,
    *,
    replicates: int | None = None,
    seed: int = 0,
) -> Iterator[Path]:
    """Draw one declared figure (or all); yield the path of each PNG as it is written.

    Raises
    ------
    ValueError
        If the study has no figure of that name.
    """
    if only is not None:
        checks.text("only", only, "the name of a figure")
    folder = checks.path("folder", folder, "a folder")
    if replicates is not None:
        checks.whole("replicates", replicates, 1)
    checks.seed(seed)
    if only is not None and only not in study.figures:
        raise ValueError(
            f"{study.name} has no figure {only!r}{suggestion(only, list(study.figures))} "
            f"(it has {', '.join(study.figures) or 'none'})"
        )
    names = study.figures if only is None else [only]
    for name in names:
        drawn = draw(study, study.figures[name], replicates=replicates, seed=seed)
        yield style.save(drawn, folder / f"{study.name.replace('.', '-')}-{name}.png")


def draw(
    study: Study, figure: Figure, *, replicates: int | None = None, seed: int = 0
) -> MatplotlibFigure:
    """Compute a figure's curves and draw them, one panel per output."""
    fixed = {name: values[0] for name, values in figure.grid.items()} | dict(figure.params)
    fixed = {k: v for k, v in fixed.items() if k not in (figure.x, figure.series)}
    with style.house_style():
        drawn, panels = style.panels(len(figure.y), title=figure.title)
        against(
            panels,
            study,
            x={figure.x: figure.grid[figure.x]} if figure.x in figure.grid else figure.x,
            y=figure.y,
            series=None if figure.series is None else {figure.series: figure.grid[figure.series]},
            xscale=figure.xscale,
            yscale=figure.yscale,
            replicates=figure.replicates if replicates is None else replicates,
            seed=seed,
            **fixed,
        )
        style.kinds_legend(drawn, caption=figure.caption)
        return drawn
