"""The local exchange as a process of its own, for the demo."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

import aiohttp
import msgspec

from core.model.errors import ExitCode, PortInUseError, VenueError
from core.runtime.options import DemoOptions
from core.utils.clock import ScaledClock

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 5.0
REQUEST_SECONDS_MAX = 10.0


class VenueClock(msgspec.Struct, frozen=True, kw_only=True):
    """The exchange's clock, when its market data ends, and what its simulation assumes."""

    clock: ScaledClock
    end_ns: int
    assumptions: tuple[str, ...]


class VenueProcess:
    """Start, address and stop the local exchange."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.base_url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}/ws"

    @classmethod
    async def start(cls, options: DemoOptions) -> VenueProcess:
        """Start the exchange and wait until it serves.

        Raises
        ------
        PortInUseError
            If the wanted port is taken.
        VenueError
            If the exchange did not come up; the text carries what it printed.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "core.simulation.server",
            *("--port", str(options.port), "--speed", repr(options.speed)),
            *("--seed", str(options.seed), "--coins", ",".join(options.coins)),
            *("--perps-only", "--end-with-parent"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS_MAX)
        except TimeoutError:
            line = b""
        if not line:
            raise await _start_error(process, options)
        ready = msgspec.json.decode(line, type=dict[str, Any])
        return cls(process, int(ready["port"]))

    async def clock(self) -> VenueClock:
        """Return the venue's clock, which both sides share."""
        data = await self._request("GET", "/clock")
        clock = ScaledClock(
            start_ns=int(data["start_ns"]),
            speed=float(data["speed"]),
            anchor_monotonic_ns=int(data["anchor_monotonic_ns"]),
        )
        return VenueClock(
            clock=clock,
            end_ns=int(data["end_ns"]),
            assumptions=tuple(data.get("assumptions", ())),
        )

    async def fund(self, address: str, usdc: float) -> None:
        """Give an account play money."""
        await self._request("POST", "/faucet", {"user": address, "usd": usdc})

    async def wait(self) -> int:
        """Wait until the exchange ends; it should not before it is stopped."""
        return await self._process.wait()

    async def stop(self) -> None:
        """End the exchange, by force if it must be."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS_MAX)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS_MAX)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.request(method, self.base_url + path, json=body) as response,
            ):
                raw = await response.read()
                if response.status != 200:
                    raise VenueError(
                        f"local exchange should answer {path}, said {response.status}: {raw!r}"
                    )
                return msgspec.json.decode(raw, type=dict[str, Any])
        except aiohttp.ClientError as error:
            raise VenueError(f"local exchange should answer {path}, failed: {error}") from error


async def _start_error(
    process: asyncio.subprocess.Process, options: DemoOptions
) -> VenueError | PortInUseError:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    _, stderr = await process.communicate()
    text = stderr.decode(errors="replace").strip()[-2000:]
    if process.returncode == ExitCode.PORT_IN_USE:
        return PortInUseError(text or f"port {options.port} should be free, was in use")
    return VenueError(f"local exchange should start, ended with {process.returncode}: {text}")
