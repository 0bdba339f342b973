"""The house stays tidy: sizes, docstrings, error handling, words, paths, secrets."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture import tidy
from tests.architecture.tree import (
    HOUSE_RULES,
    listed,
    python_files,
    text_files,
    text_of,
    tracked_files,
    tree_of,
)

# The places where anything may go wrong and the program must go on: supervisors, each with the
# number of handlers it has.
SUPERVISORS = {"core/utils/emergency_handler.py": 2}

# The local exchange takes the builder codes of foreign clients: their canonical form, their fee.
MAY_NAME_BUILDER = ("core/api/actions.py", "core/simulation/")

# Recorded answers and signing vectors hold public hashes and published test keys.
MAY_HOLD_64_HEX = ("tests/", "benchmarks/")


def test_files_are_short() -> None:
    offences = []
    for name in python_files():
        count = (text_of(name) or "").count("\n")
        if count > tidy.LINES_OF_FILE_MAX:
            offences.append(f"{name}: {count} lines, at most {tidy.LINES_OF_FILE_MAX} expected")
    assert not offences, listed(offences)


def test_functions_are_short() -> None:
    offences = [
        f"{name}:{line} {function}: {count} lines, at most {tidy.LINES_OF_FUNCTION_MAX} expected"
        for name in python_files()
        for line, function, count in tidy.long_functions(tree_of(name))
    ]
    assert not offences, listed(offences)


def test_every_module_says_why_it_exists() -> None:
    documented = python_files("core", "scripts", "benchmarks")
    offences = [name for name in documented if not ast.get_docstring(tree_of(name))]
    assert not offences, listed(offences)


def test_no_function_is_left_empty() -> None:
    offences = [
        f"{name}:{line} {function} has no body"
        for name in python_files("core", "scripts", "benchmarks")
        for line, function in tidy.empty_functions(tree_of(name))
    ]
    assert not offences, listed(offences)


def test_only_supervisors_catch_everything() -> None:
    found: dict[str, list[int]] = {}
    for name in python_files("core", "scripts", "benchmarks"):
        lines = list(tidy.broad_handlers(tree_of(name)))
        if lines:
            found[name] = lines
    assert {name: len(lines) for name, lines in found.items()} == SUPERVISORS, (
        f"handlers of everything: {found}"
    )


def test_no_test_sleeps_in_real_time() -> None:
    offences = [
        f"{n}:{line}" for n in python_files("tests") for line in tidy.thread_sleeps(tree_of(n))
    ]
    assert not offences, listed(offences)


def test_only_compose_branches_on_the_mode() -> None:
    # Interfaces may show a mode differently; what is done never depends on it elsewhere.
    rooms = [n for n in python_files("core") if not n.startswith("core/interfaces/")]
    assert "core/runtime/compose.py" in rooms
    found = {name for name in rooms if list(tidy.mode_branches(tree_of(name)))}
    assert found <= {"core/runtime/compose.py"}


def test_nothing_of_ours_writes_a_builder_code() -> None:
    offences = [
        f"{name}:{line} writes a builder field"
        for name in python_files("core", "scripts", "benchmarks")
        if not name.startswith(MAY_NAME_BUILDER)
        for line in tidy.written_builders(tree_of(name))
    ]
    assert not offences, listed(offences)


def _matches(pattern: re.Pattern[str], names: tuple[str, ...] = ()) -> list[str]:
    offences = []
    for name, text in text_files():
        if names and not name.startswith(names):
            continue
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            offences.append(f"{name}:{line} {match.group()[:40]!r}")
    return offences


def test_nothing_is_left_for_later() -> None:
    offences = _matches(tidy.UNFINISHED_WORDS)
    phrases = _matches(tidy.UNFINISHED_PHRASES, ("core/", "scripts/", "benchmarks/"))
    assert not offences + phrases, listed(offences + phrases)


def test_no_package_registry_is_named() -> None:
    offences = _matches(tidy.REGISTRY_HOSTS)
    assert not offences, listed(offences)


def test_no_path_of_one_machine_is_named() -> None:
    offences = [o for o in _matches(tidy.MACHINE_PATHS) if not o.startswith(HOUSE_RULES)]
    assert not offences, listed(offences)


def test_no_secret_is_tracked() -> None:
    offences = _matches(tidy.SECRETS)
    offences += [o for o in _matches(tidy.KEY_OF_64_HEX) if not o.startswith(MAY_HOLD_64_HEX)]
    offences += [name for name in tracked_files() if tidy.SECRET_FILE_NAMES.search(name)]
    assert not offences, listed(offences)


def test_nothing_the_program_writes_is_tracked() -> None:
    offences = [name for name in tracked_files() if tidy.WRITTEN_FILE_NAMES.search(name)]
    assert not offences, listed(offences)


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("try:\n    f()\nexcept Exception:\n    pass", 1),
        ("try:\n    f()\nexcept:\n    pass", 1),
        ("try:\n    f()\nexcept (ValueError, BaseException):\n    return 0", 1),
        ("try:\n    f()\nexcept Exception as error:\n    raise X from error", 0),
        ("try:\n    f()\nexcept BaseException:\n    undo()\n    raise", 0),
        ("try:\n    f()\nexcept ValueError:\n    pass", 0),
    ],
)
def test_planted_handlers_are_found(source: str, count: int) -> None:
    assert len(list(tidy.broad_handlers(ast.parse(source)))) == count


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("def f(): ...", 1),
        ('def f():\n    """Say."""\n    pass', 1),
        ('def f():\n    """Say."""\n    raise NotImplementedError', 1),
        ('def f():\n    """Nothing to close."""', 0),
        ("class A(Protocol):\n    def f(self): ...", 0),
        ("class A(ABC):\n    @abc.abstractmethod\n    def f(self): ...", 0),
        ("def f():\n    return 1", 0),
    ],
)
def test_planted_empty_functions_are_found(source: str, count: int) -> None:
    assert len(list(tidy.empty_functions(ast.parse(source)))) == count


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("if mode is Mode.LIVE:\n    f()", 1),
        ("x = 1 if options.mode == 'live' else 2", 1),
        ("match session.mode:\n    case 1:\n        f()", 1),
        ("if mode == 'live':\n    f()", 1),
        ("if mode & 0o077:\n    f()", 0),
        ("if journal_mode == 'wal':\n    f()", 0),
        ("f(mode=Mode.DEMO)", 0),
    ],
)
def test_planted_mode_branches_are_found(source: str, count: int) -> None:
    assert len(list(tidy.mode_branches(ast.parse(source)))) == count


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("order_action(orders, builder=b)", 1),
        ("action = {'type': 'order', 'builder': b}", 1),
        ("action['builder'] = b", 1),
        ("action.builder = b", 1),
        ("class OrderAction:\n    builder: Builder | None = None", 0),
    ],
)
def test_planted_builders_are_found(source: str, count: int) -> None:
    assert len(list(tidy.written_builders(ast.parse(source)))) == count


def test_planted_sleeps_are_found() -> None:
    source = "import time\ntime.sleep(1)\nawait clock.sleep(1)\n"
    assert list(tidy.thread_sleeps(ast.parse(source))) == [2]


def test_a_planted_long_function_is_found() -> None:
    source = "def f():\n" + "    x = 1\n" * tidy.LINES_OF_FUNCTION_MAX
    assert [name for _, name, _ in tidy.long_functions(ast.parse(source))] == ["f"]


@pytest.mark.parametrize(
    ("pattern", "bad", "good"),
    [
        (tidy.UNFINISHED_WORDS, "# " + "TO" + "DO: later", "what there is to do"),
        (tidy.UNFINISHED_PHRASES, "raise X('Not yet implemented')", "a stubborn order"),
        (tidy.REGISTRY_HOSTS, "https://files.python" + "hosted.org/x", "the Python package index"),
        (tidy.MACHINE_PATHS, 'open("/home/someone/x")', "a person working from /home"),
        (tidy.MACHINE_PATHS, "see /root/x", "docs/root/x and https://host/root/x"),
        (tidy.SECRETS, "-----BEGIN EC " + "PRIVATE KEY-----", "a private key"),
        (tidy.KEY_OF_64_HEX, "0x" + "1f" * 32, "0x" + "0" * 64),
        (tidy.SECRET_FILE_NAMES, "secrets.env", ".env.example"),
        (tidy.WRITTEN_FILE_NAMES, "logs/demo/journal.sqlite", "logs/README.md"),
    ],
)
def test_patterns_find_what_is_planted(pattern: re.Pattern[str], bad: str, good: str) -> None:
    assert pattern.search(bad)
    assert not pattern.search(good)
