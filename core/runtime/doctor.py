"""Look before trading: configuration, key, account, clock, budgets, files.

Each finding says what was found and how to mend it. ``blocking`` means that a live session
would refuse or lose.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import msgspec

from core.api.hyperliquid_api import HyperliquidAPI
from core.api.signing import Signer
from core.model.errors import ConfigError, CredentialError, NovaError, VenueError
from core.model.instrument import NOTIONAL_MIN_USDC, usdc
from core.model.ports import Clock
from core.model.settings import EngineConfig
from core.model.time import NS_PER_S
from core.runtime import compose
from core.runtime.live import account_of, check_mode, check_signer
from core.runtime.options import LiveOptions
from core.runtime.wired import CLOCK_SKEW_NS_MAX
from core.utils.clock import SystemClock
from core.utils.credential_manager import CredentialManager

DISK_FREE_BYTES_MIN = 1_000_000_000
SKEW_NS_WARN = 1 * NS_PER_S
REQUESTS_LEFT_MIN = 500
UNREACHABLE = "venue"


class Check(msgspec.Struct, frozen=True):
    """One finding."""

    name: str
    level: Literal["ok", "warning", "blocking"]
    found: str
    fix: str = ""


async def run_checks(
    options: LiveOptions,
    *,
    credentials: CredentialManager | None = None,
    clock: Clock | None = None,
) -> list[Check]:
    """Run every check that can run; one that cannot says why."""
    clock = clock or SystemClock()
    checks = [_check_disk(options.state_dir)]
    config, check = _check_config(options)
    checks.append(check)
    signer, account, check = _check_credentials(options, credentials or CredentialManager())
    checks.append(check)
    base_url = options.base_url or compose.url_of(options.mode)
    api = HyperliquidAPI(base_url, signer=signer, account=account, clock=clock)
    await api.connect()
    try:
        checks.append(await _guard("clock", lambda: _check_clock(api, clock)))
        if checks[-1].name == UNREACHABLE:
            return checks
        if config is not None:
            checks.append(await _guard("markets", lambda: _check_markets(api, config)))
        if signer is not None and account is not None:
            checks.append(await _guard("agent", lambda: _check_agent(api, signer, account)))
            checks.append(await _guard("balance", lambda: _check_balance(api)))
            checks.append(await _guard("open orders", lambda: _check_orders(api)))
            checks.append(await _guard("request budget", lambda: _check_budget(api)))
    finally:
        await api.close()
    return checks


async def _guard(name: str, check: Callable[[], Awaitable[Check]]) -> Check:
    try:
        return await check()
    except VenueError as error:
        return Check(UNREACHABLE, "blocking", str(error), "check network and venue, then repeat")
    except NovaError as error:
        return Check(name, "blocking", str(error))


def _check_disk(state_dir: Path) -> Check:
    place = state_dir if state_dir.exists() else Path.cwd()
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free at {place}"
    if free < DISK_FREE_BYTES_MIN:
        return Check("disk", "blocking", found, "free some space: a full disk halts trading")
    return Check("disk", "ok", found)


def _check_config(options: LiveOptions) -> tuple[EngineConfig | None, Check]:
    try:
        config = compose.load_config(options.trading_path, options.strategies_path)
    except (ConfigError, FileNotFoundError, ValueError) as error:
        return None, Check("configuration", "blocking", str(error), "mend the named keys")
    return config, Check("configuration", "ok", f"trades {', '.join(config.trading.coins)}")


def _check_credentials(
    options: LiveOptions, credentials: CredentialManager
) -> tuple[Signer | None, str | None, Check]:
    try:
        signer = Signer(credentials.private_key().reveal())
        account = account_of(options, credentials)
    except CredentialError as error:
        return None, None, Check("credentials", "blocking", str(error), "see .env.example")
    found = f"key of {signer.address} for account {account}"
    if signer.address == account:
        return (
            signer,
            account,
            Check(
                "credentials",
                "warning",
                f"{found}: this is the master key, which can withdraw",
                "approve an agent (API wallet) and use its key",
            ),
        )
    return signer, account, Check("credentials", "ok", found)


async def _check_clock(api: HyperliquidAPI, clock: Clock) -> Check:
    sent_ns = clock.now_ns()
    venue_ns = await api.fetch_server_time_ns()
    skew_ns = max(sent_ns - venue_ns, venue_ns - clock.now_ns(), 0)
    found = f"clock {skew_ns / NS_PER_S:.1f} s from the venue's"
    if skew_ns > CLOCK_SKEW_NS_MAX:
        return Check("clock", "blocking", found, "set this machine's clock by NTP")
    if skew_ns > SKEW_NS_WARN:
        return Check("clock", "warning", found, "set this machine's clock by NTP")
    return Check("clock", "ok", found)


async def _check_markets(api: HyperliquidAPI, config: EngineConfig) -> Check:
    instruments, quarantined = await api.fetch_instruments()
    known = {i.coin: i for i in instruments}
    missing = [c for c in config.trading.coins if c not in known or known[c].is_delisted]
    if missing:
        return Check("markets", "blocking", f"not listed: {', '.join(missing)}", "mend coins")
    found = f"{len(instruments)} perpetuals listed, {len(quarantined)} rows not understood"
    return Check("markets", "warning" if quarantined else "ok", found)


async def _check_agent(api: HyperliquidAPI, signer: Signer, account: str) -> Check:
    await check_signer(api, signer.address, account)
    await check_mode(api, account)
    return Check("agent", "ok", f"{signer.address} may trade for {account}")


async def _check_balance(api: HyperliquidAPI) -> Check:
    report = await api.fetch_account()
    equity = usdc(report.account_value_micro)
    found = f"{equity:.2f} USDC in the perpetuals account"
    if equity < NOTIONAL_MIN_USDC:
        return Check(
            "balance",
            "blocking",
            f"{found}, under the venue's minimum order of {NOTIONAL_MIN_USDC} USDC",
            "move USDC from spot to perpetuals, or name the master address as the account",
        )
    return Check("balance", "ok", found)


async def _check_orders(api: HyperliquidAPI) -> Check:
    report = await api.fetch_open_orders()
    if report.orders:
        return Check(
            "open orders",
            "warning",
            f"{len(report.orders)} orders are open that no session placed",
            "they are shown and left alone; cancel them if they are not wanted",
        )
    return Check("open orders", "ok", "none")


async def _check_budget(api: HyperliquidAPI) -> Check:
    budget = await api.fetch_rate_budget()
    left = budget.requests_cap - budget.requests_used
    found = f"{left} of {budget.requests_cap} requests left"
    if left < REQUESTS_LEFT_MIN:
        return Check("request budget", "warning", found, "trading volume earns more")
    return Check("request budget", "ok", found)
