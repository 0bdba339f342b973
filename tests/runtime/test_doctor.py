"""Look before trading: a healthy set-up is all ok, and each flaw is found and blocks."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from core.model.codes import Mode, Tif
from core.model.errors import ConfigError, CredentialError, ExitCode, NovaError, VenueError
from core.model.events import InstrumentsListed
from core.model.time import NS_PER_S
from core.runtime import doctor, doctor_account
from core.runtime.doctor import Diagnosis, examine
from core.runtime.findings import Check, blocking, exit_code_of, refuse_if_blocked
from core.runtime.identity import check_signer
from core.runtime.live import run_live
from core.runtime.options import LiveOptions
from core.runtime.watchdog_state import WatchdogPhase, WatchdogState, write_state
from core.simulation.venue.outputs import OrderRequest
from core.utils.credential_manager import CredentialManager
from core.utils.journal import SqliteJournal
from tests.runtime.local_venue import (
    AGENT,
    AGENT_KEY,
    MASTER,
    STRANGER,
    STRANGER_KEY,
    USDC,
    LocalVenue,
    credentials,
    live_options,
    local_venue,
)

pytestmark = pytest.mark.contract
ALL = [
    "disk",
    "files",
    "configuration",
    "credentials",
    "clock",
    "markets",
    "identity",
    "approval",
    "balance",
    "plan",
    "leverage",
    "positions",
    "open orders",
    "request budget",
    "ip budget",
    "watchdog",
]


@pytest.fixture(autouse=True)
def roomy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of whoever runs the tests is not under test."""
    usage = SimpleNamespace(free=doctor.DISK_FREE_BYTES_MIN)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


def guarded(directory: Path) -> None:
    """Let a watchdog be on guard in the state directory of the tests."""
    state = WatchdogState(
        pid=os.getpid(),
        mode="testnet",
        account=MASTER.address,
        phase=WatchdogPhase.ARMED,
        silence_seconds=30.0,
        updated_ns=time.time_ns(),
    )
    write_state(directory / "state", state)


async def diagnose(
    venue: LocalVenue,
    directory: Path,
    *,
    keys: CredentialManager | None = None,
    seconds: float = 0.0,
    **changes: Any,
) -> Diagnosis:
    guarded(directory)
    diagnosis = await examine(
        live_options(venue, directory, **changes),
        credentials=keys or credentials(),
        clock=venue.skewed(seconds),
        secret_files=(),
    )
    for check in diagnosis.checks:
        assert check.found
        assert check.level == "ok" or (check.fix and check.why), check
        assert (check.level == "blocking") is (check.exit_code is not ExitCode.OK), check
    return diagnosis


async def checks_of(venue: LocalVenue, directory: Path, **words: Any) -> dict[str, Check]:
    return {c.name: c for c in (await diagnose(venue, directory, **words)).checks}


def flaws(checks: dict[str, Check]) -> dict[str, str]:
    return {name: check.level for name, check in checks.items() if check.level != "ok"}


async def test_a_healthy_set_up_is_all_ok(tmp_path: Path) -> None:
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path)
        assert venue.exchange.historical_orders(MASTER.address) == (), "it only looks"
    assert list(checks) == ALL
    assert flaws(checks) == {}
    assert AGENT.address in checks["identity"].found
    assert checks["balance"].found.startswith("10000.00 USDC in the perpetuals of account")
    assert AGENT_KEY not in repr(checks)


# --- this machine ---------------------------------------------------------------------------------


async def test_a_full_disk_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=doctor.DISK_FREE_BYTES_MIN - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path)
    assert flaws(checks) == {"disk": "blocking"}
    assert checks["disk"].exit_code is ExitCode.INTERNAL


async def test_files_open_to_others_are_warned_of(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.env"
    secrets.write_text("HYPERLIQUID_AGENT_KEY=\n")
    secrets.chmod(0o644)
    check = doctor._check_files(tmp_path, (secrets,))
    assert check.level == "warning" and str(secrets) in check.found
    secrets.chmod(0o600)
    assert doctor._check_files(tmp_path, (secrets,)).level == "ok"
    tmp_path.chmod(0o777)
    assert "writable by all" in doctor._check_files(tmp_path, ()).found


async def test_an_unusable_configuration_blocks_and_the_rest_is_still_looked_at(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({"max_drawdown": 7, "coyns": ["BTC"]}))
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path, trading_path=path)
    assert flaws(checks) == {"configuration": "blocking"}
    assert "max_drawdown" in checks["configuration"].found
    assert "did you mean 'coins'" in checks["configuration"].found
    assert set(ALL) - set(checks) == {"markets", "plan", "leverage"}


