"""Documents keep their promises: links lead somewhere, decisions are listed, commands exist."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from tests.architecture.tree import ROOT, listed, text_of, tracked_files

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SCHEME = re.compile(r"^[a-z]+:|^#")
MAKE_COMMAND = re.compile(r"(?:^ {4}|`)make ([a-z]+)", re.MULTILINE)


def _documents() -> list[str]:
    return [name for name in tracked_files() if name.endswith(".md")]


def _without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def test_links_between_documents_lead_somewhere() -> None:
    offences = []
    for name in _documents():
        for target in LINK.findall(_without_code(text_of(name) or "")):
            if SCHEME.match(target):
                continue
            path = ROOT / PurePosixPath(name).parent / target.partition("#")[0]
            if not path.exists():
                offences.append(f"{name} links to {target}, which does not exist")
    assert not offences, listed(offences)


def test_the_index_lists_every_decision() -> None:
    index = text_of("docs/adr/README.md") or ""
    decisions = [n for n in tracked_files() if re.match(r"docs/adr/\d{4}-", n)]
    assert len(decisions) >= 4
    numbers = [int(PurePosixPath(name).name[:4]) for name in decisions]
    assert numbers == list(range(1, len(numbers) + 1)), "decisions are numbered without gaps"
    for name in decisions:
        assert f"({PurePosixPath(name).name})" in index, f"docs/adr/README.md should list {name}"


def test_documents_name_only_make_commands_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile") or "", re.MULTILINE))
    assert {"help", "setup", "demo", "test", "check", "bench", "clean"} <= targets
    offences = [
        f"{name} says make {command}"
        for name in _documents()
        for command in MAKE_COMMAND.findall(text_of(name) or "")
        if command not in targets
    ]
    assert not offences, listed(offences)
