"""A paper account that goes on after a crash: the local venue set up as the last session knew it.

The account of a paper session is nobody's but ours, so the engine's own record is the truth of it,
and the venue that died with the process is built again from that: cash, positions, open orders.
Knows nothing of markets.
"""

from __future__ import annotations

import msgspec

from core.engines.context import read_snapshot
from core.model.codes import OrderStatus, Tif
from core.model.commands import PlaceOrder
from core.model.instrument import Instrument
from core.simulation.adapter import order_request
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import OrderRequest
from core.utils.logger import Logger


class PaperSeed(msgspec.Struct, frozen=True, kw_only=True):
    """An account at one moment.

    ``positions`` are signed lots and what they cost by coin, ``marks`` the last known mark prices.
    """

    cash_micro: int
    positions: dict[str, tuple[int, int]]
    orders: tuple[PlaceOrder, ...]
    leverages: dict[str, int]
    marks: dict[str, int]


def paper_seed(packed: bytes) -> PaperSeed:
    """Read an account from an engine's snapshot."""
    saved = read_snapshot(packed)
    return PaperSeed(
        cash_micro=saved.account.cash_micro,
        positions={coin: (p.lots, p.cost_micro) for coin, p in saved.account.positions.items()},
        orders=tuple(
            PlaceOrder(
                cloid=order.cloid,
                coin=order.coin,
                asset=order.asset,
                is_buy=order.is_buy,
                px=order.px,
                lots=order.lots_left,
                tif=order.tif,
                reduce_only=order.reduce_only,
                trigger=order.trigger,
                purpose=order.purpose,
                strategy=order.strategy,
                arrival_mid_x2=order.arrival_mid_x2,
            )
            for order in saved.orders.open.values()
            if order.status is OrderStatus.WORKING and order.ending is None and order.lots_left
        ),
        leverages={c: desk.leverage_set for c, desk in saved.desks.items() if desk.leverage_set},
        marks={c: market.facts.mark_px for c, market in saved.market.items()},
    )


def plant(exchange: SimulatedExchange, account: str, seed: PaperSeed) -> frozenset[int]:
    """Set a fresh venue up as a seed says.

    Returns
    -------
    frozenset of int
        Ids of the orders that opened the positions; their fills are history and no news.
    """
    prices = {
        coin: _entry_px(exchange.instruments[coin], lots, cost)
        for coin, (lots, cost) in seed.positions.items()
        if coin in exchange.instruments
    }
    # Cash is what is left after the notional of all positions was paid.
    notional = sum(seed.positions[coin][0] * px for coin, px in prices.items())
    exchange.fund(account, max(1, seed.cash_micro + notional))
    for coin, leverage in seed.leverages.items():
        if coin in exchange.instruments:
            is_cross = not exchange.instruments[coin].is_isolated_only
            exchange.update_leverage(account, coin, leverage, is_cross)
    rates = exchange.fee_rates(account)
    exchange.set_fee_rates(account, taker_rate_e8=0, maker_rate_e8=0)
    oids = [
        _open(exchange, account, coin, seed.positions[coin][0], px) for coin, px in prices.items()
    ]
    exchange.set_fee_rates(
        account, taker_rate_e8=rates.taker_rate_e8, maker_rate_e8=rates.maker_rate_e8
    )
    for order in seed.orders:
        if order.coin in exchange.instruments:
            _show(exchange, order.coin, seed.marks.get(order.coin) or order.px, 0, 0)
            exchange.place(account, (order_request(order),))
    exchange.drain()
    found = exchange.account_report(account)
    if found.cash_micro != seed.cash_micro:
        detail = f"cash {found.cash_micro} micro-USDC instead of {seed.cash_micro}"
        Logger("paper").warning("paper_account_differs", detail=detail)
    return frozenset(oids)


def _entry_px(instrument: Instrument, lots: int, cost_micro: int) -> int:
    """Return the average entry, rounded to a price the venue trades at; only shown to people."""
    price = instrument.px_float(cost_micro / lots)
    return instrument.px_units_on_grid(price, is_buy=lots > 0)


def _open(exchange: SimulatedExchange, account: str, coin: str, lots: int, px: int) -> int:
    """Trade a position into being at one price, in a market made for it."""
    _show(exchange, coin, px, 0 if lots > 0 else -lots, max(0, lots))
    request = OrderRequest(coin=coin, is_buy=lots > 0, px=px, lots=abs(lots), tif=Tif.IOC)
    (answer,) = exchange.place(account, (request,))
    return answer.oid


def _show(exchange: SimulatedExchange, coin: str, px: int, bid_lots: int, ask_lots: int) -> None:
    exchange.apply_market(
        MarketTick(
            ts_ns=exchange.now_ns,
            coin=coin,
            bids=((px, bid_lots),) if bid_lots else (),
            asks=((px, ask_lots),) if ask_lots else (),
            trades=(),
            mark_px=px,
            oracle_px=px,
        )
    )
