"""Accounts of the real venue, rebuilt by trading here and compared with every number it printed.

Sources: ``jkorf-clearinghouseState-isolated-HYPE.json`` (2025-08) and
``pysdk-clearinghouseState-2023-many-positions.json`` in ``tests/data/hyperliquid-recorded``; the
cross account of 2026-02 and the table of liquidation prices are quoted here. What no trade here can
make (funding of earlier days, the venue's clock) is left out of the comparison.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.model.codes import Tif
from core.model.instrument import Instrument, micro_from_text
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import OrderRequest
from core.simulation.venue.settings import VenueSettings
from core.simulation.wire.rows import account_row
from tests.simulation.venue_kit import ALICE, BTC, HYPE, USDC

RECORDED = Path(__file__).parents[1] / "data" / "hyperliquid-recorded"
DEPTH = 10**9
SMALL = VenueSettings(notional_min_micro=1)
"""Positions may have shrunk below the least order since they were opened."""

CROSS_2026: dict[str, Any] = {
    "marginSummary": {
        "accountValue": "179.007426",
        "totalNtlPos": "47.66235",
        "totalRawUsd": "131.345076",
        "totalMarginUsed": "2.383117",
    },
    "crossMarginSummary": {
        "accountValue": "179.007426",
        "totalNtlPos": "47.66235",
        "totalRawUsd": "131.345076",
        "totalMarginUsed": "2.383117",
    },
    "crossMaintenanceMarginUsed": "0.595779",
    "withdrawable": "174.241191",
    "assetPositions": [
        {
            "type": "oneWay",
            "position": {
                "coin": "BTC",
                "szi": "0.00061",
                "leverage": {"type": "cross", "value": 20},
                "entryPx": "82771.8",
                "positionValue": "47.66235",
                "unrealizedPnl": "-2.82848",
                "returnOnEquity": "-1.1203935447",
                "liquidationPx": None,
                "marginUsed": "2.383117",
                "maxLeverage": 40,
            },
        }
    ],
}


def recorded(name: str) -> dict[str, Any]:
    response: dict[str, Any] = json.loads((RECORDED / name).read_text())["response"]
    return response


def rebuilt(response: dict[str, Any], instruments: tuple[Instrument, ...]) -> SimulatedExchange:
    """Trade until the account holds the recorded positions at the recorded cost and cash."""
    venue = SimulatedExchange(instruments, SMALL, start_ns=0)
    by_coin = {i.coin: i for i in instruments}
    cash = micro_from_text(response["crossMarginSummary"]["totalRawUsd"])
    value = micro_from_text(response["marginSummary"]["accountValue"])
    venue.fund(ALICE, value * 9 // 10)
    for entry in response["assetPositions"]:
        open_as_recorded(venue, by_coin[entry["position"]["coin"]], entry["position"])
    venue.fund(ALICE, cash - venue.account_summary(ALICE).cross.raw_usd_micro)
    return venue


def open_as_recorded(
    venue: SimulatedExchange, instrument: Instrument, position: dict[str, Any]
) -> None:
    """Open one position in two fills, whose prices differ by one unit, at its exact cost."""
    coin = instrument.coin
    lots = instrument.lots_from_text(position["szi"])
    size, is_buy = abs(lots), lots > 0
    value = micro_from_text(position["positionValue"])
    mark, rest = divmod(value, size)
    assert rest == 0
    profit = micro_from_text(position["unrealizedPnl"])
    cost = value - profit if is_buy else value + profit
    floor, dearer = divmod(cost, size)
    better, worse = ((floor, size - dearer), (floor + 1, dearer))
    levels = tuple(level for level in (better, worse) if level[1])
    if not is_buy:
        levels = levels[::-1]
    last = levels[-1][0]
    far = ((1 if is_buy else 10 * last, DEPTH),)
    bids, asks = (far, levels) if is_buy else (levels, far)
    venue.apply_market(MarketTick(1, coin, bids, asks, (), last, last))
    leverage = position["leverage"]
    assert (
        venue.update_leverage(ALICE, coin, leverage["value"], leverage["type"] == "cross") is None
    )
    step = instrument.tick_units_at(last)
    limit = -(-last // step) * step if is_buy else last - last % step
    order = OrderRequest(coin=coin, is_buy=is_buy, px=limit, lots=size, tif=Tif.IOC)
    (answer,) = venue.place(ALICE, [order])
    assert answer.lots == size, answer
    venue.apply_market(MarketTick(2, coin, ((1, DEPTH),), ((10 * mark, DEPTH),), (), mark, mark))


def row_of(venue: SimulatedExchange) -> dict[str, Any]:
    """Return the venue's own answer without what time alone makes."""
    row = dict(account_row(venue.account_summary(ALICE), venue.instruments, 0))
    del row["time"]
    for entry in row["assetPositions"]:
        del entry["position"]["cumFunding"]
    return row


def comparable(response: dict[str, Any]) -> dict[str, Any]:
    row = {key: value for key, value in response.items() if key != "time"}
    for entry in row["assetPositions"]:
        entry["position"].pop("cumFunding", None)
    return row


