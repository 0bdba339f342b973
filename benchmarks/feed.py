"""One order book frame, from socket bytes to the engine's book state, against a plain reader."""

from __future__ import annotations

import json
from collections.abc import Callable

from benchmarks.timing import Contestant, Timing, race
from core.api.codec import Codec
from core.engines.trading_engine import TradingEngine
from core.model.events import InstrumentsListed
from core.model.instrument import Instrument
from core.model.settings import EngineConfig

LEVEL_COUNT = 20
CALLS = 2_000
TIME_MS = 1_754_450_974_231
INSTRUMENT = Instrument(coin="BTC", asset=0, sz_decimals=5, leverage_max=40)


def frame_of(kind: str, data: object) -> bytes:
    """Return one message of the venue."""
    return json.dumps({"channel": kind, "data": data}, separators=(",", ":")).encode()


def book_frame() -> bytes:
    """Return a full snapshot of 20 levels a side, as the venue prints it."""
    sides = [
        [
            {"px": f"{113_377 + sign * level}.0", "sz": f"{1 + level * 0.37:.5f}", "n": 3 + level}
            for level in range(LEVEL_COUNT)
        ]
        for sign in (-1, 1)
    ]
    return frame_of("l2Book", {"coin": "BTC", "time": TIME_MS, "levels": sides})


def bbo_frame(bid: int = 113_376) -> bytes:
    """Return one change of the touch."""
    levels = [{"px": f"{bid}.0", "sz": "0.5", "n": 2}, {"px": f"{bid + 1}.0", "sz": "1.5", "n": 4}]
    return frame_of("bbo", {"coin": "BTC", "time": TIME_MS, "bbo": levels})


def run() -> list[Timing]:
    """Race the readers in one process."""
    book, bbo = book_frame(), bbo_frame()
    codec = Codec([INSTRUMENT])
    return race(
        [
            Contestant("nova: l2Book frame to event", lambda: codec.decode_frame(book), CALLS),
            Contestant("nova: l2Book frame to engine state", _to_state(codec, book), CALLS),
            Contestant("json and float: l2Book frame to levels", lambda: _plain(book), CALLS),
            Contestant("nova: bbo frame to event", lambda: codec.decode_frame(bbo), CALLS),
            Contestant("nova: bbo frame to engine state", _to_state(codec, bbo), CALLS),
        ]
    )


def _to_state(codec: Codec, raw: bytes) -> Callable[[], None]:
    engine = TradingEngine(EngineConfig(), [], account="0x" + "0" * 40)
    engine.process(InstrumentsListed(instruments=(INSTRUMENT,), seq=1, ts_recv_ns=1))

    def work() -> None:
        for event in codec.decode_frame(raw):
            engine.process(event)  # type: ignore[arg-type]

    return work


def _plain(raw: bytes) -> tuple[list[tuple[float, float]], ...]:
    """Read as a simple client does: the standard library and floats."""
    levels = json.loads(raw)["data"]["levels"]
    return tuple([(float(row["px"]), float(row["sz"])) for row in side] for side in levels)
