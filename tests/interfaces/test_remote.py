"""Answers of a running bot get their types back, unknown numbers included."""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import pytest

from core.interfaces.remote import RequestRefusedError, ask, ask_now, typed
from core.model.errors import ExitCode, NotRunningError, NovaError
from core.model.status import SystemStatus
from tests.interfaces import pictures
from tests.interfaces.fakes import ControlServer


def test_a_status_survives_the_wire_with_its_unknown_prices() -> None:
    wired = json.loads(msgspec.json.encode(pictures.status()))
    assert wired["coins"][2]["entry_price"] is None
    status = typed(wired, SystemStatus)
    assert math.isnan(status.coins[2].entry_price)
    assert status.coins[0] == pictures.coins()[0]
    assert status.fills == pictures.status().fills
    assert status.orders == pictures.status().orders


def test_null_stays_null_where_no_float_is_meant() -> None:
    row = pictures.attributed(1, cloid=None)
    wired = json.loads(msgspec.json.encode(pictures.status(fills=(row,))))
    assert typed(wired, SystemStatus).fills[0].fill.cloid is None


def test_an_answer_of_another_shape_names_the_difference() -> None:
    with pytest.raises(NovaError, match=r"should be a SystemStatus.*same version"):
        typed({"mode": "demo"}, SystemStatus)


def test_a_running_bot_answers(bot: ControlServer) -> None:
    assert ask_now(bot.state_dir, "status")["session"] == pictures.status().session


async def test_fields_travel_with_the_request(bot: ControlServer) -> None:
    await ask(bot.state_dir, "operate", action="halt", who="test")
    assert bot.requests == [{"command": "operate", "action": "halt", "who": "test"}]


def test_a_refusal_is_an_error_with_the_bots_words(bot: ControlServer) -> None:
    bot.refusal = "'fly' is not a valid OperatorAction"
    with pytest.raises(RequestRefusedError, match="not a valid OperatorAction") as caught:
        ask_now(bot.state_dir, "operate", action="fly")
    assert caught.value.exit_code == ExitCode.USAGE


def test_where_nothing_runs_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="nova demo"):
        ask_now(tmp_path, "status")
