"""The local exchange on loopback in this process, on a fast clock, that can go away and return."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from core.api.signing import Signer
from core.model.codes import Mode
from core.model.time import NS_PER_DAY, NS_PER_MIN, NS_PER_S
from core.runtime import compose
from core.runtime.options import LiveOptions
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.sample_source import SAMPLE_START_NS, SampleSource
from core.simulation.server import VenueServer
from core.simulation.venue.outputs import OrderSnapshot
from core.simulation.wire.faults import FaultPlan
from core.utils.clock import ScaledClock
from core.utils.credential_manager import CredentialManager
from tests.runtime.rooms import until

SPEED = 150.0
TIMER_SECONDS = compose.timer_seconds_of(SPEED)
START_NS = SAMPLE_START_NS + 3 * NS_PER_DAY
MASTER = Signer("0x" + "11" * 32)
AGENT_KEY = "0x" + "22" * 32
AGENT = Signer(AGENT_KEY)
STRANGER_KEY = "0x" + "33" * 32
STRANGER = Signer(STRANGER_KEY)
USDC = 1_000_000


class LocalVenue:
    """One exchange whose server is started and stopped at will, always on the same port."""

    def __init__(self, *, usdc: int, faults: FaultPlan | None) -> None:
        source = SampleSource(["BTC"], start_ns=START_NS)
        self.exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
        self.clock = ScaledClock(source.start_ns, SPEED, time.monotonic_ns())
        self.port = 0
        self._faults = faults
        self._server: VenueServer | None = None
        if usdc:
            self.exchange.fund(MASTER.address, usdc * USDC)
            refusal = self.exchange.approve_agent(MASTER.address, AGENT.address, "tester")
            assert refusal is None, refusal
        self.exchange.drain()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def skewed(self, seconds: float) -> ScaledClock:
        """A clock that runs beside the venue's."""
        start_ns = self.clock.start_ns + round(seconds * NS_PER_S)
        return ScaledClock(start_ns, SPEED, self.clock.anchor_monotonic_ns)

    def loose_orders(self) -> list[OrderSnapshot]:
        """Open orders that protect nothing."""
        return [o for o in self.open_orders() if not o.reduce_only]

    def open_orders(self) -> tuple[OrderSnapshot, ...]:
        return self.exchange.open_orders(MASTER.address)

    async def start(self) -> None:
        """Serve the market from now on; what was missed while away stays missed."""
        now_ns = max(self.clock.now_ns(), self.exchange.now_ns)
        minute_ns = -(-now_ns // NS_PER_MIN) * NS_PER_MIN if self.port else START_NS
        self._server = VenueServer(
            self.exchange,
            SampleSource(["BTC"], start_ns=minute_ns),
            self.clock,
            port=self.port,
            faults=self._faults,
        )
        self.port = await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
            self._server = None


@asynccontextmanager
async def local_venue(
    *, usdc: int = 10_000, faults: FaultPlan | None = None
) -> AsyncIterator[LocalVenue]:
    """Serve a venue with a funded master, its agent, and a market that has begun."""
    venue = LocalVenue(usdc=usdc, faults=faults)
    await venue.start()
    try:
        await until(lambda: venue.exchange.now_ns > START_NS + NS_PER_S, "the market begins")
        yield venue
    finally:
        await venue.stop()


def credentials(
    key: str | None = AGENT_KEY, account: str | None = MASTER.address
) -> CredentialManager:
    """Credentials of an environment of their own; no file is looked at."""
    env = {"HYPERLIQUID_AGENT_KEY": key, "HYPERLIQUID_ACCOUNT": account}
    return CredentialManager({name: value for name, value in env.items() if value}, paths=())


def config_files(directory: Path, *, strategy: str | None = "grid_trading") -> dict[str, Path]:
    """Configuration for BTC with room for the latency of a busy machine on a fast clock."""
    trading, strategies = directory / "trading.json", directory / "strategies.json"
    trading.write_text(
        json.dumps(
            {
                "coins": ["BTC"],
                "action_ttl_seconds": 1_200,
                "order_answer_seconds": 300,
                "data_age_seconds_max": 600,
            }
        )
    )
    strategies.write_text(json.dumps({"selection": {"fixed_strategy": strategy}}))
    return {"trading_path": trading, "strategies_path": strategies}


def live_options(venue: LocalVenue, directory: Path, **changes: object) -> LiveOptions:
    """Options that trade on the local venue as if it were the test network."""
    options = LiveOptions(
        mode=Mode.TESTNET,
        base_url=venue.base_url,
        state_dir=directory / "state",
        **config_files(directory),
    )
    return msgspec.structs.replace(options, **changes)
