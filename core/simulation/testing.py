"""The local exchange for the tests of other projects: two lines, and a bot has a venue of its own.

    from core.simulation.testing import local_exchange  # noqa: F401


    def test_my_bot_buys(local_exchange): ...

It serves in a thread of the test's process, on a free port, with time that stands still until the
test moves it. A fixture of yours named ``local_exchange_options`` may return other words of
``nova exchange``. It knows no rule of the venue and no test.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from core.api.signing import Signer
from core.model.time import NS_PER_MS, NS_PER_S
from core.simulation.server import VenueServer
from core.simulation.wire.fault_files import load_plan, read_plan
from core.simulation.wire.faults import FaultPlan, Struck
from core.simulation.wire.options import parse
from core.simulation.wire.process import build_server

T = TypeVar("T")

DEFAULT_WORDS = (
    *("--port", "0", "--clock", "on-request", "--latency", "none", "--start", "today"),
    "--no-ip-limits",
)
"""Time stands still but for what the test moves, on today's date so that nonces of clients whose
clock is the world's are accepted; answers come at once."""
CALL_SECONDS_MAX = 60.0
OPTIONS_FIXTURE = "local_exchange_options"


class PlayAccount(msgspec.Struct, frozen=True):
    """A key of play money and the address that belongs to it."""

    key: str
    address: str


class LocalExchange:
    """An exchange that serves in a thread of this process.

    Parameters
    ----------
    words : sequence of str
        Options of ``nova exchange``; they are added to `DEFAULT_WORDS` and win over them.

    Raises
    ------
    NovaError
        From `start`: if the market cannot be played or the port is taken.
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        self._options = parse([*DEFAULT_WORDS, *words])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="local exchange", daemon=True
        )
        self._server: VenueServer | None = None
        self.url = self.ws_url = ""

    def __enter__(self) -> LocalExchange:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> None:
        """Serve; `url` and `ws_url` then say where."""
        self._thread.start()
        port = self._wait(self._start())
        host = f"{self._options.host}:{port}"
        self.url, self.ws_url = f"http://{host}", f"ws://{host}/ws"

    def stop(self) -> None:
        """End it; raises what broke the venue meanwhile, if anything did."""
        try:
            if self._server is not None:
                self._wait(self._stop(self._server))
        finally:
            self._server = None
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CALL_SECONDS_MAX)
            self._loop.close()

    async def _start(self) -> int:
        self._server = build_server(self._options)
        return await self._server.start()

    async def _stop(self, server: VenueServer) -> None:
        failure = asyncio.ensure_future(server.failed())
        await asyncio.sleep(0)
        await server.stop()
        if failure.done():
            failure.result()
        failure.cancel()

    # --- play money ----------------------------------------------------------------------------

    def account(self, name: str = "tester", usd: float = 10_000.0) -> PlayAccount:
        """Return an account with play money; the same name is the same account in every run."""
        key = "0x" + hashlib.blake2b(name.encode(), digest_size=32).hexdigest()
        account = PlayAccount(key, Signer(key).address)
        if usd:
            self.fund(account.address, usd)
        return account

    def fund(self, address: str, usd: float) -> None:
        """Give an address USDC on its perpetuals side."""
        self._run(lambda server: server.faucet(address.lower(), usd))

    def fund_token(self, address: str, token: str, amount: str) -> None:
        """Give an address a spot token, ``USDC`` included, by its name; ``amount`` is decimal."""
        problem = self._run(lambda server: server.faucet_token(address.lower(), token, amount))
        if problem is not None:
            raise ValueError(problem)

    # --- time ----------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """The venue's time in milliseconds, as nonces and expiries count it."""
        return self._run(lambda server: server.now_ns) // NS_PER_MS

    def advance(self, seconds: float) -> int:
        """Move the venue's time forward; return the new time in milliseconds."""

        async def move(server: VenueServer) -> int:
            return await server.move_clock(server.now_ns + round(seconds * NS_PER_S))

        return self._await(move) // NS_PER_MS

    def advance_to(self, ms: int) -> int:
        """Move the venue's time forward to a moment in milliseconds; return the new time."""
        return self._await(lambda server: server.move_clock(ms * NS_PER_MS)) // NS_PER_MS

    # --- trouble -------------------------------------------------------------------------------

    def set_faults(self, plan: FaultPlan | Mapping[str, Any] | str | Path) -> None:
        """Put a fault plan in force: a plan, its JSON as mapping or text, or a file.

        Raises
        ------
        ConfigError
            With everything that is wrong with it.
        """
        if isinstance(plan, Path):
            plan = load_plan(plan)
        elif not isinstance(plan, FaultPlan):
            plan = read_plan(plan if isinstance(plan, str) else json.dumps(plan))
        wanted = plan
        self._run(lambda server: server.set_faults(wanted))

    def clear_faults(self) -> None:
        """End all trouble."""
        self.set_faults(FaultPlan())

    @property
    def faults_struck(self) -> tuple[Struck, ...]:
        """Every fault of the plan in force that happened, oldest first."""
        return self._run(lambda server: server.faults_struck)

    # --- the other thread ----------------------------------------------------------------------

    def _run(self, work: Callable[[VenueServer], T]) -> T:
        async def run(server: VenueServer) -> T:
            return work(server)

        return self._await(run)

    def _await(self, work: Callable[[VenueServer], Coroutine[Any, Any, T]]) -> T:
        assert self._server is not None, "invariant: the exchange is started before it is used"
        return self._wait(work(self._server))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS_MAX)


@pytest.fixture
def local_exchange(request: pytest.FixtureRequest) -> Iterator[LocalExchange]:
    """Serve an exchange for one test, with nobody's money in it."""
    try:
        words = request.getfixturevalue(OPTIONS_FIXTURE)
    except pytest.FixtureLookupError:
        words = ()
    with LocalExchange(words) as exchange:
        yield exchange
