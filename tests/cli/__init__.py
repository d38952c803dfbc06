"""The command line: every verb, one-line errors, exit codes, clean JSON."""

from tests.toy import command_line


def run(capsys, *words):
    """Exit code, standard output and standard error of a command."""
    code = command_line(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err
