"""Small helpers of the venue tests: instruments, ticks and orders in readable numbers."""

from __future__ import annotations

from collections.abc import Sequence

from core.model.codes import Tif, TriggerKind
from core.model.instrument import Instrument, MarginTier
from core.model.time import NS_PER_HOUR, NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import OrderRequest, TriggerRequest, VenueOutput
from core.simulation.venue.settings import VenueSettings

START_NS = 1_750_000_000 * NS_PER_S // NS_PER_HOUR * NS_PER_HOUR
"""A full hour."""

ALICE = "0x" + "a1" * 20
BOB = "0x" + "b0" * 20
CAROL = "0x" + "c4" * 20
USDC = 1_000_000

BTC = Instrument(
    "BTC",
    0,
    5,
    leverage_max=40,
    margin_tiers=(MarginTier(0, 40), MarginTier(150_000_000 * USDC, 20)),
)
ETH = Instrument("ETH", 1, 4, leverage_max=25)
HYPE = Instrument("HYPE", 159, 2, leverage_max=10)
CRCL = Instrument("CRCL", 7, 3, leverage_max=3, is_isolated_only=True)
DEAD = Instrument("DEAD", 9, 2, leverage_max=5, is_delisted=True)
INSTRUMENTS = (BTC, ETH, HYPE, CRCL, DEAD)
BY_COIN = {i.coin: i for i in INSTRUMENTS}


def px(coin: str, price: float) -> int:
    return round(price * BY_COIN[coin].px_scale)


def lots(coin: str, coins: float) -> int:
    return round(coins * BY_COIN[coin].lots_scale)


def levels(coin: str, rows: Sequence[tuple[float, float]]) -> tuple[tuple[int, int], ...]:
    return tuple((px(coin, price), lots(coin, size)) for price, size in rows)


class Market:
    """Feeds one venue with ticks one second apart."""

    def __init__(self, settings: VenueSettings | None = None) -> None:
        self.venue = SimulatedExchange(INSTRUMENTS, settings or VenueSettings(), START_NS)
        self.now_ns = START_NS

    def tick(
        self,
        coin: str = "BTC",
        bids: Sequence[tuple[float, float]] = ((99_990, 1.0), (99_980, 2.0), (99_970, 5.0)),
        asks: Sequence[tuple[float, float]] = ((100_010, 1.0), (100_020, 2.0), (100_030, 5.0)),
        trades: Sequence[tuple[float, float, bool]] = (),
        mark: float | None = None,
        oracle: float | None = None,
        rate: float | None = None,
        seconds: float = 1.0,
    ) -> None:
        self.now_ns += round(seconds * NS_PER_S)
        if mark is None:
            mark = (bids[0][0] + asks[0][0]) / 2
        self.venue.apply_market(
            MarketTick(
                ts_ns=self.now_ns,
                coin=coin,
                bids=levels(coin, bids),
                asks=levels(coin, asks),
                trades=tuple((px(coin, p), lots(coin, s), b) for p, s, b in trades),
                mark_px=px(coin, mark),
                oracle_px=px(coin, mark if oracle is None else oracle),
                funding_rate_1h=rate,
            )
        )

    def fund(self, *addresses: str, usdc: float = 10_000) -> None:
        for address in addresses:
            self.venue.fund(address, round(usdc * USDC))

    def outputs(self, kind: type) -> list[VenueOutput]:
        return [output for output in self.venue.drain() if isinstance(output, kind)]


def limit(
    is_buy: bool,
    price: float,
    size: float,
    tif: Tif = Tif.GTC,
    *,
    coin: str = "BTC",
    reduce_only: bool = False,
    cloid: str | None = None,
    is_market: bool = False,
) -> OrderRequest:
    return OrderRequest(
        coin=coin,
        is_buy=is_buy,
        px=px(coin, price),
        lots=lots(coin, size),
        reduce_only=reduce_only,
        tif=tif,
        cloid=cloid,
        is_market=is_market,
    )


def trigger(
    is_buy: bool,
    kind: TriggerKind,
    trigger_price: float,
    size: float,
    *,
    price: float | None = None,
    is_market: bool = True,
    coin: str = "BTC",
    reduce_only: bool = True,
    cloid: str | None = None,
) -> OrderRequest:
    worst = round(trigger_price * (1.1 if is_buy else 0.9)) if price is None else price
    return OrderRequest(
        coin=coin,
        is_buy=is_buy,
        px=px(coin, worst),
        lots=lots(coin, size),
        reduce_only=reduce_only,
        trigger=TriggerRequest(is_market=is_market, trigger_px=px(coin, trigger_price), kind=kind),
        cloid=cloid,
    )
