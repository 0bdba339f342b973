"""The guide to the local exchange names all that is served, and what it shows works."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from core.api.actions import UserAction
from core.model.codes import Grouping
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.open import open_market
from core.simulation.wire import actions
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.channels import CHANNELS
from core.simulation.wire.exchange_desk import tag_of
from core.simulation.wire.fault_files import read_plan
from core.simulation.wire.faults import APPLICABLE, FaultName, FaultRule, Route
from core.simulation.wire.info_desk import InfoDesk
from core.simulation.wire.options import OPTIONS
from core.simulation.wire.time_mode import TimeMode

GUIDE = (Path(__file__).parents[2] / "docs" / "EXCHANGE.md").read_text(encoding="utf-8")


def missing(names: object) -> list[str]:
    return [str(name) for name in sorted(names) if f"`{name}`" not in GUIDE]  # type: ignore[call-overload]


def indented(start: str) -> str:
    """The indented example that begins with a line."""
    lines = GUIDE[GUIDE.index(f"    {start}") :].split("\n")
    taken = []
    for line in lines:
        if line and not line.startswith("    "):
            break
        taken.append(line)
    return textwrap.dedent("\n".join(taken))


@pytest.fixture(scope="module")
def venue() -> tuple[SimulatedExchange, MarketBoard]:
    source = open_market(coins=["BTC"])
    exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    return exchange, MarketBoard(source, exchange)


def test_every_query_is_named(venue: tuple[SimulatedExchange, MarketBoard]) -> None:
    assert missing(InfoDesk(*venue).types) == []


def test_every_action_is_named(venue: tuple[SimulatedExchange, MarketBoard]) -> None:
    kinds = list(actions.handlers(venue[0]))
    assert any(issubclass(kind, UserAction) for kind in kinds)
    assert missing({tag_of(kind) for kind in kinds} | set(Grouping)) == []


def test_every_channel_is_named() -> None:
    assert missing(CHANNELS) == []


def test_every_option_and_clock_is_named() -> None:
    assert [spec.flag for spec in OPTIONS if f"`{spec.flag}" not in GUIDE] == []
    assert missing({mode.value for mode in TimeMode}) == []


def test_every_fault_field_and_route_is_named() -> None:
    assert missing(get_args(FaultName)) == []
    assert missing(get_args(Route)) == []
    assert missing({field.name for field in msgspec.structs.fields(FaultRule)}) == []


def test_the_table_of_faults_tells_where_each_can_happen() -> None:
    for name in get_args(FaultName):
        (where,) = re.findall(rf"^\| (?:`\w+`, )?`{name}`.*?\| (.+?) \|", GUIDE, re.M)
        told = set(where.replace("`connect`", "ws").replace(" ", "").split(","))
        assert told == {route for route, known in APPLICABLE.items() if name in known}, name


def test_the_fault_plan_shown_is_one() -> None:
    (text,) = re.findall(r"```jsonc\n(.*?)```", GUIDE, re.S)
    plan = read_plan(text)
    assert len(plan.rules) == text.count('"route"')


def test_the_fixture_shown_works(tmp_path: Path) -> None:
    text = indented("from core.simulation.testing import local_exchange")
    first = text[: text.index("\n\n\ndef test_my_bot_survives")]
    imports = "from eth_account import Account\nfrom hyperliquid.exchange import Exchange\n"
    (tmp_path / "test_bot.py").write_text(imports + first)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_bot.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
