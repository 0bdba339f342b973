"""Trading with a real key, on mainnet or testnet.

Refuses to start without consent, a valid agent key and an account that approved it. A local
exchange can stand in by its address alone; nothing else here would change.
"""

from __future__ import annotations

from collections.abc import Callable

from core.api.hyperliquid_api import HyperliquidAPI
from core.api.signing import Signer
from core.model.errors import CredentialError
from core.model.ids import is_address
from core.model.ports import Clock
from core.runtime import compose
from core.runtime.launch import Launch, run_launch, wire_link
from core.runtime.options import LiveOptions, Outcome
from core.runtime.session import Session
from core.utils.clock import SystemClock
from core.utils.credential_manager import CredentialManager

CREDENTIAL_ACCOUNT = "HYPERLIQUID_ACCOUNT"
POOLED_MODES = frozenset({"unifiedAccount", "portfolioMargin"})
"""Modes in which the venue calls the perpetuals' account numbers "not meaningful"."""


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
        If the session cannot start.
    """
    base_url = compose.base_url_of(options)
    credentials = credentials or CredentialManager()
    signer = Signer(credentials.private_key().reveal())
    account = account_of(options, credentials)
    vault = credentials.vault()
    traded = vault or account
    config = compose.load_config(options.trading_path, options.strategies_path)
    clock = clock or SystemClock()
    api = HyperliquidAPI(
        base_url,
        signer=signer,
        account=traded,
        vault_address=vault,
        clock=clock,
        requests_per_minute_max=config.trading.requests_per_minute_max,
    )
    await api.connect()
    try:
        await check_signer(api, signer.address, account)
        await check_mode(api, traded)
        launch = Launch(
            mode=options.mode,
            config=config,
            account=traded,
            user_feed=traded,
            link=wire_link(api, config),
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


def ws_url_of(base_url: str) -> str:
    """Return the WebSocket address that belongs to a REST address."""
    return "ws" + base_url.removeprefix("http") + "/ws"


def account_of(options: LiveOptions, credentials: CredentialManager) -> str:
    """Return the address whose account is traded, lowercase."""
    if options.account is None:
        return credentials.account()
    account = options.account.lower()
    if not is_address(account):
        raise CredentialError(
            f"account should be 0x and 40 hex digits, was {account!r}; it is the master address, "
            f"not the agent's; set {CREDENTIAL_ACCOUNT} or --account"
        )
    return account


async def check_signer(api: HyperliquidAPI, signer: str, account: str) -> None:
    """Make sure the venue takes this key for this account, before anything is signed for it."""
    if signer == account:
        return
    role = await api.fetch_role(signer)
    if role.get("role") == "agent":
        master = str(role.get("data", {}).get("user", "")).lower()
        if master == account:
            return
        raise CredentialError(
            f"agent {signer} should belong to account {account}, belongs to {master}; "
            f"approve an agent for the account, or set {CREDENTIAL_ACCOUNT} to its master"
        )
    raise CredentialError(
        f"key should be an agent approved by {account}, but the venue knows {signer} as "
        f"{role.get('role', 'missing')!r}; approve it there, then start again"
    )


async def check_mode(api: HyperliquidAPI, account: str) -> None:
    """Make sure that equity and margin of the perpetuals account can be believed.

    Source: venue documentation, account abstraction modes.
    """
    mode = await api.fetch_abstraction(account)
    if mode in POOLED_MODES:
        raise CredentialError(
            f"account {account} should be in standard mode, was in {mode}, where margin is shared "
            f"with spot and its equity cannot be told; switch it in the venue's web app, or trade "
            f"from another account"
        )
