"""Pages that are made from the declarations: one per study, their index, and the glossary."""

import inspect
import sys
from collections.abc import Iterable
from pathlib import Path

import simulator
from simulator.study import Output, Study
from simulator.vocabulary import VOCABULARY


def write(folder: Path) -> list[Path]:
    """Write all pages below ``folder``; return their paths."""
    studies = [simulator.get(name) for name in simulator.studies()]
    pages = {f"studies/{study.name}.md": page(study) for study in studies}
    pages["studies/index.md"] = index(studies)
    pages["glossary.md"] = glossary()
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    return [folder / name for name in pages]


def index(studies: Iterable[Study]) -> str:
    """Titles by paper, and the table of contents."""
    lines = ["# Studies", ""]
    papers: dict[str, list[Study]] = {}
    for study in studies:
        papers.setdefault(str(study.paper), []).append(study)
    for paper, members in papers.items():
        lines += [f"**{paper}**", ""]
        lines += [f"- [`{study.name}`]({study.name}.md): {study.title}" for study in members]
        lines += [""]
    names = [study.name for members in papers.values() for study in members]
    return "\n".join([*lines, "```{toctree}", ":hidden:", "", *names, "```", ""])


def page(study: Study) -> str:
    """Everything a study says of itself."""
    module = inspect.cleandoc(sys.modules[study.params.__module__].__doc__ or "")
    parameters = [
        (
            f"`{p.name}`",
            p.symbol,
            f"`{p.default}`" if p.type != "array" else f"array ({', '.join(p.dims)})",
            p.meaning,
            p.describe_range(),
            "static" if p.static else "traced",
        )
        for p in study.declarations.values()
    ]
    outputs = [
        (f"`{o.name}`", ", ".join(o.dims), o.meaning, o.where, relation(study, o))
        for o in study.outputs
    ]
    figures = [f"- `simulator figure {study.name}/{name}`: {figure.title}"
               for name, figure in study.figures.items()]  # fmt: skip
    sections = [
        f"# {study.name}",
        study.title[:1].upper() + study.title[1:] + ".",
        f"*{study.paper}*",
        f"```text\n{module}\n```",
        "## Parameters",
        table(("name", "symbol", "default", "meaning", "allowed", ""), parameters),
        "## Outputs",
        table(("name", "dims", "meaning", "side", "relation of simulation to theory"), outputs),
        "## Simulations",
        ", ".join(f"`{method}`" for method in study.methods()) or "none: a theory only",
        "## Figures",
        "\n".join(figures) or "none",
        "## Try it",
        f"```\nsimulator show {study.name}\nsimulator check {study.name}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def relation(study: Study, output: Output) -> str:
    """The relation at the defaults, in words."""
    found = output.relation_at(study.params())
    words = found.kind if found.kind != "none" else "–"
    return f"{words}: {found.note}" if found.note else words


def glossary() -> str:
    """The names that several studies share."""
    rows = [
        (f"`{name}`", word.symbol, word.meaning, "–" if word.typical is None
         else f"{word.typical[0]:g} to {word.typical[1]:g}")
        for name, word in VOCABULARY.items()
    ]  # fmt: skip
    return "# Glossary\n\nNames that mean the same in every study.\n\n" + table(
        ("name", "symbol", "meaning", "typical"), rows
    )


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [head, tuple("---" for _ in head), *rows]
    return (
        "\n".join(
            "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |"
            for line in lines
        )
        + "\n"
    )
