"""Look before trading: machine, files, configuration, key, account, money, plan, budgets.

Each finding says what was found, why it matters and how to mend it. ``blocking`` means that a live
session would refuse or lose; `nova run` asks the same questions and refuses in the same words. This
module only looks: nothing is placed or changed.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from core.api.hyperliquid_api import HyperliquidAPI
from core.api.signing import Signer
from core.model.errors import ConfigError, CredentialError, ExitCode, NovaError, VenueError
from core.model.instrument import Instrument
from core.model.ports import Clock
from core.model.settings import EngineConfig
from core.model.time import NS_PER_S
from core.runtime import compose
from core.runtime.config_lint import enabled_strategies, lint
from core.runtime.doctor_account import AccountChecks
from core.runtime.evidence import newest_journal
from core.runtime.findings import Check, blocking, ok, warning
from core.runtime.identity import (
    Identity,
    IdentityNode,
    account_of,
    identify,
    identity_graph,
)
from core.runtime.options import LiveOptions
from core.runtime.watchdog_state import describe, is_on_guard, read_state
from core.runtime.wired import CLOCK_SKEW_NS_MAX
from core.utils.clock import SystemClock
from core.utils.credential_manager import SECRET_FILES, CredentialManager
from core.utils.journal_reader import JournalReader

DISK_FREE_BYTES_MIN = 1_000_000_000
SKEW_NS_WARN = 1 * NS_PER_S
UNREACHABLE = "venue"
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Diagnosis(msgspec.Struct, frozen=True):
    """All findings in the order in which they were looked for, and who trades for whom."""

    checks: tuple[Check, ...]
    identity: IdentityNode | None = None


async def examine(
    options: LiveOptions,
    *,
    credentials: CredentialManager | None = None,
    clock: Clock | None = None,
    secret_files: tuple[str | Path, ...] = SECRET_FILES,
) -> Diagnosis:
    """Run every check that can run; one that cannot says why."""
    credentials, clock = credentials or CredentialManager(), clock or SystemClock()
    patient = _Patient(options, clock)
    patient.look_at_machine(secret_files)
    patient.look_at_credentials(credentials)
    api = HyperliquidAPI(
        options.base_url or compose.url_of(options.mode),
        signer=patient.signer,
        account=patient.traded,
        vault_address=patient.vault,
        clock=clock,
    )
    await api.connect()
    try:
        await patient.look_at_venue(api, is_starting=False)
    finally:
        await api.close()
    return patient.diagnosis()


async def examine_start(
    options: LiveOptions, api: HyperliquidAPI, credentials: CredentialManager, clock: Clock
) -> Diagnosis:
    """Run the checks that can block, with the client that is about to trade."""
    patient = _Patient(options, clock)
    patient.look_at_machine(())
    patient.look_at_credentials(credentials)
    await patient.look_at_venue(api, is_starting=True)
    return patient.diagnosis()


class _Patient:
    """What is known so far, and the findings."""

    def __init__(self, options: LiveOptions, clock: Clock) -> None:
        self.signer: Signer | None = None
        self.master: str | None = None
        self.vault: str | None = None
        self._options, self._clock = options, clock
        self._config: EngineConfig | None = None
        self._identity: Identity | None = None
        self._instruments: dict[str, Instrument] = {}
        self._checks: list[Check] = []

    @property
    def traded(self) -> str | None:
        """Return the address that would be traded for."""
        return self.vault or self.master

    def diagnosis(self) -> Diagnosis:
        """Return what was found."""
        graph = None if self._identity is None else identity_graph(self._identity)
        return Diagnosis(tuple(self._checks), graph)

    # --- here -----------------------------------------------------------------------------------

    def look_at_machine(self, secret_files: tuple[str | Path, ...]) -> None:
        """Look at disk, files and configuration."""
        self._checks.append(_check_disk(self._options.state_dir))
        self._checks.append(_check_files(self._options.state_dir, secret_files))
        self._config, check = _check_config(self._options)
        self._checks.append(check)
        if self._config is not None:
            self._checks += _check_settings(self._config)

    def look_at_credentials(self, credentials: CredentialManager) -> None:
        """Look for key, account and vault."""
        try:
            signer = Signer(credentials.private_key().reveal())
            account = account_of(self._options, credentials)
            vault = credentials.vault()
        except CredentialError as error:
            why = "without key and account nothing can be signed or read"
            self._add(
                blocking(
                    "credentials",
                    str(error),
                    ExitCode.CREDENTIAL,
                    why=why,
                    fix="see .env.example",
                )
            )
            return
        self.signer, self.master, self.vault = signer, account, vault
        acts_for = f", acting for {vault}" if vault else ""
        found = f"key of {signer.address} for account {account}{acts_for}"
        if signer.address == account:
            why = "whoever reads it can take everything; an agent's key can only trade"
            fix = "approve an agent (API wallet) and use its key"
            found += ": this is the master key, which can withdraw"
            self._add(warning("credentials", found, why=why, fix=fix))
        else:
            self._add(ok("credentials", found))

    # --- at the venue ---------------------------------------------------------------------------

    async def look_at_venue(self, api: HyperliquidAPI, *, is_starting: bool) -> None:
        """Ask the venue; once it does not answer, nothing further is asked.

        Parameters
        ----------
        is_starting : bool
            Leave out what cannot block.
        """
        if not await self._guard("clock", lambda: self._clock_check(api)):
            return
        if self._config is not None and not await self._guard(
            "markets", lambda: self._market_checks(api)
        ):
            return
        if self.signer is not None and not await self._guard(
            "identity", lambda: self._identity_check(api)
        ):
            return
        if self._identity is None:
            return
        account = AccountChecks(api, self._clock, self._config, self._identity)
        steps: list[tuple[str, Callable[[], Awaitable[list[Check]]]]] = [
            ("approval", account.approval),
            ("balance", account.balance),
            ("plan", lambda: account.plan(self._instruments, all_coins=not is_starting)),
        ]
        if not is_starting:
            steps += [
                ("leverage", lambda: account.leverage(self._instruments)),
                ("positions", account.positions),
                ("open orders", account.orders),
                ("request budget", account.budgets),
                ("watchdog", lambda: self._watchdog_check(account)),
            ]
        for name, step in steps:
            if not await self._guard(name, step):
                return

    async def _guard(self, name: str, look: Callable[[], Awaitable[list[Check]]]) -> bool:
        """Add what a step finds; False if the venue did not answer."""
        try:
            self._checks += await look()
        except VenueError as error:
            why = "without the venue nothing can be traded, watched or closed"
            fix = "check network and the venue's status, then repeat"
            self._add(blocking(UNREACHABLE, str(error), error.exit_code, why=why, fix=fix))
            return False
        except NovaError as error:
            why = "the venue would refuse every order, or act for another account"
            fix = "the finding names what to set"
            self._add(blocking(name, str(error), error.exit_code, why=why, fix=fix))
        return True

    def _add(self, check: Check) -> None:
        self._checks.append(check)

    async def _clock_check(self, api: HyperliquidAPI) -> list[Check]:
        sent_ns = self._clock.now_ns()
        venue_ns = await api.fetch_server_time_ns()
        skew_ns = max(sent_ns - venue_ns, venue_ns - self._clock.now_ns(), 0)
        found = f"{skew_ns / NS_PER_S:.1f} s from the venue's time"
        why = "orders expire by the venue's clock: too far off, they die or outlive their time"
        fix = "set it by NTP and start again"
        if skew_ns > CLOCK_SKEW_NS_MAX:
            return [blocking("clock", found, ExitCode.CLOCK_SKEW, why=why, fix=fix)]
        if skew_ns > SKEW_NS_WARN:
            return [warning("clock", found, why=why, fix=fix)]
        return [ok("clock", found)]

    async def _market_checks(self, api: HyperliquidAPI) -> list[Check]:
        assert self._config is not None, "invariant: markets are compared with a configuration"
        instruments, quarantined = await api.fetch_instruments()
        self._instruments = {i.coin: i for i in instruments}
        coins = self._config.trading.coins
        checks = [_listing(coins, self._instruments, len(quarantined))]
        checks += _isolated(coins, self._instruments)
        checks += _changed_grids(self._options, coins, self._instruments)
        return checks

    async def _identity_check(self, api: HyperliquidAPI) -> list[Check]:
        assert self.signer is not None and self.master is not None and self.traded is not None
        identity = await identify(api, self.signer.address, self.master, self.traded)
        self._identity = identity
        found = f"{identity.signer} may trade for {identity.kind} {identity.traded}"
        return [ok("identity", found)]

    async def _watchdog_check(self, account: AccountChecks) -> list[Check]:
        state, now_ns = read_state(self._options.state_dir), SystemClock().now_ns()
        found = describe(state, now_ns)
        if is_on_guard(state, now_ns):
            return [ok("watchdog", found)]
        why = (
            "if this machine or the bot dies, stops at the venue remain, but nothing cancels "
            f"quotes or closes positions; {await account.switch_volume()}"
        )
        return [warning("watchdog", found, why=why, fix="run nova watchdog beside nova run")]


# --- the machine ----------------------------------------------------------------------------------


def _check_disk(state_dir: Path) -> Check:
    place = state_dir if state_dir.exists() else Path.cwd()
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free at {place}"
    if free < DISK_FREE_BYTES_MIN:
        why = "nothing is sent that is not on disk first: a full disk halts trading"
        return blocking("disk", found, ExitCode.INTERNAL, why=why, fix="free some space")
    return ok("disk", found)


def _check_files(state_dir: Path, secret_files: tuple[str | Path, ...]) -> Check:
    """Look at who else may read keys and positions."""
    exposed = [
        str(path)
        for path in map(Path, secret_files)
        if path.is_file() and path.stat().st_mode & OTHERS
    ]
    if exposed:
        why = "whoever reads the key can trade the account"
        fix = f"chmod 600 {' '.join(exposed)}, and replace the key if others use this machine"
        found = f"readable by others: {', '.join(exposed)}"
        return warning("files", found, why=why, fix=fix)
    if state_dir.is_dir() and state_dir.stat().st_mode & stat.S_IWOTH:
        why = "others could replace the socket through which the bot is commanded"
        return warning(
            "files", f"{state_dir} is writable by all", why=why, fix=f"chmod 700 {state_dir}"
        )
    return ok("files", f"keys and {state_dir} are closed to others")


def _check_config(options: LiveOptions) -> tuple[EngineConfig | None, Check]:
    why = "what may be risked is not known"
    try:
        config = compose.load_config(options.trading_path, options.strategies_path)
    except (ConfigError, FileNotFoundError, ValueError) as error:
        fix = "mend the named keys"
        return None, blocking("configuration", str(error), ExitCode.CONFIG, why=why, fix=fix)
    names = enabled_strategies(config)
    if not names:
        return config, blocking(
            "configuration",
            "no strategy is enabled",
            ExitCode.CONFIG,
            why="nothing would ever trade",
            fix="enable one in strategies_config.json",
        )
    coins = ", ".join(config.trading.coins)
    return config, ok("configuration", f"trades {coins} with {', '.join(names)}")


def _check_settings(config: EngineConfig) -> list[Check]:
    why = "each value is valid, but together they do not do what they say"
    return [warning("settings", text, why=why, fix="change one of them") for text in lint(config)]


# --- the markets ----------------------------------------------------------------------------------


def _listing(coins: tuple[str, ...], known: dict[str, Instrument], quarantined: int) -> Check:
    missing = [c for c in coins if c not in known or known[c].is_delisted]
    if missing:
        why = "a coin that is not listed has no market, and a delisted one takes no orders"
        found = f"not listed: {', '.join(missing)}"
        fix = "mend coins in trading_params.json"
        return blocking("markets", found, ExitCode.CONFIG, why=why, fix=fix)
    found = f"{len(known)} perpetuals listed, {quarantined} rows not understood"
    if quarantined:
        why = "the venue says something this version does not know"
        return warning("markets", found, why=why, fix="look for a newer version")
    return ok("markets", found)


def _isolated(coins: tuple[str, ...], known: dict[str, Instrument]) -> list[Check]:
    names = [c for c in coins if c in known and known[c].is_isolated_only]
    if not names:
        return []
    why = "a loss there cannot draw on the rest of the account: it is liquidated earlier"
    fix = "lower default_leverage, or trade other coins"
    return [warning("markets", f"isolated margin only: {', '.join(names)}", why=why, fix=fix)]


def _changed_grids(
    options: LiveOptions, coins: tuple[str, ...], known: dict[str, Instrument]
) -> list[Check]:
    """Compare the grids with those of the last session of this mode, if there was one."""
    path = newest_journal(options.state_dir, options.mode.value)
    if path is None:
        return []
    try:
        with JournalReader(path) as reader:
            before = reader.instruments()
    except NovaError:
        return []
    changed = [
        f"{coin} szDecimals {before[coin].sz_decimals} → {known[coin].sz_decimals}"
        for coin in coins
        if coin in before and coin in known and before[coin].sz_decimals != known[coin].sz_decimals
    ]
    if not changed:
        return []
    why = "sizes of the last session count another unit: its state cannot be carried on"
    fix = "start with an empty --state-dir after the account is flat"
    return [warning("markets", ", ".join(changed), why=why, fix=fix)]
