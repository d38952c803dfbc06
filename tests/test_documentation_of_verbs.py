"""`help` of every verb is its documentation: under the name users write, all arguments in it."""

import inspect
import pydoc
import re

import pytest

import simulator

VERBS = [
    name
    for name in simulator.__all__
    if inspect.isfunction(getattr(simulator, name)) and name != "register"
]


@pytest.mark.parametrize("name", VERBS)
def test_help_is_the_documentation(name):
    verb = getattr(simulator, name)
    home = verb.__module__  # `simulator` itself, or the module that defines the function
    assert pydoc.locate(f"{home}.{verb.__qualname__}") is verb
    assert verb.__name__ == name
    page = pydoc.render_doc(verb, renderer=pydoc.plaintext)
    listed = re.search(r"Parameters\n +-+\n(.*?)(\n\n +\w+\n +---|\Z)", page, re.DOTALL)[1]
    names = set(re.findall(r"[\w*]+", " ".join(re.findall(r"^    (\S.*)$", listed, re.MULTILINE))))
    for argument in inspect.signature(verb).parameters.values():
        stars = {argument.VAR_KEYWORD: "**"}.get(argument.kind, "")
        assert f"{stars}{argument.name}" in names, argument.name
