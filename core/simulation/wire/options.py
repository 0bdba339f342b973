"""The words of ``nova exchange``: one table from which every door to it takes its options.

Each option knows how its text is read and what to say if it cannot be. It starts nothing.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from core.model.ids import is_address
from core.model.time import NS_PER_S
from core.simulation.wire.latency import LATENCIES, LatencySettings, fixed_latency
from core.simulation.wire.time_mode import TimeMode

PORT_MAX = 65_535
PORT_DEFAULT = 3001
"""The port that the official SDK calls local."""
SPEED_MAX = 100_000.0
LATENCY_MS_MAX = 60_000.0
USD_MAX = 1_000_000_000
TODAY = "today"
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z][A-Za-z0-9]*)?")
_FLAG: Callable[[str], Any] = str


class Funding(msgspec.Struct, frozen=True):
    """Money for one account at the start; ``token`` is empty for USDC of the perpetuals side."""

    address: str
    amount: str
    token: str


class OptionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One option: its word, how its value is shown and read, and what it means."""

    flag: str
    help: str
    metavar: str = ""
    """Empty for an option without a value."""
    read: Callable[[str], Any] = _FLAG
    default: Any = None
    is_repeated: bool = False

    @property
    def name(self) -> str:
        """The name of its value."""
        return self.flag.removeprefix("--").replace("-", "_")


def port(text: str) -> int:
    """Read a port."""
    if not text.isdecimal() or not 0 <= int(text) <= PORT_MAX:
        raise argparse.ArgumentTypeError(f"port should be from 0 to {PORT_MAX}, was {text!r}")
    return int(text)


def seed(text: str) -> int:
    """Read a seed."""
    if not text.isdecimal() or int(text) >= 1 << 63:
        raise argparse.ArgumentTypeError(f"seed should be a whole number from 0, was {text!r}")
    return int(text)


def speed(text: str) -> float | None:
    """Read a speed; ``None`` is as fast as possible."""
    if text == "max":
        return None
    value = _number(text)
    if value is None or not 0.0 < value <= SPEED_MAX:
        raise argparse.ArgumentTypeError(
            f"speed should be above 0 and at most {SPEED_MAX:g}, or max, was {text!r}"
        )
    return value


def clock(text: str) -> TimeMode:
    """Read how time moves."""
    known = [TimeMode.RUNNING, TimeMode.MANUAL, TimeMode.ON_REQUEST]
    if text not in known:
        words = ", ".join(mode.value for mode in known)
        raise argparse.ArgumentTypeError(f"clock should be one of {words}, was {text!r}")
    return TimeMode(text)


def latency(text: str) -> LatencySettings:
    """Read a latency: a name, or milliseconds of every leg."""
    if text in LATENCIES:
        return LATENCIES[text]
    value = _number(text.removesuffix("ms"))
    if value is None or not 0.0 <= value <= LATENCY_MS_MAX:
        words = ", ".join(sorted(LATENCIES))
        raise argparse.ArgumentTypeError(
            f"latency should be one of {words} or milliseconds up to {LATENCY_MS_MAX:g}, "
            f"was {text!r}"
        )
    return fixed_latency(value)


def moment(text: str) -> int | str:
    """Read a moment in nanoseconds, or the word ``today``."""
    if text == TODAY:
        return text
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"moment should read like 2025-05-06T00:00 (UTC) or today, was {text!r}"
        ) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=dt.UTC)
    return round(found.timestamp()) * NS_PER_S


