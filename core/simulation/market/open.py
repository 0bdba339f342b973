"""Opens a market by its name: one grammar for every command that plays one.

=============================== ==================================================================
``sample``                      the shipped two weeks of BTC, ETH and SOL minutes
``ticks``                       the shipped two minutes of BTC: real book updates and trades
``ticks:COIN=BOOK,TRADES``      the same from your files
``trades:COIN=PATH[,...]``      recorded trades (``ts_ms, px, sz, side``); the book is drawn
``synthetic``                   a generated market that reacts to trades; options after a colon:
                                ``synthetic:coins=BTC+HYPE;days=30;volatility=2``
``file:PATH[,PATH...]``         candles (Parquet or CSV); a coin's name is the file's, or
                                ``file:COIN=PATH,...``
``session:FOLDER``              what a recorded session heard
=============================== ==================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path

from core.model.errors import DataFileError
from core.simulation.market.candle_source import TICKS_PER_BAR, CandleSource
from core.simulation.market.sample_source import SAMPLE_COINS, SampleSource
from core.simulation.market.session_source import SessionSource
from core.simulation.market.source import MarketSource
from core.simulation.market.spot_shadow import SpotShadow
from core.simulation.market.synthetic_source import SyntheticSource
from core.simulation.market.tick_source import TickSource
from core.simulation.market.trade_source import TradeSource

SAMPLE, TICKS, TRADES, SYNTHETIC = "sample", "ticks", "trades", "synthetic"
FILE, SESSION = "file", "session"
KINDS = (SAMPLE, TICKS, TRADES, SYNTHETIC, FILE, SESSION)
_NUMBERS = {"days": float, "volatility": float}


def open_market(
    spec: str = SAMPLE,
    *,
    seed: int = 7,
    start_ns: int | None = None,
    end_ns: int | None = None,
    coins: Sequence[str] | None = None,
    ticks_per_bar: int = TICKS_PER_BAR,
    with_spot: bool = True,
) -> MarketSource:
    """Open a market.

    Parameters
    ----------
    spec : str
        As in the table above.
    start_ns, end_ns : int, optional
        Span to play, where the market is one of candles; a synthetic one starts at ``start_ns``.
    coins : sequence of str, optional
        Which coins of the sample or of a synthetic market.
    with_spot : bool
        Add the spot pairs of the coins that have one.

    Raises
    ------
    DataFileError
        If the name is not of the grammar or the data are unusable.
    """
    kind, _, rest = spec.partition(":")
    if kind == SAMPLE:
        _refuse_rest(spec, rest)
        source: MarketSource = SampleSource(
            coins or SAMPLE_COINS,
            start_ns=start_ns,
            end_ns=end_ns,
            seed=seed,
            ticks_per_bar=ticks_per_bar,
        )
    elif kind == FILE:
        source = CandleSource(
            _files(rest), start_ns=start_ns, end_ns=end_ns, seed=seed, ticks_per_bar=ticks_per_bar
        )
    elif kind == TICKS:
        source = _ticks(rest)
    elif kind == TRADES:
        source = TradeSource(_files(rest), seed=seed)
    elif kind == SYNTHETIC:
        source = _synthetic(rest, coins, seed=seed, start_ns=start_ns)
    elif kind == SESSION:
        if not rest:
            raise DataFileError("a session should be named, as in session:logs/demo-20261124T0900")
        source = SessionSource(_existing(rest))
    else:
        near = get_close_matches(kind, KINDS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise DataFileError(f"market should be one of {', '.join(KINDS)}, was {kind!r}{hint}")
    return SpotShadow(source) if with_spot else source


def _refuse_rest(spec: str, rest: str) -> None:
    if rest:
        raise DataFileError(f"market {spec!r} should end after its name, had {rest!r} after it")


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.exists():
        raise DataFileError(f"{text} should exist, does not; check the path")
    return path


def _files(rest: str) -> dict[str, Path]:
    """Read ``PATH`` and ``COIN=PATH``, separated by commas."""
    files: dict[str, Path] = {}
    for part in filter(None, rest.split(",")):
        coin, is_named, path = part.partition("=")
        if not is_named:
            coin, path = Path(part).name.split(".")[0], part
        if coin in files:
            raise DataFileError(f"{coin} should have one file, has two: {files[coin]} and {path}")
        files[coin] = _existing(path)
    if not files:
        raise DataFileError("files should be named after the colon, as in BTC=btc.parquet")
    return files


def _ticks(rest: str) -> TickSource:
    if not rest:
        return TickSource()
    coin, is_named, paths = rest.partition("=")
    parts = paths.split(",")
    if not is_named or len(parts) != 2:
        raise DataFileError(
            f"ticks should read ticks:COIN=BOOK,TRADES with two files, was ticks:{rest}"
        )
    return TickSource(coin, _existing(parts[0]), _existing(parts[1]))


def _synthetic(
    rest: str, coins: Sequence[str] | None, *, seed: int, start_ns: int | None
) -> SyntheticSource:
    """Read ``coins=A+B;days=3;volatility=2``; words given apart fill what is left out."""
    words: dict[str, object] = {"seed": seed}
    if coins:
        words["coins"] = tuple(coins)
    if start_ns is not None:
        words["start_ns"] = start_ns
    for part in filter(None, rest.split(";")):
        name, _, value = part.partition("=")
        if name == "coins":
            words["coins"] = tuple(filter(None, value.split("+")))
        elif name in _NUMBERS:
            words[name] = _number(name, value, _NUMBERS[name])
        else:
            known = ["coins", *_NUMBERS]
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise DataFileError(
                f"synthetic should have options {', '.join(known)}, had {name!r}{hint}"
            )
    return SyntheticSource(**words)  # type: ignore[arg-type]


def _number(name: str, text: str, read: Callable[[str], float]) -> float:
    try:
        return read(text)
    except ValueError:
        raise DataFileError(
            f"{name} of a synthetic market should be a number, was {text!r}"
        ) from None
