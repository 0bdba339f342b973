"""Every recorded answer of the real venue against the same answer of ours: shape, words, order.

Each recording has a chapter. More recordings than the repository may hold are compared where they
lie beside the checkout.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.simulation.market.universe import recorded_meta, recorded_spot_meta
from tests.simulation_server.shape_chapters import ACTIONS, INFO, SOCKETS, STREAMS, funded
from tests.simulation_server.shape_story import Story
from tests.simulation_server.shapes import departures, template
from tests.simulation_server.venue import STRANGER, open_venue

INSIDE = Path(__file__).parent.parent / "data" / "hyperliquid-recorded"
OUTSIDE = Path(__file__).parents[3] / "shared" / "data" / "hyperliquid-recorded"
"""Recordings whose licence keeps them out of the repository; only some checkouts have them."""
NOT_COMPARED: dict[str, str] = {}
"""Recordings that no chapter answers, with the reason."""
NEWER = {
    "gohl-meta-2025-08": {"collateralToken"},
    "pysdk-meta-2023": {"marginTables", "marginTableId", "collateralToken"},
    "pysdk-clearinghouseState-2023-many-positions": {
        *("crossMarginSummary", "crossMaintenanceMarginUsed", "time"),
        *("cumFunding", "maxLeverage", "totalRawUsd"),
    },
    "pysdk-frontendOpenOrders-tpsl": {"cloid"},
    "pysdk-l2Book-DYDX": {"time"},
    "pysdk-openOrders-many": {"origSz"},
    "pysdk-userFills-500": {"tid", "feeToken", "twapId"},
    "pysdk-userRateLimit": {"nRequestsSurplus"},
}
"""Keys that the venue added after a recording was made (reference section 10)."""
GONE = {
    "pysdk-clearinghouseState-2023-many-positions": {"maxTradeSzs"},
}
"""Keys that a recording has and today's venue (reference section 10) has not."""


def error_of(answer: Any) -> str:
    """The error text of an answer, of the whole action or of its only status."""
    if answer["status"] == "err":
        return str(answer["response"])
    data = answer["response"]["data"]
    status = data["statuses"][0] if "statuses" in data else data["status"]
    return str(status["error"])


def statuses_of(answer: Any) -> list[Any]:
    """The statuses of an answer: words as they are, objects by their only key."""
    statuses = answer["response"].get("data", {}).get("statuses", [])
    return [status if isinstance(status, str) else set(status) for status in statuses]


def recordings() -> dict[str, Path]:
    """All recordings by name, those of the repository first."""
    found: dict[str, Path] = {}
    for folder in (INSIDE, OUTSIDE):
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
            found.setdefault(path.stem, path)
    return found


RECORDINGS = recordings()


def recorded(name: str) -> Any:
    return msgspec.json.decode(RECORDINGS[name].read_bytes())


def without(value: Any, gone: set[str]) -> Any:
    """Return JSON data without some keys, at any depth."""
    if isinstance(value, list):
        return [without(item, gone) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: without(item, gone) for key, item in value.items() if key not in gone}


def compared(name: str, ours: Any, theirs: Any, root: str) -> None:
    newer = frozenset(NEWER.get(name, ()))
    theirs = without(theirs, GONE.get(name, set()))
    assert departures(ours, theirs, root=root, newer=newer) == []


def test_every_recording_has_a_chapter() -> None:
    chapters = {*INFO, *ACTIONS, *STREAMS, *SOCKETS, *NOT_COMPARED}
    assert set(RECORDINGS) - chapters == set()
    assert {path.stem for path in INSIDE.glob("*.json")} <= chapters


@pytest.mark.parametrize("name", [name for name in INFO if name in RECORDINGS])
def test_queries_answer_in_the_recorded_shape(name: str) -> None:
    document = recorded(name)
    kind = str(document["request"].get("type", "openOrders"))
    compared(name, INFO[name](funded()), document["response"], kind)


