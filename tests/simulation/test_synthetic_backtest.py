"""A backtest on the generated market: the market hears of exactly what local takers did."""

from __future__ import annotations

from pathlib import Path

from core.model.settings import EngineConfig
from core.runtime.backtest import replay_market
from core.runtime.options import BacktestOptions
from core.simulation.market.synthetic_source import SyntheticSource


class Listener(SyntheticSource):
    """A synthetic market that writes down what it is told."""

    def __init__(self) -> None:
        super().__init__(("BTC", "SOL"), seed=3, days=0.08, volatility=2.0)
        self.told: list[tuple[str, int, int]] = []

    def react(self, coin: str, *, lots_signed: int, px: int, ts_ns: int) -> None:
        self.told.append((coin, lots_signed, px))
        super().react(coin, lots_signed=lots_signed, px=px, ts_ns=ts_ns)


def test_the_market_hears_of_every_taker_of_a_backtest(tmp_path: Path) -> None:
    source = Listener()
    outcome = replay_market(BacktestOptions(state_dir=tmp_path), EngineConfig(), source)
    fills = [attributed.fill for attributed in outcome.record.fills]
    taken = [f for f in fills if not f.is_maker]
    assert taken, "this seed should trade"
    signed = [(f.coin, f.lots if f.is_buy else -f.lots, f.px) for f in taken]
    assert sorted(source.told) == sorted(signed)
