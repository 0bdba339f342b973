"""Two streams, kept apart: results on stdout, what is said along the way on stderr.

With ``--json`` a command prints exactly one JSON document on stdout. This module knows no
command and no number.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 100
"""Width of tables where stdout is no terminal, so that pipes get the same text everywhere."""


def print_json(document: Any) -> None:
    """Print one JSON document on stdout; a number that is unknown becomes ``null``."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=2).decode())


def print_error(message: str) -> None:
    """Print an error a person can act on, on stderr, without terminal escapes from outside."""
    from core.interfaces.text import clean

    lines = [clean(line, 2_000) for line in message.splitlines()] or [""]
    typer.secho("nova: ", fg="red", bold=True, nl=False, err=True)
    typer.echo("\n      ".join(lines), err=True)


def note(message: str) -> None:
    """Say something along the way, on stderr."""
    typer.echo(message, err=True)


def is_terminal() -> bool:
    """Tell whether a person looks at stdout."""
    return sys.stdout.isatty()


def stdout_console() -> Console:
    """Return where results are drawn."""
    from rich.console import Console

    return Console(width=None if is_terminal() else PLAIN_WIDTH, highlight=False)


def stderr_console() -> Console:
    """Return where progress is drawn."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)
