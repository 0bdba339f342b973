"""Look before trading: a healthy set-up is all ok, and each flaw is found and blocks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.model.codes import Mode, Tif
from core.runtime import doctor
from core.runtime.doctor import Check, run_checks
from core.runtime.options import LiveOptions
from core.simulation.venue.outputs import OrderRequest
from core.utils.credential_manager import CredentialManager
from tests.runtime.local_venue import (
    AGENT,
    AGENT_KEY,
    MASTER,
    STRANGER,
    STRANGER_KEY,
    LocalVenue,
    credentials,
    live_options,
    local_venue,
)

pytestmark = pytest.mark.contract
ALL = [
    "disk",
    "configuration",
    "credentials",
    "clock",
    "markets",
    "agent",
    "balance",
    "open orders",
    "request budget",
]


@pytest.fixture(autouse=True)
def roomy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of whoever runs the tests is not under test."""
    usage = SimpleNamespace(free=doctor.DISK_FREE_BYTES_MIN)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


async def checks_of(
    venue: LocalVenue,
    directory: Path,
    *,
    keys: CredentialManager | None = None,
    seconds: float = 0.0,
    **changes: Any,
) -> dict[str, Check]:
    checks = await run_checks(
        live_options(venue, directory, **changes),
        credentials=keys or credentials(),
        clock=venue.skewed(seconds),
    )
    assert all(check.found for check in checks)
    assert all(check.fix for check in checks if check.level == "warning")
    return {check.name: check for check in checks}


def flaws(checks: dict[str, Check]) -> dict[str, str]:
    return {name: check.level for name, check in checks.items() if check.level != "ok"}


async def test_a_healthy_set_up_is_all_ok(tmp_path: Path) -> None:
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path)
        assert venue.exchange.historical_orders(MASTER.address) == (), "it only looks"
    assert list(checks) == ALL
    assert flaws(checks) == {}
    assert AGENT.address in checks["agent"].found
    assert checks["balance"].found == "10000.00 USDC in the perpetuals account"
    assert AGENT_KEY not in repr(checks)


async def test_a_full_disk_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=doctor.DISK_FREE_BYTES_MIN - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    async with local_venue() as venue:
        assert flaws(await checks_of(venue, tmp_path)) == {"disk": "blocking"}


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
    assert set(ALL) - set(checks) == {"markets"}


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
    assert "bad.json" in checks["configuration"].found or "coins" in checks["configuration"].found


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
    assert list(checks) == ["disk", "configuration", "credentials", "clock", "markets"]


async def test_a_master_key_is_warned_of(tmp_path: Path) -> None:
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path, keys=credentials("0x" + "11" * 32))
    assert flaws(checks) == {"credentials": "warning"}
    assert "can withdraw" in checks["credentials"].found


async def test_a_key_the_venue_does_not_know_blocks(tmp_path: Path) -> None:
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path, keys=credentials(STRANGER_KEY))
    assert flaws(checks) == {"agent": "blocking"}
    assert STRANGER.address in checks["agent"].found
    assert MASTER.address in checks["agent"].found


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(-300.0, "blocking"), (300.0, "blocking"), (-20.0, "blocking"), (1.5, "warning")],
)
async def test_a_clock_that_is_off_is_found(seconds: float, level: str, tmp_path: Path) -> None:
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path, seconds=seconds)
    assert flaws(checks) == {"clock": level}
    assert list(checks) == ALL, "a clock that is off hides nothing else"


async def test_a_coin_that_is_not_listed_blocks(tmp_path: Path) -> None:
    path = tmp_path / "coins.json"
    path.write_text(json.dumps({"coins": ["BTC", "NOSUCHCOIN"]}))
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path, trading_path=path)
    assert flaws(checks) == {"markets": "blocking"}
    assert checks["markets"].found == "not listed: NOSUCHCOIN"


async def test_an_account_without_money_blocks(tmp_path: Path) -> None:
    async with local_venue(usdc=9) as venue:
        checks = await checks_of(venue, tmp_path)
    assert flaws(checks) == {"balance": "blocking"}
    assert checks["balance"].found.startswith("9.00 USDC")


async def test_orders_of_nobody_are_warned_of(tmp_path: Path) -> None:
    async with local_venue() as venue:
        order = OrderRequest(coin="BTC", is_buy=True, px=900_000, lots=20, tif=Tif.GTC)
        venue.exchange.place(MASTER.address, [order])
        assert len(venue.open_orders()) == 1
        checks = await checks_of(venue, tmp_path)
    assert flaws(checks) == {"open orders": "warning"}


async def test_a_spent_request_budget_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "REQUESTS_LEFT_MIN", 1_000_000)
    async with local_venue() as venue:
        checks = await checks_of(venue, tmp_path)
    assert flaws(checks) == {"request budget": "warning"}


async def test_a_venue_that_is_not_there_blocks_and_is_asked_once(tmp_path: Path) -> None:
    async with local_venue() as venue:
        await venue.stop()
        checks = await checks_of(venue, tmp_path)
    assert flaws(checks) == {"venue": "blocking"}
    assert venue.base_url in checks["venue"].found
    assert list(checks) == ["disk", "configuration", "credentials", "venue"]


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
            raise doctor.VenueError("venue should answer, was a fake")

    monkeypatch.setattr(doctor, "HyperliquidAPI", NoVenue)
    options = LiveOptions(mode=mode, state_dir=tmp_path)
    checks = await run_checks(options, credentials=credentials())
    assert asked == [url]
    assert checks[-1].level == "blocking"
