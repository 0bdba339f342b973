"""The local exchange as a foreign client meets it: an address on loopback and play money."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from urllib.request import Request, urlopen

from eth_account import Account

START_SECONDS_MAX = 60


class Venue:
    """A local exchange in a process of its own."""

    def __init__(self) -> None:
        words = ["-m", "core.simulation.server", "--port", "0", "--end-with-parent"]
        words += ["--no-ip-limits", "--latency", "none"]
        self._process = subprocess.Popen(
            [sys.executable, *words], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url: str = json.loads(self._process.stdout.readline())["base_url"]

    def fund(self, address: str, usd: float) -> None:
        """Give an address play money."""
        body = json.dumps({"user": address, "usd": usd}).encode()
        with urlopen(Request(f"{self.url}/faucet", data=body), timeout=10) as answer:
            assert answer.status == 200

    def stop(self) -> None:
        """End the process and wait for it."""
        self._process.terminate()
        self._process.wait(10)


def new_key(name: str) -> tuple[str, str]:
    """Return the private key and the address that belong to a name, the same each time."""
    key = "0x" + hashlib.blake2b(name.encode(), digest_size=32).hexdigest()
    return key, Account.from_key(key).address
