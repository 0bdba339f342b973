"""What people type becomes values here: durations, dates, coins and ``COIN=FILE`` pairs.

Each function returns a value or raises ``typer.BadParameter`` with what was expected and what
was given, so that every command reports bad input in the same words (exit code 2).
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from pathlib import Path

import typer

from core.model.time import NS_PER_S

DURATION_SECONDS_MAX = 31_536_000.0
_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_COIN = re.compile(r"[A-Za-z0-9@:/_-]{1,32}")
_WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+/?")
_DATE_FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S")


def duration_seconds(text: str) -> float:
    """Read a duration such as ``90s``, ``5m``, ``2h`` or ``1h30m`` as seconds.

    Raises
    ------
    typer.BadParameter
        If the text is no duration, or is not above 0 and at most 365 days.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        hint = f"; did you mean {text}s?" if re.fullmatch(r"\d+(\.\d+)?", text) else ""
        raise typer.BadParameter(
            f"a duration should read like 90s, 5m, 2h or 1h30m, was {text!r}{hint}"
        )
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if not 0 < seconds <= DURATION_SECONDS_MAX:
        raise typer.BadParameter(f"a duration should be above 0 and at most 365 days, was {text!r}")
    return seconds


def date_ns(text: str) -> int:
    """Read a UTC date such as ``2025-05-05`` or ``2025-05-05T12:30`` as nanoseconds.

    Raises
    ------
    typer.BadParameter
        If the text is no such date.
    """
    for form in _DATE_FORMATS:
        try:
            stamp = dt.datetime.strptime(text.removesuffix("Z"), form).replace(tzinfo=dt.UTC)
        except ValueError:
            continue
        return int(stamp.timestamp()) * NS_PER_S
    raise typer.BadParameter(
        f"a date should read like 2025-05-05 or 2025-05-05T12:30 (UTC), was {text!r}"
    )


def coin_names(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of coins, such as ``BTC,ETH``; order is kept.

    Raises
    ------
    typer.BadParameter
        If the list is empty, names a coin twice or has a name no venue uses.
    """
    coins = tuple(part.strip() for part in text.split(",") if part.strip())
    if not coins:
        raise typer.BadParameter(f"coins should be a list like BTC,ETH,SOL, was {text!r}")
    for coin in coins:
        if not _COIN.fullmatch(coin):
            raise typer.BadParameter(f"a coin should be a name like BTC, was {coin!r}")
        if coins.count(coin) > 1:
            raise typer.BadParameter(f"each coin should be named once, {coin} was named twice")
    return coins


def data_files(pairs: Sequence[str]) -> dict[str, Path]:
    """Read ``COIN=FILE`` pairs as a mapping of coin to candle file.

    Raises
    ------
    typer.BadParameter
        If a pair has no ``=``, a coin comes twice or a file is neither Parquet nor CSV.
    """
    files: dict[str, Path] = {}
    for pair in pairs:
        coin, equals, name = pair.partition("=")
        if not (coin and equals and name):
            raise typer.BadParameter(f"--data should read like BTC=candles.parquet, was {pair!r}")
        (coin,) = coin_names(coin)
        path = Path(name)
        if coin in files:
            raise typer.BadParameter(f"--data should name each coin once, {coin} came twice")
        if path.suffix.lower() not in {".parquet", ".csv"}:
            raise typer.BadParameter(
                f"a candle file should end in .parquet or .csv, was {name!r} for {coin}"
            )
        files[coin] = path
    return files


def positive(value: float, what: str) -> float:
    """Return ``value`` if it is finite and above 0.

    Raises
    ------
    typer.BadParameter
        If it is not.
    """
    if not (math.isfinite(value) and value > 0):
        raise typer.BadParameter(f"{what} should be a finite number above 0, was {value}")
    return value


def web_address(text: str) -> str:
    """Return the address of an exchange, without a slash at its end.

    Raises
    ------
    typer.BadParameter
        If it does not begin with ``http://`` or ``https://`` and a host.
    """
    if not _WEB_ADDRESS.fullmatch(text):
        raise typer.BadParameter(
            f"an address should read like https://api.hyperliquid.xyz, was {text!r}"
        )
    return text.rstrip("/")
