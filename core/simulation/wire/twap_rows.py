"""Rows of TWAP orders: their state, how they began and ended, and the fills of their slices.

Source: reference section 10.4 (``twapHistory``, ``userTwapSliceFills``). It decides nothing.
"""

from __future__ import annotations

from core.model.instrument import PX_DECIMALS_SPOT, Instrument, decimal_text
from core.model.time import NS_PER_S
from core.simulation.venue.outputs import FillOutput
from core.simulation.venue.records import TwapOutput, TwapState
from core.simulation.wire.rows import Instruments, Row, fill_row, side_text
from core.simulation.wire.text import lots_text, ms, usd_text, with_point


def twap_state_row(state: TwapState, instrument: Instrument) -> Row:
    """Return a TWAP order and what it has executed; triggers of TWAPs are not simulated."""
    request = state.request
    return {
        "coin": request.coin,
        "user": state.owner,
        "side": side_text(request.is_buy),
        "sz": lots_text(instrument, request.lots),
        "executedSz": lots_text(instrument, state.executed_lots),
        "executedNtl": _notional_text(state.executed_notional, instrument),
        "minutes": request.minutes,
        "reduceOnly": request.reduce_only,
        "randomize": request.is_randomized,
        "timestamp": ms(state.started_ns),
        "trigger": None,
        "stopPx": None,
    }


def twap_history_row(output: TwapOutput, instruments: Instruments) -> Row:
    """Return a row of ``twapHistory``; its time counts seconds."""
    status: Row = {"status": output.status.value}
    if output.text:
        status["description"] = output.text
    return {
        "time": output.ts_ns // NS_PER_S,
        "state": twap_state_row(output.state, instruments[output.state.request.coin]),
        "status": status,
        "twapId": output.state.twap_id,
    }


def twap_slice_row(output: FillOutput, instruments: Instruments) -> Row:
    """Return a row of ``userTwapSliceFills``."""
    fill = fill_row(output, instruments[output.fill.coin])
    return {"fill": fill, "twapId": output.twap_id}


def _notional_text(notional: int, instrument: Instrument) -> str:
    """Write a sum of px * lots, which counts finer on spot."""
    if instrument.is_spot:
        return with_point(decimal_text(notional, PX_DECIMALS_SPOT))
    return usd_text(notional)