def coins(text: str) -> tuple[str, ...]:
    """Read a list of coins."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"coins should read like BTC,ETH, was {text!r}")
    return names


def funding(text: str) -> Funding:
    """Read money for an account."""
    address, _, amount = text.partition("=")
    match = _AMOUNT.fullmatch(amount or "10000")
    if not is_address(address.lower()) or match is None:
        raise argparse.ArgumentTypeError(
            "funding should read like 0x<40 hex>=10000 or 0x<40 hex>=100HYPE, was " + repr(text)
        )
    number, token = match.group(1), match.group(2) or ""
    if token.upper() in ("USDC", "USD"):
        token = ""
    if not 0 < float(number) <= USD_MAX:
        raise argparse.ArgumentTypeError(
            f"funding should be above 0 and at most {USD_MAX}, was {text!r}"
        )
    return Funding(address.lower(), number, token)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


OPTIONS: tuple[OptionSpec, ...] = (
    OptionSpec(
        flag="--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="Address to listen on; 127.0.0.1 if unsaid.",
    ),
    OptionSpec(
        flag="--port",
        metavar="PORT",
        read=port,
        default=PORT_DEFAULT,
        help="Where to listen, 0: any free; 3001 if unsaid.",
    ),
    OptionSpec(
        flag="--market",
        metavar="SPEC",
        default="sample",
        help="What is played: sample, ticks, synthetic, file:PATH, trades:PATH, session:FOLDER; "
        "the shipped sample if unsaid.",
    ),
    OptionSpec(
        flag="--coins",
        metavar="BTC,ETH",
        read=coins,
        help="Coins of a sample or synthetic market; all of them if unsaid.",
    ),
    OptionSpec(
        flag="--perps-only",
        default=False,
        help="Leave out the spot pairs of the coins.",
    ),
    OptionSpec(
        flag="--start",
        metavar="MOMENT",
        read=moment,
        help="First moment played, UTC, as 2025-05-06T00:00; today: moved to today's date. At "
        "speed 1 today if unsaid, else the market's own start.",
    ),
    OptionSpec(
        flag="--speed",
        metavar="FACTOR",
        read=speed,
        default=1.0,
        help="Market seconds per second, or max: as fast as it can be computed; 1 if unsaid.",
    ),
    OptionSpec(
        flag="--clock",
        metavar="MODE",
        read=clock,
        default=TimeMode.RUNNING,
        help="running; manual: time moves by POST /clock only; on-request: and by itself while a "
        "client waits for an answer.",
    ),
    OptionSpec(
        flag="--latency",
        metavar="NAME|MS",
        read=latency,
        help="home, colocated, none, or milliseconds of each leg; home if unsaid, none with a "
        "manual clock.",
    ),
    OptionSpec(
        flag="--seed",
        metavar="N",
        read=seed,
        default=7,
        help="Depth, path within a bar, latency: all that data do not tell; 7 if unsaid.",
    ),
    OptionSpec(
        flag="--faults",
        metavar="FILE",
        read=Path,
        help="Planned trouble: JSON with comments, see docs/EXCHANGE.md.",
    ),
    OptionSpec(
        flag="--fund",
        metavar="0x…=USDC",
        read=funding,
        default=(),
        is_repeated=True,
        help="Give an account play money, as 0x…=10000 or 0x…=100HYPE; may be repeated.",
    ),
    OptionSpec(
        flag="--no-ip-limits",
        default=False,
        help="No limit of requests and connections per IP address.",
    ),
    OptionSpec(
        flag="--end-with-parent",
        default=False,
        help="Stop when the process that started this one is gone.",
    ),
)


class ExchangeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; fields as in `OPTIONS`."""

    host: str
    port: int
    market: str
    coins: tuple[str, ...] | None
    perps_only: bool
    start: int | str | None
    speed: float | None
    clock: TimeMode
    latency: LatencySettings | None
    seed: int
    faults: Path | None
    fund: tuple[Funding, ...]
    no_ip_limits: bool
    end_with_parent: bool

    @property
    def time_mode(self) -> TimeMode:
        """Who moves time."""
        return TimeMode.MAX if self.speed is None else self.clock


def parser() -> argparse.ArgumentParser:
    """Return the parser of the process."""
    made = argparse.ArgumentParser(
        prog="python -m core.simulation.server",
        description="A simulated Hyperliquid exchange on loopback, with play money.",
    )
    for spec in OPTIONS:
        if not spec.metavar:
            made.add_argument(spec.flag, action="store_true", help=spec.help)
        else:
            made.add_argument(
                spec.flag,
                action="append" if spec.is_repeated else "store",
                metavar=spec.metavar,
                type=spec.read,
                default=None if spec.is_repeated else spec.default,
                help=spec.help,
            )
    return made


def parse(argv: Sequence[str] | None) -> ExchangeOptions:
    """Read the words of a command line; wrong ones end the process as argparse does (exit 2)."""
    made = parser()
    found = vars(made.parse_args(argv))
    found["fund"] = tuple(found["fund"] or ())
    options = ExchangeOptions(**found)
    if options.clock is not TimeMode.RUNNING and options.speed != 1.0:
        made.error("--speed is for a running clock; leave it out with --clock manual, on-request")
    return options