@pytest.mark.parametrize("name", [name for name in ACTIONS if name in RECORDINGS])
def test_actions_answer_in_the_recorded_shape_and_words(name: str) -> None:
    theirs, ours = recorded(name)["response"], ACTIONS[name](funded())
    compared(name, ours, theirs, "action")
    assert ours["status"] == theirs["status"], ours
    if "error" in name:
        assert template(error_of(ours)) == template(error_of(theirs))
    elif theirs["status"] == "ok":
        assert ours["response"]["type"] == theirs["response"]["type"]
        own, status = (statuses_of(answer) for answer in (ours, theirs))
        assert own == status


@pytest.mark.parametrize("name", [name for name in STREAMS if name in RECORDINGS])
def test_streams_tell_in_the_recorded_shape(name: str) -> None:
    frames = recorded(name)["response"]
    theirs = [f["data"] for f in frames if f["channel"] != "subscriptionResponse"]
    kind = next(f["channel"] for f in frames if f["channel"] != "subscriptionResponse")
    ours = STREAMS[name](funded())
    assert ours, f"nothing was told of {kind}"
    own_forms = [data for data in ours if _form(data) == _form(theirs[-1])]
    assert own_forms, f"no message like {theirs[-1]!r:.80}"
    compared(name, own_forms, theirs, kind)


def _form(data: Any) -> Any:
    """What tells messages of one channel apart: the keys, and of an update its statuses."""
    if isinstance(data, list) and data and "status" in data[0]:
        return [row["status"] for row in data]
    if not isinstance(data, dict):
        return type(data)
    return {key for key in data if key != "isSnapshot"}


def test_the_story_is_told_with_the_shipped_metadata() -> None:
    story = Story()
    assert story.ask("meta")["universe"] == recorded_meta()["universe"]
    listed = [row for row in recorded_spot_meta()["universe"] if row["tokens"][1] == 0]
    assert story.ask("spotMeta")["universe"] == listed


async def test_sockets_refuse_in_the_recorded_words() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        for name in SOCKETS:
            if name not in RECORDINGS:
                continue
            frames.raw.clear()
            document = recorded(name)
            sent = document["request"]
            if document["response"][0]["channel"] == "post":
                action = {"type": "noop"}
                body = msgspec.json.decode(venue.signed(action, STRANGER))
                sent = {"method": "post", "id": 7, "request": {"type": "action", "payload": body}}
            session.handle(msgspec.json.encode(sent).decode())
            await venue.clock.advance(3.0)
            (ours,) = frames.messages
            theirs = document["response"][0]
            assert departures(ours, theirs) == []
            if theirs["channel"] == "error":
                assert ours == theirs
            else:
                texts = [m["data"]["response"]["payload"]["response"] for m in (ours, theirs)]
                assert template(texts[0]).endswith("does not exist.")
                assert texts[1].endswith("does not exist.")


# --- the comparison itself ----------------------------------------------------------------------


def changed(name: str, change: Callable[[Any], Any]) -> list[str]:
    """Departures of a recording that was changed from itself."""
    theirs = recorded(name)["response"]
    return departures(change(msgspec.json.decode(msgspec.json.encode(theirs))), theirs)


def drop(rows: Any) -> Any:
    del rows[0]["fee"]
    return rows


def rename(rows: Any) -> Any:
    return [{("size" if key == "sz" else key): value for key, value in row.items()} for row in rows]


PLANTED: dict[str, Callable[[Any], Any]] = {
    "a key is missing": drop,
    "a key has another name": rename,
    "keys stand in another order": lambda rows: [dict(reversed(row.items())) for row in rows],
    "a number is no text": lambda rows: [row | {"px": 4307.4} for row in rows],
    "a whole number has no decimal": lambda rows: [row | {"px": "4307"} for row in rows],
    "a flag is a text": lambda rows: [row | {"crossed": "true"} for row in rows],
    "an address is not in lower case": lambda rows: [row | {"hash": "0x7D"} for row in rows],
    "a value is null": lambda rows: [row | {"dir": None} for row in rows],
    "rows run the other way": lambda rows: rows[::-1],
    "there is a row of rows": lambda rows: [rows],
    "there is nothing": lambda rows: [],
}


@pytest.mark.parametrize("difference", PLANTED)
def test_a_planted_difference_is_found(difference: str) -> None:
    name = "gohl-userFillsByTime-two"
    assert changed(name, lambda rows: rows) == []
    assert changed(name, PLANTED[difference]) != []
