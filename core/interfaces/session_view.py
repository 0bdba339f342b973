"""Run a session with somebody watching: signals, the live view, or plain lines.

The first Ctrl-C (or SIGTERM) asks the session to end in order; the second does not wait for it.
What a session trades, and against whom, is not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from core.interfaces import text as t
from core.interfaces.output import note
from core.model.errors import NovaError
from core.model.time import utc_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from core.model.account import EquityPoint
    from core.model.status import SystemStatus
    from core.runtime.options import Outcome

REFRESH_SECONDS = 0.25
LINE_EVERY = 20
"""Refreshes from one plain line to the next: five seconds."""
STOPPING = "stopping: cancelling orders and writing the journal (Ctrl-C again to leave at once)"
STOP_REASON = "interrupted"


class Watched(Protocol):
    """What a viewer needs of a session."""

    def status(self) -> SystemStatus:
        """Return the read-only picture of the system."""
        ...

    def recent_equity(self) -> tuple[EquityPoint, ...]:
        """Return the latest equity points, oldest first."""
        ...

    def request_stop(self, reason: str) -> None:
        """Ask for an orderly end."""
        ...


OnReady = Callable[[Watched], None]
Start = Callable[[OnReady], Awaitable["Outcome"]]
"""Runs a session to its end; calls back with the session once it is up."""


class StoppedAtOnceError(NovaError):
    """The second Ctrl-C: the session had no time to end in order."""


class Viewer(Protocol):
    """Shows a session while it runs."""

    def open(self, title: str) -> None:
        """Begin, before there is a session."""
        ...

    def show(self, session: Watched, notice: str) -> None:
        """Show the session as it is now; called every `REFRESH_SECONDS`."""
        ...

    def close(self) -> None:
        """End, whatever happened."""
        ...


class LiveViewer:
    """The Rich live view on the terminal's own screen; the old screen comes back at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def open(self, title: str) -> None:
        """Take the screen and say what is being prepared."""
        from rich.live import Live
        from rich.text import Text

        self._live = Live(
            Text(f" {title}: starting …", "bold"),
            console=self._console,
            screen=True,
            auto_refresh=False,
        )
        self._live.start(refresh=True)

    def show(self, session: Watched, notice: str) -> None:
        """Redraw the whole screen in one write."""
        from core.interfaces.terminal_view import render

        assert self._live is not None, "invariant: open before show"
        height = self._console.size.height
        view = render(session.status(), session.recent_equity(), rows=height, notice=notice)
        self._live.update(view, refresh=True)

    def close(self) -> None:
        """Give the screen back."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class PlainViewer:
    """One line every few seconds, for logs, pipes and machines."""

    def __init__(self, *, line_every: int = LINE_EVERY) -> None:
        self._every = line_every
        self._count = 0
        self._notice = ""
        self._seen: set[tuple[str, int]] = set()

    def open(self, title: str) -> None:
        """Say what is being prepared."""
        note(f"{title}: starting …")

    def show(self, session: Watched, notice: str) -> None:
        """Print a line when one is due."""
        is_due = self._count % self._every == 0
        self._count += 1
        status = session.status()
        self._seen.update((row.fill.coin, row.fill.tid) for row in status.fills)
        if notice != self._notice:
            self._notice = notice
            note(notice)
        if is_due:
            note(status_line(status, len(self._seen)))

    def close(self) -> None:
        """Nothing to give back."""


def status_line(status: SystemStatus, fill_count: int) -> str:
    """Write one status as one plain line."""
    positions = sum(1 for coin in status.coins if coin.position_coins)
    parts = (
        f"{utc_text(status.ts_ns)} UTC",
        status.mode.value.upper(),
        status.trading_state.value.upper(),
        f"equity {t.money_text(status.equity_micro)}",
        f"day {t.money_text(status.day_pnl_micro, signed=True)}",
        f"drawdown {t.percent_text(status.drawdown)}",
        f"positions {positions}",
        f"orders {len(status.orders)}",
        f"fills {fill_count}",
    )
    reason = f"  ({t.clean(status.state_reason)})" if status.trading_state != "active" else ""
    return "  ".join(parts) + reason


class Page(Protocol):
    """A page that accompanies a session."""

    async def start(self) -> str:
        """Begin to serve and return the address."""
        ...

    async def stop(self) -> None:
        """Stop serving."""
        ...


class _Stopper:
    """Turns signals into an orderly stop, and a repeated one into a hasty one."""

    def __init__(self, task: asyncio.Task[Outcome]) -> None:
        self._task = task
        self.session: Watched | None = None
        self.notice = ""
        self.was_asked = False

    def ask(self) -> None:
        """Take one signal."""
        if self.session is None or self.was_asked:
            self._task.cancel()
        else:
            self.session.request_stop(STOP_REASON)
        self.was_asked = True
        self.notice = STOPPING


def run_session(
    start: Start,
    viewer: Viewer,
    *,
    title: str,
    page: Callable[[Watched], Page] | None = None,
) -> Outcome | None:
    """Run a session to its end while ``viewer`` shows it.

    Parameters
    ----------
    title : str
        What is starting, for people.
    page : callable, optional
        Makes a page that is served from the session's start to its end; the session goes on
        where it cannot be served.

    Returns
    -------
    Outcome or None
        ``None`` if a signal came before the session was up: nothing was traded.

    Raises
    ------
    StoppedAtOnceError
        If a second signal came before the session had ended.
    """
    import uvloop

    return uvloop.run(_run(start, viewer, title, page))


async def _run(
    start: Start,
    viewer: Viewer,
    title: str,
    page: Callable[[Watched], Page] | None,
) -> Outcome | None:
    helpers: list[asyncio.Task[None]] = []

    def on_ready(session: Watched) -> None:
        stopper.session = session
        helpers.append(asyncio.create_task(_watch(session, viewer, stopper)))
        if page is not None:
            helpers.append(asyncio.create_task(_serve(page(session), stopper)))

    viewer.open(title)
    task: asyncio.Task[Outcome] = asyncio.ensure_future(_started(start, on_ready))
    stopper = _Stopper(task)
    try:
        with _signals(stopper.ask):
            return await task
    except asyncio.CancelledError:
        if not stopper.was_asked:
            raise
        if stopper.session is None:
            return None
        raise StoppedAtOnceError(
            "the session should end in order, was left at once by a second signal; "
            "orders may still work at the exchange: start again to take them over"
        ) from None
    finally:
        for helper in helpers:
            helper.cancel()
        ends = await asyncio.gather(*helpers, return_exceptions=True)
        viewer.close()
        for end in ends:
            if isinstance(end, Exception):
                note(f"nova: the view failed, the session did not: {t.clean(repr(end))}")


async def _started(start: Start, on_ready: OnReady) -> Outcome:
    return await start(on_ready)


async def _watch(session: Watched, viewer: Viewer, stopper: _Stopper) -> None:
    while True:
        viewer.show(session, stopper.notice)
        await asyncio.sleep(REFRESH_SECONDS)


async def _serve(page: Page, stopper: _Stopper) -> None:
    try:
        stopper.notice = stopper.notice or f"page {await page.start()}"
        await asyncio.Event().wait()
    finally:
        await page.stop()


@contextlib.contextmanager
def _signals(handler: Callable[[], None]) -> Iterator[None]:
    """Send SIGINT and SIGTERM to ``handler`` while the block runs (main thread only)."""
    loop = asyncio.get_running_loop()
    taken = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
            loop.add_signal_handler(number, handler)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
