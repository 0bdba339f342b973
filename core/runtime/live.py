"""Trading with a real key, on mainnet or testnet.

Refuses to start without consent, a valid agent key and an account that approved it. A local
exchange can stand in by its address alone; nothing else here would change.
"""

from __future__ import annotations

from collections.abc import Callable

from core.api.hyperliquid_api import HyperliquidAPI
from core.api.signing import Signer
from core.model.ports import Clock
from core.runtime import compose
from core.runtime.doctor import examine_start
from core.runtime.findings import refuse_if_blocked
from core.runtime.identity import account_of
from core.runtime.launch import Launch, run_launch, wire_link
from core.runtime.options import LiveOptions, Outcome
from core.runtime.session import Session
from core.utils.clock import SystemClock
from core.utils.credential_manager import AGENT_KEY, CredentialManager


async def run_live(
    options: LiveOptions,
    *,
    on_ready: Callable[[Session], None],
    credentials: CredentialManager | None = None,
    clock: Clock | None = None,
    timer_seconds: float = 1.0,
) -> Outcome:
    """Trade until stopped.

    Raises
    ------
    ConsentError
        If live trading was asked for only once.
    CredentialError
        If the key is missing, malformed, or the venue does not know it for the account.
    ConfigError, VenueError, ClockSkewError
        If the session cannot start, in the words of ``nova doctor``.
    """
    base_url = compose.base_url_of(options)
    credentials = credentials or CredentialManager()
    traded = credentials.vault() or account_of(options, credentials)
    config = compose.load_config(options.trading_path, options.strategies_path)
    clock = clock or SystemClock()
    api = client_for(
        options,
        credentials=credentials,
        clock=clock,
        requests_per_minute_max=config.trading.requests_per_minute_max,
    )
    await api.connect()
    try:
        refuse_if_blocked((await examine_start(options, api, credentials, clock)).checks)
        launch = Launch(
            mode=options.mode,
            config=config,
            account=traded,
            user_feed=traded,
            link=lambda session, carried: wire_link(api, config)(session.emit),
            network=base_url,
            ws_url=ws_url_of(base_url),
            clock=clock,
            state_dir=options.state_dir,
            timer_seconds=timer_seconds,
            flatten_on_stop=False,
            duration_s=options.duration_s,
        )
        return await run_launch(launch, api, on_ready=on_ready)
    finally:
        await api.close()


def client_for(
    options: LiveOptions,
    *,
    credentials: CredentialManager | None = None,
    clock: Clock | None = None,
    requests_per_minute_max: int = 0,
    key_name: str = AGENT_KEY,
) -> HyperliquidAPI:
    """Return a client of the venue that signs for the configured account; not yet connected.

    Parameters
    ----------
    key_name : str
        Which credential holds the key: a watchdog has one of its own.

    Raises
    ------
    CredentialError
        If key or account are missing or malformed.
    """
    credentials = credentials or CredentialManager()
    vault = credentials.vault()
    return HyperliquidAPI(
        options.base_url or compose.url_of(options.mode),
        signer=Signer(credentials.private_key(key_name).reveal()),
        account=vault or account_of(options, credentials),
        vault_address=vault,
        clock=clock,
        requests_per_minute_max=requests_per_minute_max,
    )


def ws_url_of(base_url: str) -> str:
    """Return the WebSocket address that belongs to a REST address."""
    return "ws" + base_url.removeprefix("http") + "/ws"
