"""Citations are data: said once per paper, and they come out as BibTeX."""

import tomllib
from pathlib import Path

import pytest

import simulator
from simulator.paper import Paper
from tests.toy import command_line

ROOT = Path(__file__).parents[1]


def test_bibtex_of_a_paper():
    paper = Paper("On x", ("Ann de Ville", "Bo Ek"), 2021, venue="COLT", arxiv="2101.00001")
    assert str(paper) == "Ville, Ek: On x, COLT 2021, arXiv 2101.00001"
    assert paper.bibtex().splitlines() == [
        "@inproceedings{ville2021,",
        "  title = {{On x}},",
        "  author = {Ann de Ville and Bo Ek},",
        "  year = {2021},",
        "  booktitle = {COLT},",
        "  eprint = {2101.00001},",
        "  archiveprefix = {arXiv},",
        "}",
    ]
    assert str(Paper("On y", ("Bo Ek",), 1999, url="https://example.org/y")) == "Ek: On y, 1999"


def test_what_is_not_on_arxiv_has_an_address():
    assert Paper("On x", ("Bo Ek",), 1999, arxiv="2101.00001").identifier == "arXiv 2101.00001"
    address = "https://doi.org/10.1000/182"
    assert Paper("On y", ("Bo Ek",), 1999, url=address).identifier == address


def test_parts_of_a_paper_share_it():
    names = [name for name in simulator.studies() if name.startswith("strong-collapse")]
    assert len({id(simulator.get(name).paper) for name in names}) == 1


def test_cite(capsys):
    assert command_line(["cite", "tail-collapse"]) == 0
    found = capsys.readouterr().out
    assert found.startswith("@software{simulator,")
    assert "2402.07043" in found
    with pytest.raises(ValueError, match="unknown study"):
        simulator.cite("none")


def test_the_citation_file_says_what_the_package_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {project['version']}" in citation
    assert f"license: {project['license']}" in citation
