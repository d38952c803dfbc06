"""Parsing in two stages: the verb and the study first, then everything with the study's flags."""

import argparse
import contextlib
import importlib
import os
import re
from collections.abc import Sequence
from typing import Any, NoReturn

import simulator
from simulator.cli.verbs import VERBS
from simulator.registry import get, names
from simulator.spelling import meant, suggestion

PARAMETER = "parameter_"
#: What begins with a minus and is a value all the same: argparse itself takes -5e-1 for a flag.
NEGATIVE_NUMBER = re.compile(r"-(\d|\.\d|inf|nan)", re.IGNORECASE)


class UsageError(ValueError):
    """Words that make no command; the message is one line."""


class Parser(argparse.ArgumentParser):
    """Errors are one readable line with what may have been meant.

    No abbreviated flags, which a new parameter could break.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})
        self._negative_number_matcher = NEGATIVE_NUMBER
        #: Flags by what the paper, or Python, calls them.
        self.symbols: dict[str, Sequence[str]] = {}

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        for word in args:
            if word.startswith("--") and word.endswith("=--"):  # to argparse a flag without a value
                raise UsageError(f"{word} is not allowed: the value is missing")
        return super().parse_known_args(args, namespace)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            word = unknown[0].partition("=")[0]
            self.error(f"unrecognised argument {word}{self._flag_meant(word)}")
        return options

    def _flag_meant(self, word: str) -> str:
        if not word.startswith("-"):
            return ""
        shown = [f for action in self._actions if action.help != argparse.SUPPRESS
                 for f in action.option_strings]  # fmt: skip
        flags = {flag.strip("-").replace("-", "_"): () for flag in shown} | self.symbols
        near = meant(word.strip("-").replace("-", "_"), flags)
        words = " or ".join("--" + name.replace("_", "-") for name in near)
        return f"; did you mean {words}?" if near else ""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(
                action,
                f"invalid choice: {value!r}{suggestion(str(value), map(str, action.choices))} "
                f"(choose from {', '.join(map(str, action.choices))})",
            )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options of a command; ``options.act(options)`` runs it.

    Raises
    ------
    UsageError, ValueError
        For words that are not understood, and studies that there are not.
    """
    verb, rest = _verb_and_rest(words)
    study = _study_named(verb, rest)
    return verb_parser(verb, study).parse_args(rest)


def complete() -> None:
    """Answer the shell that asks for the completions of a line, and end the process."""
    import argcomplete

    line, point = os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])
    words = argcomplete.split_line(line, point)[3][1:]
    parser, verbs = _first_parser()
    if words and words[0] in VERBS:
        with contextlib.suppress(ValueError):  # no such study: its flags are unknown
            study = _study_named(words[0], words[1:])
            verbs.choices[words[0]] = verb_parser(words[0], study)
    argcomplete.autocomplete(parser)


# --------------------------------------------------------------------------------------------
# Stage one: verb and study
# --------------------------------------------------------------------------------------------
def _first_parser() -> tuple[Parser, Any]:
    """The command itself, with all verbs and none of their flags; and the action of the verbs."""
    parser = Parser(
        prog="simulator",
        description="Learning-theory risk curves, simulations of the same models, and a verdict.",
        epilog="`simulator VERB --help` shows the flags of a verb, `simulator VERB STUDY --help` "
        "the parameters of a study as well.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)
    for name, text in VERBS.items():
        verbs.add_parser(name, help=text, add_help=False)
    return parser, verbs


class _Version(argparse.Action):
    """Looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"simulator {simulator.__version__}")
        parser.exit()


def _verb_and_rest(words: Sequence[str]) -> tuple[str, list[str]]:
    verb = _first_parser()[0].parse_known_args(words)[0].verb
    return verb, list(words[words.index(verb) + 1 :])


def _study_named(verb: str, words: Sequence[str]) -> Any:
    """The study whose parameters are flags of this command; None where there is none."""
    if not getattr(_module(verb), "STUDY_FLAGS", False):
        return None
    found = argparse.Namespace(study=None)
    with contextlib.suppress(UsageError):  # whatever is wrong, the second stage says it
        verb_parser(verb, add_help=False).parse_known_args(words, found)
    return get(found.study) if found.study is not None else None


# --------------------------------------------------------------------------------------------
# Stage two: all flags
# --------------------------------------------------------------------------------------------
def verb_parser(verb: str, study: Any = None, add_help: bool = True) -> Parser:
    """The parser of a verb; with the parameters of ``study``, if one is given, among its flags."""
    module = _module(verb)
    parser = Parser(
        prog=f"simulator {verb}",
        description=VERBS[verb],
        usage=getattr(module, "USAGE", None),
        add_help=add_help,
    )
    module.add_flags(parser)
    parser.set_defaults(act=module.act)
    if study is not None:
        _add_parameters(parser, study)
    return parser


def _module(verb: str) -> Any:
    return importlib.import_module(f"simulator.cli.verbs.{verb}")


def add_study(parser: Any, **options: Any) -> None:
    """The study that a verb is about."""
    words = {"metavar": "STUDY", "help": "its name, as `simulator list` shows it"} | options
    parser.add_argument("study", **words).completer = lambda **_: names()


def _add_parameters(parser: Parser, study: Any) -> None:
    group = parser.add_argument_group(f"parameters of {study.name}")
    for name, parameter in study.declarations.items():
        options: dict[str, Any] = {"dest": f"{PARAMETER}{name}", "default": argparse.SUPPRESS}
        shown = (
            f"{parameter.meaning}; {parameter.describe_range()} "
            f"(default {parameter.describe_default()})"
        ).replace("%", "%%")
        flag = group.add_argument(
            f"--{name.replace('_', '-')}", metavar=parameter.symbol, help=shown, **options
        )
        flag.completer = _choices(parameter.choices)  # type: ignore[attr-defined]  # argcomplete's
        if "_" in name:  # as Python writes it
            group.add_argument(f"--{name}", help=argparse.SUPPRESS, **options)
        parser.symbols[name] = parameter.symbols


def _choices(choices: Sequence[str]) -> Any:
    """A completer of the shell: it suggests them, and the declaration checks them."""
    return lambda **_: choices
