"""The exchange for other projects' tests: two lines, and a bot has a venue of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info

from core.model.errors import ConfigError
from core.simulation.testing import LocalExchange, local_exchange  # noqa: F401
from core.simulation.wire.faults import FaultPlan, FaultRule

pytestmark = pytest.mark.contract


@pytest.fixture
def local_exchange_options() -> list[str]:
    return ["--coins", "BTC", "--perps-only"]


def ask(exchange: LocalExchange, kind: str, **fields: str) -> object:
    body = json.dumps({"type": kind, **fields}).encode()
    with urlopen(Request(f"{exchange.url}/info", data=body), timeout=10) as answer:
        return json.load(answer)


def test_the_official_client_trades_on_it(local_exchange: LocalExchange) -> None:  # noqa: F811
    account = local_exchange.account("my bot", usd=5_000)
    client = Exchange(Account.from_key(account.key), base_url=local_exchange.url)
    local_exchange.advance(10)
    assert "filled" in client.market_open("BTC", True, 0.01)["response"]["data"]["statuses"][0]
    mid = float(Info(local_exchange.url, skip_ws=True).all_mids()["BTC"])
    order = client.order("BTC", True, 0.01, round(mid * 0.98), {"limit": {"tif": "Alo"}})
    assert "resting" in order["response"]["data"]["statuses"][0]


def test_time_stands_until_the_test_moves_it(local_exchange: LocalExchange) -> None:  # noqa: F811
    before = local_exchange.now_ms
    ask(local_exchange, "exchangeStatus")
    assert local_exchange.now_ms == before
    assert local_exchange.advance(90) == before + 90_000
    assert local_exchange.advance_to(before + 100_000) == before + 100_000
    assert ask(local_exchange, "allMids")


def test_accounts_are_the_same_in_every_run_and_apart(
    local_exchange: LocalExchange,  # noqa: F811
) -> None:
    first, second = local_exchange.account("one"), local_exchange.account("two", usd=0)
    assert local_exchange.account("one", usd=0) == first
    assert first.address != second.address
    state = ask(local_exchange, "clearinghouseState", user=first.address)
    assert state["marginSummary"]["accountValue"] == "10000.0"  # type: ignore[index]


def test_trouble_is_planned_and_told(local_exchange: LocalExchange, tmp_path: Path) -> None:  # noqa: F811
    local_exchange.set_faults({"rules": [{"route": "info", "fault": "too_many", "times": 1}]})
    with pytest.raises(HTTPError, match="429"):
        ask(local_exchange, "meta")
    assert [row.fault for row in local_exchange.faults_struck] == ["too_many"]
    path = tmp_path / "faults.json"
    path.write_text('{"rules": [{"route": "info", "fault": "broken"}]}')
    for plan in (path, path.read_text(), FaultPlan([FaultRule(route="info", fault="broken")])):
        local_exchange.set_faults(plan)
        with pytest.raises(HTTPError, match="502"):
            ask(local_exchange, "meta")
    local_exchange.clear_faults()
    assert ask(local_exchange, "meta")
    with pytest.raises(ConfigError, match="did you mean 'broken'"):
        local_exchange.set_faults({"rules": [{"route": "info", "fault": "brokn"}]})


def test_tokens_are_given_by_name() -> None:
    with LocalExchange(["--coins", "BTC"]) as exchange:
        account = exchange.account(usd=0)
        exchange.fund_token(account.address, "UBTC", "0.5")
        with pytest.raises(ValueError, match="token should be one of spotMeta"):
            exchange.fund_token(account.address, "NOPE", "1")
        with pytest.raises(ValueError, match="amount of UBTC should be above 0"):
            exchange.fund_token(account.address, "UBTC", "-1")


PROJECT = """
from core.simulation.testing import local_exchange  # noqa: F401


def test_a_bot(local_exchange):
    local_exchange.advance(60)
    assert local_exchange.account().address.startswith("0x")
"""


def test_another_project_needs_two_lines(tmp_path: Path) -> None:
    (tmp_path / "test_bot.py").write_text(PROJECT)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_bot.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
