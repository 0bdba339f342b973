"""The demo: the whole system against the local exchange, over the real wire.

The bot of a demo is the bot of mainnet. What differs is the address it talks to, the play money
and the clock, which is the venue's accelerated one on both sides.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from core.api.hyperliquid_api import HyperliquidAPI
from core.api.signing import Signer, new_private_key
from core.model.codes import Mode
from core.model.errors import VenueError
from core.model.settings import EngineConfig
from core.model.time import NS_PER_S
from core.runtime import compose
from core.runtime.control import ensure_free
from core.runtime.launch import Launch, run_launch, wire_link
from core.runtime.options import DemoOptions, Outcome
from core.runtime.session import Session
from core.runtime.venue_process import VenueClock, VenueProcess
from core.simulation.market.sample_source import check_coins
from core.utils.config_rules import require_equity

AGENT_NAME = "nova demo"
LATENCY_GRACE_SECONDS = 0.4
"""Wall time an action may need on a busy machine; on a fast clock it is minutes of the venue."""
RECONCILE_WALL_SECONDS = 2.0


async def run_demo(options: DemoOptions, *, on_ready: Callable[[Session], None]) -> Outcome:
    """Run the demo until it is stopped, its duration is over or the market data ends.

    Raises
    ------
    ConfigError, DataFileError, PortInUseError, VenueError
        If it cannot start, or (the last) if the exchange ends before it is stopped.
    """
    config = _demo_config(options)
    check_coins(options.coins)
    await ensure_free(options.state_dir)
    venue = await VenueProcess.start(options)
    try:
        return await _trade(options, config, venue, on_ready)
    finally:
        await venue.stop()


def _demo_config(options: DemoOptions) -> EngineConfig:
    """Take the user's configuration for the coins asked, with room for this machine's latency.

    A fast clock magnifies what this machine needs to compute and to answer: at 1440x a
    millisecond is 1.4 s of the venue. See docs/adr/0004-accelerated-clock.md.
    """
    config = compose.load_config(options.trading_path, options.strategies_path)
    require_equity(config, options.equity_usdc)
    trading = config.trading
    grace_s = min(LATENCY_GRACE_SECONDS * options.speed, 600.0)
    return msgspec.structs.replace(
        config,
        trading=msgspec.structs.replace(
            trading,
            coins=options.coins,
            action_ttl_seconds=max(trading.action_ttl_seconds, grace_s),
            order_answer_seconds=max(trading.order_answer_seconds, grace_s),
            data_age_seconds_max=max(trading.data_age_seconds_max, grace_s),
            # A comparison costs requests, of which a fast clock leaves few per minute of ours.
            reconcile_seconds=min(
                max(trading.reconcile_seconds, RECONCILE_WALL_SECONDS * options.speed), 86_400.0
            ),
        ),
    )


async def _trade(
    options: DemoOptions,
    config: EngineConfig,
    venue: VenueProcess,
    on_ready: Callable[[Session], None],
) -> Outcome:
    facts = await venue.clock()
    master, agent = Signer(new_private_key()), Signer(new_private_key())
    await venue.fund(master.address, options.equity_usdc)
    api = HyperliquidAPI(
        venue.base_url,
        signer=agent,
        account=master.address,
        clock=facts.clock,
        is_mainnet=False,
        requests_per_minute_max=config.trading.requests_per_minute_max,
    )
    launch = Launch(
        mode=Mode.DEMO,
        config=config,
        account=master.address,
        user_feed=master.address,
        link=lambda session, carried: wire_link(api, config)(session.emit),
        ws_url=venue.ws_url,
        clock=facts.clock,
        state_dir=options.state_dir,
        timer_seconds=compose.timer_seconds_of(options.speed),
        flatten_on_stop=True,
        duration_s=options.duration_s,
        seed=options.seed,
        assumptions=facts.assumptions,
        ends=(lambda: _market_end(facts), lambda: _venue_end(venue)),
    )
    await api.connect()
    try:
        await api.approve_agent(master, agent.address, AGENT_NAME)
        return await run_launch(launch, api, on_ready=on_ready)
    finally:
        await api.close()


async def _market_end(facts: VenueClock) -> str:
    await facts.clock.sleep((facts.end_ns - facts.clock.now_ns()) / NS_PER_S)
    return "market data ended"


async def _venue_end(venue: VenueProcess) -> str:
    code = await venue.wait()
    raise VenueError(
        f"local exchange should run until it is stopped, ended with {code}; start the demo again"
    )
