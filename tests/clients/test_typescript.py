"""A TypeScript SDK from npm, unmodified, against the local exchange.

The flows are in ``typescript/flows.mjs``; they run where Node and npm are, and say so where not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.venue import Venue, new_key

HERE = Path(__file__).parent / "typescript"
NODE_MAJOR_MIN = 20

pytestmark = [pytest.mark.contract, pytest.mark.slow]


def node_version() -> int:
    if shutil.which("node") is None or shutil.which("npm") is None:
        return 0
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return int(said.stdout.lstrip("v").split(".")[0])


@pytest.fixture(scope="module")
def packages() -> Path:
    """Install the pinned packages once, beside their lock file."""
    if node_version() < NODE_MAJOR_MIN:
        pytest.skip(f"the TypeScript flows need Node {NODE_MAJOR_MIN} or newer, with npm")
    done = HERE / "node_modules" / ".package-lock.json"
    lock = HERE / "package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        said = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=HERE,
            capture_output=True,
            text=True,
            timeout=180,
        )
        if said.returncode:
            pytest.skip(f"the npm packages could not be installed: {said.stderr[-300:]}")
    return HERE


@pytest.fixture(scope="module")
def seen(packages: Path, venue: Venue) -> dict[str, Any]:
    key, address = new_key("typescript")
    venue.fund(address, 10_000)
    said = subprocess.run(
        ["node", "flows.mjs", venue.url, key],
        cwd=packages,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def test_typescript_reads_markets(seen: dict[str, Any]) -> None:
    markets = seen["markets"]
    assert (markets["btc"], markets["universe"]) == ("BTC", markets["contexts"])
    assert markets["mid"] > 0 and markets["levels"] > 0 and markets["candles"] in (12, 13)
    assert markets["tokens"] > 100 and markets["dexs"] >= 2


def test_typescript_trades_perpetuals(seen: dict[str, Any]) -> None:
    perps = seen["perps"]
    assert (perps["openSize"], perps["filled"], perps["position"]) == ("0.02", "0.01", "0.01")
    assert perps["guard"] == "waitingForTrigger" and perps["isPositionTpsl"]
    assert perps["trigger"].startswith("Price below")
    assert perps["closed"] == "0.01" and "minimum value" in perps["refused"]
    assert perps["fills"] == ["Close Long", "Open Long"]
    assert perps["heardFill"] and perps["heardCancel"]


def test_typescript_trades_spot(seen: dict[str, Any]) -> None:
    assert seen["spot"] == {"filled": "0.001", "coins": ["USDC", "UBTC"], "feeToken": "UBTC"}


def test_typescript_uses_agents_twaps_and_transfers(seen: dict[str, Any]) -> None:
    accounts = seen["accounts"]
    assert (accounts["agents"], accounts["role"]) == (["flows"], "agent")
    assert accounts["twapId"] > 0 and accounts["fees"] == "0.00045"
    assert accounts["ledger"] == ["deposit", "accountClassTransfer", "internalTransfer"]
    assert accounts["budget"] >= 10_000 and accounts["portfolio"] == 8


def test_typescript_hears_every_stream(seen: dict[str, Any]) -> None:
    assert seen["streams"] == {"book": True, "quote": True, "candle": True, "mids": True}