@pytest.mark.parametrize("name", ["cross", "isolated"])
def test_today_every_printed_number_comes_out_to_the_last_digit(name):
    isolated = recorded("jkorf-clearinghouseState-isolated-HYPE.json")
    response = CROSS_2026 if name == "cross" else isolated
    venue = rebuilt(response, (BTC, HYPE))
    assert row_of(venue) == comparable(response)
    assert venue.conservation_error_micro() == 0


def test_of_2023_every_number_whose_rule_still_holds_comes_out():
    """Twelve cross positions; entry prices came rounded, ratios with eight digits.

    The rules of that year differ in three places, and the numbers follow from ours by the former
    ones: nothing of the notional was held back from withdrawal, equity meant the margin used now,
    and the liquidation price did not count that maintenance moves with the price.
    """
    response = recorded("pysdk-clearinghouseState-2023-many-positions.json")
    meta = recorded("pysdk-meta-2023.json")["universe"]
    instruments = tuple(
        Instrument(row["name"], asset, row["szDecimals"], leverage_max=row["maxLeverage"])
        for asset, row in enumerate(meta)
    )
    venue = rebuilt(response, instruments)
    row = row_of(venue)
    for key in ("marginSummary", "crossMarginSummary"):
        assert row[key] == response[key]
    summary = venue.account_summary(ALICE)
    free = summary.cross.account_value_micro - summary.cross.margin_used_micro
    assert free == micro_from_text(response["withdrawable"])
    surplus = summary.cross.account_value_micro - summary.cross_maintenance_micro
    for mine, entry in zip(row["assetPositions"], response["assetPositions"], strict=True):
        position, theirs = mine["position"], entry["position"]
        for key in ("coin", "szi", "leverage", "positionValue", "unrealizedPnl", "marginUsed"):
            assert position[key] == theirs[key], key
        used = Decimal(position["positionValue"]) / position["leverage"]["value"]
        ratio = Decimal(position["unrealizedPnl"]) / used
        assert ratio.quantize(Decimal("1e-8")) == Decimal(theirs["returnOnEquity"])
        entry_px = Decimal(position["entryPx"])
        assert abs(entry_px - Decimal(theirs["entryPx"])) <= Decimal(theirs["entryPx"]) / 200_000
        assert former_liquidation_px(theirs, surplus) == theirs["liquidationPx"]
    assert venue.conservation_error_micro() == 0


def former_liquidation_px(position: dict[str, Any], surplus_micro: int) -> str | None:
    """Return the liquidation price of 2023: where the surplus of today is lost."""
    size = Decimal(position["szi"])
    mark = Decimal(position["positionValue"]) / abs(size)
    px = mark - Decimal(surplus_micro) / USDC / size
    if px <= 0:
        return None
    return f"{px:.8f}".rstrip("0").rstrip(".")


CRCL = Instrument("CRCL", 7, 2, leverage_max=3, is_isolated_only=True)


@pytest.mark.parametrize(
    ("instrument", "szi", "raw", "recorded_px"),
    [
        (HYPE, "-4", "211.144417", "50.2724802381"),
        (CRCL, "0.13", "-6.955118", "64.2010892308"),
        (HYPE, "2", "-68.126246", "35.8559189474"),
    ],
)
def test_recorded_isolated_positions_have_their_liquidation_price(
    instrument, szi, raw, recorded_px
):
    """The size and the margin account decide alone; they are made by trading and moving margin."""
    venue = SimulatedExchange((instrument,), SMALL, start_ns=0)
    venue.fund(ALICE, 10_000 * USDC)
    lots = instrument.lots_from_text(szi)
    mark = instrument.px_from_text(str(round(Decimal(raw) / -Decimal(szi))))
    tick = MarketTick(1, instrument.coin, ((mark, DEPTH),), ((mark + 1, DEPTH),), (), mark, mark)
    venue.apply_market(tick)
    assert venue.update_leverage(ALICE, instrument.coin, 1, False) is None
    step = instrument.tick_units_at(2 * mark)
    limit = 2 * mark // step * step if lots > 0 else mark
    order = OrderRequest(
        coin=instrument.coin, is_buy=lots > 0, px=limit, lots=abs(lots), tif=Tif.IOC
    )
    (answer,) = venue.place(ALICE, [order])
    assert answer.lots == abs(lots)
    assert venue.update_leverage(ALICE, instrument.coin, instrument.leverage_max, False) is None
    higher = round(mark * (1.6 if lots > 0 else 0.7))
    venue.apply_market(
        MarketTick(2, instrument.coin, ((higher, DEPTH),), ((higher + 1, DEPTH),), (), higher, 1)
    )
    (row,) = venue.account_summary(ALICE).positions
    missing = micro_from_text(raw) - row.raw_usd_micro
    assert venue.update_isolated_margin(ALICE, instrument.coin, missing) is None
    (row,) = venue.account_summary(ALICE).positions
    assert row.raw_usd_micro == micro_from_text(raw)
    assert row.liquidation_px == recorded_px
