"""Who may import whom: the table of the developer guide, and the check that executes it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.tree import python_files, tree_of

BELOW = frozenset({"model", "utils"})
FLOOR_2 = frozenset({"strategies", "engines", "api", "simulation", "analytics"})

MAY_IMPORT: dict[str, frozenset[str]] = {
    "model": frozenset(),
    "utils": frozenset({"model"}),
    **dict.fromkeys(FLOOR_2, BELOW),
    "runtime": BELOW | FLOOR_2,
    "interfaces": BELOW | FLOOR_2 | {"runtime"},
}

# The local exchange speaks the venue's wire, and takes its words from where they are defined.
EXCEPTIONS: dict[str, frozenset[str]] = {
    "simulation": frozenset(
        {
            "core.api.actions",
            "core.api.multi_sig",
            "core.api.signing",
            "core.api.venue_words",
            "core.api.wire",
        }
    ),
}

IMPURE = frozenset(
    {
        *("asyncio", "concurrent", "multiprocessing", "selectors", "socket", "threading"),
        *("aiohttp", "http", "sqlite3", "subprocess", "urllib"),
        *("datetime", "time", "random", "secrets", "uuid"),
        *("logging", "structlog", "warnings"),
    }
)
"""Modules by which a clock, chance, a log or the outside world could enter a pure room."""

PURE_ROOMS = ("engines", "strategies")
PURE_ENTRANCES = ("core/simulation/exchange.py", "core/simulation/adapter.py")
"""The simulated exchange itself; what serves it over the network beside it is not pure."""


def imported_modules(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Walk all imports as line and absolute module name; ``from a import b`` is ``a.b``.

    Parameters
    ----------
    tree : ast.AST
        The importing module.
    package : str
        Dotted package of the importing module, which relative imports start from.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                kept = parents[: len(parents) - node.level + 1]
                base = ".".join([*kept, base] if base else kept)
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def forbidden_imports(name: str, tree: ast.AST) -> list[str]:
    """List the imports of file ``name`` that the table does not allow."""
    parts = name.removesuffix(".py").split("/")
    if len(parts) < 3:
        return []
    room = parts[1]
    allowed = MAY_IMPORT[room] | {room}
    exceptions = EXCEPTIONS.get(room, frozenset())
    offences = set()
    for line, module in imported_modules(tree, ".".join(parts[:-1])):
        words = module.split(".")
        # A bare `core.<name>` is a room only if the table knows it (else it is `core.__version__`).
        if words[0] != "core" or len(words) < 2 or words[1] not in MAY_IMPORT:
            continue
        if words[1] in allowed or ".".join(words[:3]) in exceptions:
            continue
        offences.add(f"{name}:{line} {room} may not import {'.'.join(words[:3])}")
    return sorted(offences)


def reached_in_room(entrances: tuple[str, ...]) -> frozenset[str]:
    """Name the files that ``entrances`` import, directly or not, without leaving their rooms."""
    known = set(python_files("core"))
    reached: set[str] = set()
    rooms = tuple({"/".join(name.split("/")[:2]) + "/" for name in entrances})
    waiting = list(entrances)
    while waiting:
        name = waiting.pop()
        reached.add(name)
        folder = name.rpartition("/")[0]
        for _, module in imported_modules(tree_of(name), folder.replace("/", ".")):
            path = module.replace(".", "/")
            for found in (f"{path}.py", f"{path.rpartition('/')[0]}.py"):
                if found in known - reached and found.startswith(rooms):
                    waiting.append(found)
    return frozenset(reached)


def impure_imports(name: str, tree: ast.AST) -> list[str]:
    """List the imports of file ``name`` that a pure room may not have."""
    package = ".".join(name.split("/")[:-1])
    return sorted(
        {
            f"{name}:{line} a pure room may not import {module.split('.')[0]}"
            for line, module in imported_modules(tree, package)
            if module.split(".")[0] in IMPURE
        }
    )
