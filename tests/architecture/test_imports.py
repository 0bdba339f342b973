"""The rooms import one another as the table says, and pure rooms stay pure."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.imports import (
    MAY_IMPORT,
    PURE_ENTRANCES,
    PURE_ROOMS,
    forbidden_imports,
    impure_imports,
    reached_in_room,
)
from tests.architecture.tree import listed, python_files, tracked_files, tree_of


def test_every_room_is_in_the_table() -> None:
    rooms = {name.split("/")[1] for name in tracked_files() if name.startswith("core/")}
    assert {room for room in rooms if not room.endswith(".py")} == set(MAY_IMPORT)


def test_rooms_import_only_what_the_table_allows() -> None:
    offences = [o for name in python_files("core") for o in forbidden_imports(name, tree_of(name))]
    assert not offences, listed(offences)


def test_pure_rooms_import_no_clock_chance_log_or_network() -> None:
    pure = {name for room in PURE_ROOMS for name in python_files(f"core/{room}")}
    pure |= reached_in_room(PURE_ENTRANCES)
    assert "core/simulation/venue/matching.py" in pure
    offences = [o for name in sorted(pure) for o in impure_imports(name, tree_of(name))]
    assert not offences, listed(offences)


@pytest.mark.parametrize(
    ("name", "source", "offence_count"),
    [
        ("core/model/a.py", "from core.utils import clock", 1),
        ("core/model/a.py", "from core.model.codes import Mode", 0),
        ("core/utils/a.py", "import core.engines.sizing", 1),
        ("core/engines/a.py", "def f():\n    from core.strategies import kernels", 1),
        ("core/engines/a.py", "from ..api import codec", 1),
        ("core/engines/a.py", "from .sizing import size\nfrom . import gate", 0),
        ("core/engines/a.py", "from core import analytics", 1),
        ("core/simulation/a.py", "from core.api.wire import number_text", 0),
        ("core/simulation/a.py", "from core.api import actions, signing", 0),
        ("core/simulation/a.py", "from core.api import rest_client", 1),
        ("core/simulation/a.py", "from core.api.rest_client import RestClient", 1),
        ("core/api/a.py", "from core.simulation.exchange import SimulatedExchange", 1),
        ("core/runtime/a.py", "import core\nfrom core.api import codec", 0),
        ("core/runtime/a.py", "from core.interfaces import text", 1),
        ("core/interfaces/a.py", "from core import __version__\nfrom core.runtime import demo", 0),
    ],
)
def test_the_check_finds_planted_imports(name: str, source: str, offence_count: int) -> None:
    assert len(forbidden_imports(name, ast.parse(source))) == offence_count


@pytest.mark.parametrize(
    ("source", "offence_count"),
    [
        ("import time", 1),
        ("from datetime import datetime", 1),
        ("import random, numpy", 1),
        ("import logging.handlers", 1),
        ("from core.model.time import NS_PER_S", 0),
    ],
)
def test_the_check_finds_planted_impurity(source: str, offence_count: int) -> None:
    assert len(impure_imports("core/engines/a.py", ast.parse(source))) == offence_count