@pytest.mark.parametrize("content", [None, "{", '{"coins": []}'], ids=["gone", "broken", "empty"])
async def test_a_configuration_that_cannot_be_read_blocks(
    content: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content)
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path, trading_path=path)
    assert flaws(checks) == {"configuration": "blocking"}
    assert checks["configuration"].exit_code is ExitCode.CONFIG
    assert "bad.json" in checks["configuration"].found or "coins" in checks["configuration"].found


async def test_settings_that_contradict_each_other_are_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "contradiction.json"
    async with local_venue() as venue:
        options = live_options(venue, tmp_path)
        assert options.trading_path is not None
        trading = json.loads(options.trading_path.read_text())
        path.write_text(json.dumps(trading | {"max_position_ratio": 3.0, "max_exposure_ratio": 2}))
        checks = await checks_of(venue, tmp_path, trading_path=path)
    assert flaws(checks) == {"settings": "warning"}
    assert "never limits anything" in checks["settings"].found


async def test_nothing_enabled_blocks(tmp_path: Path) -> None:
    path = tmp_path / "nothing.json"
    names = ("scalping", "mean_reversion", "grid_trading", "trend_following")
    path.write_text(json.dumps({name: {"enabled": False} for name in names}))
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path, strategies_path=path)
    assert flaws(checks)["configuration"] == "blocking"


# --- key and account ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "account"),
    [(None, MASTER.address), ("0x12", MASTER.address), (AGENT_KEY, None), (AGENT_KEY, "0x12")],
    ids=["no key", "short key", "no account", "short account"],
)
async def test_unusable_credentials_block(
    key: str | None, account: str | None, tmp_path: Path
) -> None:
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path, keys=credentials(key, account))
    assert flaws(checks) == {"credentials": "blocking"}
    assert checks["credentials"].exit_code is ExitCode.CREDENTIAL
    assert list(checks) == ALL[: ALL.index("markets") + 1]


async def test_a_master_key_is_warned_of(tmp_path: Path) -> None:
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path, keys=credentials("0x" + "11" * 32))
    assert flaws(checks) == {"credentials": "warning"}
    assert "can withdraw" in checks["credentials"].found


async def test_a_key_the_venue_does_not_know_blocks(tmp_path: Path) -> None:
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path, keys=credentials(STRANGER_KEY))
    assert flaws(checks) == {"identity": "blocking"}
    assert checks["identity"].exit_code is ExitCode.CREDENTIAL
    assert STRANGER.address in checks["identity"].found
    assert MASTER.address in checks["identity"].found


def vault_keys(vault: str) -> CredentialManager:
    env = {
        "HYPERLIQUID_AGENT_KEY": AGENT_KEY,
        "HYPERLIQUID_ACCOUNT": MASTER.address,
        "HYPERLIQUID_VAULT": vault,
    }
    return CredentialManager(env, paths=())


async def test_a_sub_account_is_looked_at_in_the_masters_place(tmp_path: Path) -> None:
    async with local_venue() as venue:
        venue.exchange._state.accounts[MASTER.address].volume_micro += 10**6 * USDC
        sub = venue.exchange.family.create_sub_account(MASTER.address, "grid")
        assert isinstance(sub, str), sub
        diagnosis = await diagnose(venue, tmp_path, keys=vault_keys(sub))
        checks = {check.name: check for check in diagnosis.checks}
        assert checks["identity"].found.endswith(f"may trade for sub-account {sub}")
        assert flaws(checks)["balance"] == "blocking"
        assert "10000.00 USDC lie in the perpetuals of the master" in checks["balance"].fix
        assert exit_code_of(diagnosis.checks) is ExitCode.CONFIG
        master = diagnosis.identity.children[0] if diagnosis.identity else None
        assert master is not None and not master.is_traded
        marked = [(n.relation, n.address) for n in master.children if n.is_traded]
        assert marked == [("sub-account 'grid'", sub)]
        venue.exchange.fund(sub, 500 * USDC)
        assert flaws(await checks_of(venue, tmp_path, keys=vault_keys(sub))) == {}


async def test_a_vault_that_is_none_of_the_masters_blocks(tmp_path: Path) -> None:
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path, keys=vault_keys(STRANGER.address))
    assert flaws(checks) == {"identity": "blocking"}
    assert "should be a vault or sub-account" in checks["identity"].found


class Roles:
    """A venue that knows roles and one vault."""

    def __init__(self, roles: dict[str, dict[str, Any]], leader: str | None) -> None:
        self.roles, self.leader = roles, leader

    async def fetch_role(self, address: str) -> dict[str, Any]:
        return self.roles.get(address, {"role": "missing"})

    async def fetch_abstraction(self, address: str) -> str:
        return "disabled"

    async def ask(self, kind: str, **fields: str) -> bytes:
        if self.leader is None:
            raise VenueError(f"{kind} should be understood")
        return json.dumps({"name": "Pool", "leader": self.leader, "isClosed": False}).encode()


