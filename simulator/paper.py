"""Where a study comes from, said once per paper."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A publication.

    Attributes
    ----------
    title : str
    authors : tuple of full names
    year : int
    venue : str
        Journal or conference; empty for a preprint.
    arxiv : str
        The identifier, as in ``"2410.04840"``.
    url : str
        Where it is found, if not on arXiv: the link of a DOI, say.
    """

    title: str
    authors: tuple[str, ...]
    year: int
    venue: str = ""
    arxiv: str = ""
    url: str = ""

    @property
    def identifier(self) -> str:
        """How it is found: its arXiv identifier, or what stands in for one, the address."""
        return f"arXiv {self.arxiv}" if self.arxiv else self.url

    @property
    def where(self) -> str:
        """Venue, year and identifier."""
        place = f"{self.venue} {self.year}".strip()
        return ", ".join(part for part in (place, self.arxiv and f"arXiv {self.arxiv}") if part)

    def __str__(self) -> str:
        surnames = ", ".join(name.split()[-1] for name in self.authors)
        return f"{surnames}: {self.title}, {self.where}"

    def bibtex(self) -> str:
        """A BibTeX entry."""
        key = self.authors[0].split()[-1].lower() + str(self.year)
        fields = {
            "title": f"{{{self.title}}}",
            "author": " and ".join(self.authors),
            "year": str(self.year),
            "booktitle": self.venue,
            "eprint": self.arxiv,
            "archiveprefix": self.arxiv and "arXiv",
            "url": self.url,
        }
        kind = "inproceedings" if self.venue else "misc"
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@{kind}{{{key},", *lines, "}"])
