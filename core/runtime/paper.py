"""Paper trading: a venue's live market, the real path, and an account that is only ours.

No key is needed and nothing is sent that trades. A session that died goes on where it was; one that
ended in order is over, and the next begins with the equity asked for.
"""

from __future__ import annotations

from collections.abc import Callable

from core.api.hyperliquid_api import HyperliquidAPI
from core.model.codes import Mode
from core.model.instrument import MICRO_PER_USDC
from core.model.ports import Clock
from core.runtime import compose
from core.runtime.launch import Launch, run_launch
from core.runtime.live import ws_url_of
from core.runtime.options import Outcome, PaperOptions
from core.runtime.paper_link import PaperLink
from core.runtime.paper_seed import paper_seed
from core.runtime.session import Session
from core.simulation.wire.latency import LatencyModel
from core.utils.clock import SystemClock
from core.utils.config_rules import require_equity

ACCOUNT = "0x0000000000000000000000000000000000009a9e"
ASSUMPTIONS = (
    "paper orders move nobody's market and compete with nobody for the displayed depth",
    "resting orders wait behind the size displayed when they arrive",
    "orders and answers travel for a seeded latency; see docs/simulation-honesty.md",
)


async def run_paper(
    options: PaperOptions,
    *,
    on_ready: Callable[[Session], None],
    clock: Clock | None = None,
    timer_seconds: float = 1.0,
) -> Outcome:
    """Trade on paper until stopped.

    Raises
    ------
    ConfigError, VenueError, ClockSkewError
        If the session cannot start.
    """
    config = compose.load_config(options.trading_path, options.strategies_path)
    require_equity(config, options.equity_usdc)
    base_url = options.base_url or compose.URL_MAINNET
    clock = clock or SystemClock()
    api = HyperliquidAPI(
        base_url,
        account=ACCOUNT,
        clock=clock,
        requests_per_minute_max=config.trading.requests_per_minute_max,
    )
    launch = Launch(
        mode=Mode.PAPER,
        config=config,
        account=ACCOUNT,
        user_feed=None,
        network=f"paper-{base_url.removeprefix('https://').removeprefix('http://')}",
        continues_ended=False,
        link=lambda session, carried: PaperLink(
            session.emit,
            seed=None if carried is None else paper_seed(carried.packed),
            account=ACCOUNT,
            equity_micro=round(options.equity_usdc * MICRO_PER_USDC),
            clock=clock,
            latency=LatencyModel(options.seed),
        ),
        ws_url=ws_url_of(base_url),
        clock=clock,
        state_dir=options.state_dir,
        timer_seconds=timer_seconds,
        flatten_on_stop=True,
        duration_s=options.duration_s,
        seed=options.seed,
        assumptions=ASSUMPTIONS,
    )
    await api.connect()
    try:
        return await run_launch(launch, api, on_ready=on_ready)
    finally:
        await api.close()