@pytest.mark.parametrize(
    ("role", "leader", "text"),
    [
        ({"role": "vault"}, MASTER.address, ""),
        ({"role": "vault"}, None, ""),
        ({"role": "vault"}, STRANGER.address, f"is led by {STRANGER.address}"),
        ({"role": "subAccount", "data": {"master": MASTER.address}}, None, ""),
        ({"role": "subAccount", "data": {"master": STRANGER.address}}, None, "was one of"),
        ({"role": "user"}, None, "should be a vault or sub-account"),
    ],
)
async def test_who_may_act_for_what_is_told_apart(
    role: dict[str, Any], leader: str | None, text: str
) -> None:
    traded = "0x" + "77" * 20
    agent = {"role": "agent", "data": {"user": MASTER.address}}
    roles = Roles({AGENT.address: agent, traded: role}, leader)
    if text:
        with pytest.raises(CredentialError, match=text):
            await check_signer(roles, AGENT.address, MASTER.address, traded)
        return
    kind, vault = await check_signer(roles, AGENT.address, MASTER.address, traded)
    assert kind == ("vault" if role["role"] == "vault" else "sub-account")
    assert (vault is not None and vault.leader) == (leader or False)


async def test_an_approval_that_ends_soon_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_account, "APPROVAL_DAYS_MIN", 1_000)
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path)
    assert flaws(checks) == {"approval": "warning"}


# --- clock, markets, money ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(-900.0, "blocking"), (900.0, "blocking"), (300.0, "warning")],
)
async def test_a_clock_that_is_off_is_found(
    seconds: float, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a fast clock a busy machine's travel times are minutes; the limit is set far above them.
    monkeypatch.setattr(doctor, "CLOCK_SKEW_NS_MAX", 600 * NS_PER_S)
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path, seconds=seconds)
    assert flaws(checks) == {"clock": level}
    assert list(checks) == ALL, "a clock that is off hides nothing else"
    code = ExitCode.CLOCK_SKEW if level == "blocking" else ExitCode.OK
    assert exit_code_of(list(checks.values())) is code


async def test_a_coin_that_is_not_listed_blocks(tmp_path: Path) -> None:
    path = tmp_path / "coins.json"
    path.write_text(json.dumps({"coins": ["BTC", "NOSUCHCOIN"]}))
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path, trading_path=path)
    assert flaws(checks) == {"markets": "blocking"}
    assert checks["markets"].found == "not listed: NOSUCHCOIN"
    assert checks["markets"].exit_code is ExitCode.CONFIG


async def test_sizes_that_count_another_unit_than_in_the_last_session_are_warned_of(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "state" / "testnet-20250507T000000"
    directory.mkdir(parents=True)
    journal = SqliteJournal(directory / "journal.sqlite", session=directory.name)
    async with local_venue() as venue:
        instruments = tuple(
            msgspec.structs.replace(i, sz_decimals=i.sz_decimals - 1) if i.coin == "BTC" else i
            for i in venue.exchange.instruments.values()
        )
        journal.append(InstrumentsListed(instruments=instruments, seq=1))
        journal.close()
        checks = await diagnose(venue, tmp_path)
    texts = [c.found for c in checks.checks if c.level == "warning"]
    assert texts == ["BTC szDecimals 4 → 5"]


async def test_an_account_without_money_blocks(tmp_path: Path) -> None:
    async with local_venue(usdc=9) as venue:
        checks = await checks_of(venue, tmp_path)
    assert flaws(checks) == {"balance": "blocking", "plan": "blocking"}
    assert checks["balance"].found.startswith("9.00 USDC")


async def test_a_plan_that_needs_more_than_there_is_names_both(tmp_path: Path) -> None:
    async with local_venue(usdc=45) as venue:
        checks = await checks_of(venue, tmp_path)
        assert flaws(checks) == {"plan": "blocking"}
        assert checks["plan"].exit_code is ExitCode.CONFIG
        found = re.fullmatch(
            r"grid_trading on BTC \((\d) orders at once\) needs (\d+) USDC, you have 45\.00.*",
            checks["plan"].found,
        )
        assert found is not None, checks["plan"].found
        orders, least = int(found[1]), int(found[2])
        # Each order takes its share of 0.95 * max_position_ratio (0.3) of the equity.
        assert orders * 10 / 0.285 <= least < orders * 10 / 0.285 * 1.2
        some = await checks_of(venue, tmp_path, strategies_path=all_strategies(tmp_path))
        assert flaws(some) == {"plan": "warning"}, "others can trade with it"


def all_strategies(directory: Path) -> Path:
    path = directory / "all.json"
    path.write_text("{}")
    return path


async def test_a_spent_request_budget_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_account, "REQUESTS_LEFT_MIN", 1_000_000)
    monkeypatch.setattr(doctor_account, "IP_SHARE_MAX", 0.0)
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path)
    assert flaws(checks) == {"request budget": "warning", "ip budget": "warning"}


