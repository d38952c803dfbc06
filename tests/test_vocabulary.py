"""A name that several studies share means one thing, said once."""

from collections import Counter

import pytest

import simulator
from simulator.vocabulary import VOCABULARY

STUDIES = [simulator.get(name) for name in simulator.studies()]
#: Parts of one paper share a class of parameters: count declarations, not studies.
DECLARED = {
    (parameter.name, parameter.symbol, parameter.meaning, study.paper.title)
    for study in STUDIES
    for parameter in study.declarations.values()
}


def test_shared_names_stand_in_the_vocabulary():
    papers = {(name, paper) for name, _, _, paper in DECLARED}
    shared = {name for name, count in Counter(name for name, _ in papers).items() if count > 1}
    assert shared <= set(VOCABULARY)


def test_words_of_the_vocabulary_keep_their_meaning():
    for name, _, meaning, paper in DECLARED:
        if name in VOCABULARY:
            assert meaning.startswith(VOCABULARY[name].meaning), f"{name} in {paper}"


def test_every_word_is_used():
    assert set(VOCABULARY) <= {name for name, *_ in DECLARED}


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_typical_ranges_are_ranges_that_hold_the_default(study):
    for parameter in study.declarations.values():
        if parameter.typical is not None:
            low, high = parameter.typical
            assert low < high
            assert parameter.default == float("inf") or low <= parameter.default <= high


def test_symbols_are_greek_where_the_papers_are():
    spelt = {"alpha", "beta", "lambda", "rho", "tau", "mu", "sigma", "eps"}
    for name, symbol, _, paper in DECLARED:
        assert symbol.split("_")[0] not in spelt, f"{name} in {paper}"
