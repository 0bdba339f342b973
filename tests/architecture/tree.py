"""The tracked files of the repository and their syntax trees, read once for all house rules."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOUSE_RULES = "tests/architecture/"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tracked_files() -> tuple[str, ...]:
    """Name the files that git tracks or would track, relative to the root."""
    answer = subprocess.run(
        # A clone may belong to another user than the one who tests it.
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    names = sorted(name for name in set(answer.stdout.split("\0")) if name)
    return tuple(name for name in names if (ROOT / name).is_file())


@cache
def text_of(name: str) -> str | None:
    """Read a tracked file, or return ``None`` if it is not UTF-8 text."""
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def text_files() -> Iterator[tuple[str, str]]:
    """Walk all tracked text files as name and content."""
    for name in tracked_files():
        text = text_of(name)
        if text is not None:
            yield name, text


def python_files(*folders: str) -> tuple[str, ...]:
    """Name the tracked Python files, those under ``folders`` if any are given."""
    prefixes = tuple(f"{folder}/" for folder in folders)
    found = (name for name in tracked_files() if name.endswith(".py"))
    return tuple(name for name in found if not prefixes or name.startswith(prefixes))


@cache
def tree_of(name: str) -> ast.Module:
    """Parse a tracked Python file."""
    text = text_of(name)
    assert text is not None, f"{name} should be UTF-8 text"
    return ast.parse(text, filename=name)


def functions(tree: ast.AST) -> Iterator[FunctionNode]:
    """Walk all functions and methods, nested ones too."""
    for node in ast.walk(tree):
        if isinstance(node, FunctionNode):
            yield node


def listed(offences: list[str]) -> str:
    """Format offences for an assertion's message, one a line."""
    return "\n" + "\n".join(offences)