# --- what others left -----------------------------------------------------------------------------


async def test_orders_and_positions_of_nobody_are_warned_of(tmp_path: Path) -> None:
    async with local_venue() as venue:
        order = OrderRequest(coin="BTC", is_buy=True, px=900_000, lots=20, tif=Tif.GTC)
        venue.exchange.place(MASTER.address, [order])
        assert len(venue.open_orders()) == 1
        checks = await checks_of(venue, tmp_path)
        assert flaws(checks) == {"open orders": "warning"}
        assert "1 that nova did not place, in BTC" in checks["open orders"].found
        taker = OrderRequest(coin="BTC", is_buy=True, px=1_100_000, lots=50, tif=Tif.IOC)
        venue.exchange.place(MASTER.address, [taker])
        checks = await checks_of(venue, tmp_path)
    assert flaws(checks) == {"open orders": "warning", "positions": "warning"}
    assert checks["positions"].found == "no stop at the venue: BTC"


async def test_without_a_watchdog_it_says_what_nobody_does(tmp_path: Path) -> None:
    async with local_venue() as venue:
        options = live_options(venue, tmp_path)
        diagnosis = await examine(
            options, credentials=credentials(), clock=venue.clock, secret_files=()
        )
    check = diagnosis.checks[-1]
    assert (check.name, check.level) == ("watchdog", "warning")
    assert "needs 1000000 USDC traded, this address has 0" in check.why


async def test_a_venue_that_is_not_there_blocks_and_is_asked_once(tmp_path: Path) -> None:
    async with local_venue() as venue:
        await venue.stop()
        checks = await checks_of(venue, tmp_path)
    assert flaws(checks) == {"venue": "blocking"}
    assert checks["venue"].exit_code is ExitCode.VENUE_UNAVAILABLE
    assert venue.base_url in checks["venue"].found
    assert list(checks) == [*ALL[: ALL.index("clock")], "venue"]


# --- one rule for the exit code, and nova run asks the same ---------------------------------------


def test_the_first_finding_that_blocks_decides_and_is_raised_in_its_own_words() -> None:
    bad = [
        Check("n0", "warning", "hm", "x", "y"),
        blocking("clock", "9 s off", ExitCode.CLOCK_SKEW, why="y", fix="set it"),
        blocking("plan", "too little", ExitCode.CONFIG, why="y", fix="more"),
    ]
    assert exit_code_of(bad) is ExitCode.CLOCK_SKEW
    for checks in (bad, bad[2:]):
        with pytest.raises(NovaError) as caught:
            refuse_if_blocked(checks)
        assert caught.value.exit_code is exit_code_of(checks)
        first = next(check for check in checks if check.level == "blocking")
        assert str(caught.value) == f"{first.name}: {first.found}; {first.fix}"
    refuse_if_blocked(bad[:1])


async def test_nova_run_refuses_what_the_doctor_blocks_in_the_same_words(tmp_path: Path) -> None:
    async with local_venue(usdc=45) as venue:
        found = (await checks_of(venue, tmp_path))["plan"]
        with pytest.raises(ConfigError) as caught:
            await run_live(
                live_options(venue, tmp_path),
                on_ready=lambda session: None,
                credentials=credentials(),
                clock=venue.clock,
            )
    words = re.sub(r"\d", "", str(caught.value))
    assert words == re.sub(r"\d", "", f"plan: {found.found}; {found.fix}"), "but for the price"


@pytest.mark.parametrize(
    ("mode", "url"),
    [
        (Mode.LIVE, "https://api.hyperliquid.xyz"),
        (Mode.TESTNET, "https://api.hyperliquid-testnet.xyz"),
    ],
)
async def test_the_mode_names_the_venue_that_is_looked_at(
    mode: Mode, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class NoVenue:
        def __init__(self, base_url: str, **fields: Any) -> None:
            asked.append(base_url)

        async def connect(self) -> None: ...

        async def close(self) -> None: ...

        async def fetch_server_time_ns(self) -> int:
            raise VenueError("venue should answer, was a fake")

    monkeypatch.setattr(doctor, "HyperliquidAPI", NoVenue)
    options = LiveOptions(mode=mode, state_dir=tmp_path)
    diagnosis = await examine(options, credentials=credentials(), secret_files=())
    assert asked == [url]
    assert diagnosis.checks[-1].level == "blocking"
