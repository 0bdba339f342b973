"""Small helpers of the spot tests: recorded pairs, ticks, orders, balances in readable numbers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from core.model.codes import Tif
from core.model.instrument import Instrument
from core.model.time import NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick
from core.simulation.market.universe import recorded_spot_instruments
from core.simulation.venue.outputs import OrderAnswer, OrderRequest, VenueOutput
from core.simulation.venue.records import Token
from core.simulation.venue.settings import VenueSettings
from tests.simulation.venue_kit import BTC, START_NS

HYPE_PAIR = "@107"
PURR_PAIR = "PURR/USDC"
PAIRS: dict[str, Instrument] = {
    i.coin: i for i in recorded_spot_instruments() if i.coin in (HYPE_PAIR, PURR_PAIR, "@156")
}


def units(text: str, decimals: int) -> int:
    scaled = Decimal(text).scaleb(decimals)
    assert scaled == int(scaled), f"{text} should fit {decimals} decimals"
    return int(scaled)


class SpotMarket:
    """One venue with BTC and three spot pairs; prices and sizes are texts, so nothing rounds."""

    def __init__(self, settings: VenueSettings | None = None) -> None:
        self.venue = SimulatedExchange(
            (BTC, *PAIRS.values()), settings or VenueSettings(), START_NS
        )
        self.now_ns = START_NS
        self.usdc, self.hype = self.token("USDC"), self.token("HYPE")

    def token(self, name: str) -> Token:
        token = self.venue.spot.token_named(name)
        assert token is not None
        return token

    def tick(
        self,
        bid: str = "34.89",
        ask: str = "34.895",
        *,
        coin: str = HYPE_PAIR,
        size: str = "1000",
        trades: Sequence[tuple[str, str, bool]] = (),
    ) -> None:
        self.now_ns += NS_PER_S
        pair = PAIRS[coin]
        bid_px, ask_px = pair.px_from_text(bid), pair.px_from_text(ask)
        mid_px = (bid_px + ask_px) // 2
        lots = pair.lots_from_text(size)
        self.venue.apply_market(
            MarketTick(
                ts_ns=self.now_ns,
                coin=coin,
                bids=((bid_px, lots),),
                asks=((ask_px, lots),),
                trades=tuple(
                    (pair.px_from_text(px), pair.lots_from_text(sz), is_buy)
                    for px, sz, is_buy in trades
                ),
                mark_px=mid_px,
                oracle_px=mid_px,
            )
        )

    def tick_perp(self, bid: int = 99_990, ask: int = 100_010) -> None:
        self.now_ns += NS_PER_S
        self.venue.apply_market(
            MarketTick(
                ts_ns=self.now_ns,
                coin="BTC",
                bids=((bid * 10, 1_000_000),),
                asks=((ask * 10, 1_000_000),),
                trades=(),
                mark_px=(bid + ask) * 5,
                oracle_px=(bid + ask) * 5,
            )
        )

    def fund(self, owner: str, amount: str, name: str = "USDC") -> None:
        token = self.token(name)
        self.venue.spot.fund(owner, token.index, units(amount, token.wei_decimals))

    def place(self, owner: str, *orders: OrderRequest) -> list[OrderAnswer]:
        return self.venue.place(owner, orders)

    def held(self, owner: str, name: str) -> tuple[str, str, str]:
        """Return (total, hold, entry) of a token as decimal texts."""
        token = self.token(name)
        for row in self.venue.spot.balances(owner):
            if row.token == token.index:
                total, hold = (
                    str(Decimal(wei).scaleb(-token.wei_decimals).normalize())
                    for wei in (row.total_wei, row.hold_wei)
                )
                return total, hold, str(Decimal(row.entry_micro).scaleb(-6).normalize())
        return "0", "0", "0"

    def outputs(self, kind: type) -> list[VenueOutput]:
        return [output for output in self.venue.drain() if isinstance(output, kind)]

    def is_conserved(self) -> bool:
        errors = [self.venue.token_error_wei(t.index) for t in self.venue.spot.tokens]
        return not any(errors) and self.venue.conservation_error_micro() == 0


def order(
    is_buy: bool,
    px: str,
    size: str,
    tif: Tif = Tif.GTC,
    *,
    coin: str = HYPE_PAIR,
    reduce_only: bool = False,
    is_market: bool = False,
) -> OrderRequest:
    pair = PAIRS[coin]
    return OrderRequest(
        coin=coin,
        is_buy=is_buy,
        px=pair.px_from_text(px),
        lots=pair.lots_from_text(size),
        reduce_only=reduce_only,
        tif=tif,
        is_market=is_market,
    )
