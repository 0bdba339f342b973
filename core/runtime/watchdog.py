"""The independent dead man's switch: close the account when the bot falls silent.

A process of its own, with a key of its own. It asks the bot's control socket for its status; a bot
that does not answer is silent, and so is one that answers but handles no event any more. After the
stated silence it tells the bot to halt (a stopped process finds that word when it wakes), cancels
and closes by `core.runtime.flatten`, and keeps trying until the venue says flat. It never acts
while the bot is heard, nor twice for one silence, nor after the bot ended in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from core.api.hyperliquid_api import HyperliquidAPI
from core.api.signing import Signer
from core.model.codes import OperatorAction
from core.model.errors import (
    ClockSkewError,
    CredentialError,
    NotRunningError,
    NovaError,
    PortInUseError,
)
from core.model.events import OpenOrdersReported
from core.model.ports import Clock
from core.model.time import NS_PER_S, utc_text
from core.runtime.control import control_request
from core.runtime.evidence import end_reason
from core.runtime.flatten import Picture
from core.runtime.identity import account_of, check_signer
from core.runtime.live import client_for
from core.runtime.options import LiveOptions
from core.runtime.rescue import RescueReport
from core.runtime.watchdog_state import WatchdogPhase, WatchdogState, read_state, write_state
from core.runtime.wired import CLOCK_SKEW_NS_MAX
from core.utils.clock import SystemClock
from core.utils.credential_manager import AGENT_KEY, WATCHDOG_KEY, CredentialManager
from core.utils.logger import Logger
from core.utils.notification import LogNotifier, Notifier

SILENCE_SECONDS = 30.0
SILENCE_SECONDS_MIN = 2.0
POLLS_PER_SILENCE = 10
POLL_SECONDS_MAX = 2.0
MISSES_MIN = 3
"""Beats that must be missed in a row, however much time a suspended machine thinks has passed."""
ATTEMPT_ROUNDS = 5
BACKOFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Pauses between attempts; the last one repeats until the venue says flat."""
SAVE_SECONDS = 5.0
SWITCH_EVERY_SECONDS = 15.0
SWITCH_AHEAD_SECONDS = 60.0
KEY_EVERY_SECONDS = 6 * 3600.0
LOCK_NAME = "watchdog.lock"
WHO = "nova watchdog"


class Beat(msgspec.Struct, frozen=True):
    """A sign of life: the bot's session and how many events it has handled."""

    session: str
    seq: int
    account: str


class Bot(Protocol):
    """The bot as it is seen from outside."""

    async def listen(self) -> Beat | None:
        """Return a sign of life, ``None`` if none came in time."""
        ...

    async def order(self, action: OperatorAction, reason: str) -> None:
        """Leave a command where the bot finds it; never raises."""
        ...

    def end_reason(self, session: str) -> str | None:
        """Return why a session ended in order, ``None`` if it did not."""
        ...


class Guarded(Protocol):
    """What the watchdog itself asks of the venue."""

    async def fetch_open_orders(self) -> OpenOrdersReported:
        """Read open orders."""
        ...

    async def schedule_cancel(self, time_ns: int | None) -> str:
        """Set or clear the venue's own switch; return its no."""
        ...


class Closer(Protocol):
    """What closes the account; `core.runtime.rescue.Rescuer` is one."""

    async def close(
        self,
        reason: str,
        *,
        closes_positions: bool = True,
        rounds_max: int = ATTEMPT_ROUNDS,
        on_round: Callable[[int, Picture], None] = lambda number, picture: None,
    ) -> RescueReport:
        """Cancel and close, and say what the venue holds afterwards."""
        ...


class SocketBot:
    """The bot that listens in a state directory."""

    def __init__(self, state_dir: Path, *, answer_seconds: float) -> None:
        self._state_dir, self._answer_seconds = state_dir, answer_seconds

    async def listen(self) -> Beat | None:
        """Ask for the status; what cannot be read is no sign of life."""
        try:
            status = await asyncio.wait_for(
                control_request(self._state_dir, "status"), self._answer_seconds
            )
            return msgspec.convert(status, Beat)
        except (TimeoutError, NotRunningError, ValueError, OSError, msgspec.MsgspecError):
            return None

    async def order(self, action: OperatorAction, reason: str) -> None:
        """Write a command into the socket: a stopped process reads it when it wakes."""
        request = control_request(
            self._state_dir, "operate", action=action.value, who=WHO, reason=reason
        )
        with contextlib.suppress(TimeoutError, NotRunningError, ValueError, OSError):
            await asyncio.wait_for(request, self._answer_seconds)

    def end_reason(self, session: str) -> str | None:
        """Ask the session's journal."""
        return end_reason(self._state_dir / session / "journal.sqlite") if session else None


class Watchdog:
    """Watch one bot for one account.

    Parameters
    ----------
    silence_seconds : float
        Silence after which the account is closed.
    poll_seconds : float
        Pause between two questions.
    has_venue_switch : bool
        Keep the venue's scheduleCancel moving ahead as well, while no stop stands at the venue: it
        would cancel those too.
    monotonic_ns : callable
        Stopwatch of silence; a wall clock that is set must not shorten it.
    """

    def __init__(
        self,
        api: Guarded,
        bot: Bot,
        closer: Closer,
        clock: Clock,
        state_dir: Path,
        *,
        account: str,
        mode: str,
        silence_seconds: float = SILENCE_SECONDS,
        poll_seconds: float | None = None,
        has_venue_switch: bool = False,
        check_key: Callable[[], Awaitable[None]] | None = None,
        notifier: Notifier | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._api, self._bot, self._closer, self._clock = api, bot, closer, clock
        self._state_dir = state_dir
        self._silence_ns = round(silence_seconds * NS_PER_S)
        self._poll_seconds = (
            poll_seconds_of(silence_seconds) if poll_seconds is None else poll_seconds
        )
        self._has_venue_switch = has_venue_switch
        self._check_key = check_key
        self._notifier = notifier or LogNotifier(Logger("watchdog"))
        self._monotonic_ns = monotonic_ns
        self._heard_ns = self._switch_ns = self._key_ns = monotonic_ns()
        self._switch_ns -= round(SWITCH_EVERY_SECONDS * NS_PER_S)
        self._misses = 0
        self._is_switch_set = False
        self.state = self._first_state(account, mode, silence_seconds)

    def _first_state(self, account: str, mode: str, silence_seconds: float) -> WatchdogState:
        """Go on where a former watchdog of the same account was stopped."""
        state = WatchdogState(
            pid=os.getpid(),
            mode=mode,
            account=account,
            phase=WatchdogPhase.WAITING,
            silence_seconds=silence_seconds,
            updated_ns=self._clock.now_ns(),
        )
        before = read_state(self._state_dir)
        if before is None or before.account != account:
            return state
        return msgspec.structs.replace(
            state,
            phase=before.phase,
            session=before.session,
            seq=before.seq,
            beat_ns=before.beat_ns,
            incident=before.incident,
        )

    async def run(self) -> None:
        """Watch until cancelled."""
        keeper = asyncio.create_task(self._keep_fresh())
        try:
            while True:
                await self.look()
                await self._clock.sleep(self._poll_seconds)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await self._clear_switch("off: the watchdog ended")
            self._write(msgspec.structs.replace(self.state, updated_ns=0))

    async def look(self) -> None:
        """Listen once, and do what follows from it."""
        beat = await self._bot.listen()
        if beat is not None and beat.account != self.state.account:
            if self.state.phase is not WatchdogPhase.ACTING:
                detail = f"the bot here trades {beat.account}, not this account"
                self._be(WatchdogPhase.WAITING, session="", seq=0, detail=detail)
        elif self._is_news(beat):
            assert beat is not None
            self._hear(beat)
        else:
            await self._miss()
        await self._move_switch()
        await self._look_at_key()

    # --- beats ----------------------------------------------------------------------------------

    def _is_news(self, beat: Beat | None) -> bool:
        """Tell a bot that works from one that only answers."""
        if beat is None or beat.account != self.state.account:
            return False
        return (beat.session, beat.seq) != (self.state.session, self.state.seq)

    def _hear(self, beat: Beat) -> None:
        self._heard_ns, self._misses = self._monotonic_ns(), 0
        is_new = self.state.phase is not WatchdogPhase.ARMED or beat.session != self.state.session
        self.state = msgspec.structs.replace(
            self.state,
            phase=WatchdogPhase.ARMED,
            session=beat.session,
            seq=beat.seq,
            beat_ns=self._clock.now_ns(),
            detail="",
        )
        if is_new:
            self._notifier.notify("info", "watchdog_armed", f"session {beat.session} is heard")
            self._save()

    async def _miss(self) -> None:
        if self.state.phase not in (
            WatchdogPhase.ARMED,
            WatchdogPhase.SILENT,
            WatchdogPhase.ACTING,
        ):
            return
        self._misses += 1
        reason = self._bot.end_reason(self.state.session)
        if reason is not None:
            self._be(WatchdogPhase.ENDED, detail=f"the bot ended in order: {reason}")
            self._notifier.notify("info", "watchdog_rests", self.state.detail)
            await self._clear_switch("off: the bot ended in order")
            return
        silent_ns = self._monotonic_ns() - self._heard_ns
        if silent_ns >= self._silence_ns and self._misses >= MISSES_MIN:
            await self._act(silent_ns / NS_PER_S)
        elif self.state.phase is not WatchdogPhase.SILENT:
            self._be(WatchdogPhase.SILENT, detail="beats are missing")

    # --- the deed -------------------------------------------------------------------------------

    async def _act(self, silent_seconds: float) -> None:
        """Close the account, once for this silence, until it is flat or the bot is back."""
        if await self._is_back():
            return
        stamp = utc_text(self._clock.now_ns())
        reason = (
            f"watchdog: session {self.state.session} silent for {silent_seconds:.0f} s at {stamp}"
        )
        self._be(WatchdogPhase.ACTING, detail=reason)
        self._notifier.notify("error", "watchdog_acts", reason)
        await self._bot.order(OperatorAction.HALT, reason)
        attempt = 0
        while not await self._attempt(reason):
            pause = BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS) - 1)]
            attempt += 1
            await self._clock.sleep(pause)
            if await self._is_back():
                await self._bot.order(OperatorAction.FLATTEN, reason)
                text = "the bot is back before the account was flat; it was told to flatten"
                self._notifier.notify("error", "watchdog_hands_over", text)
                return
        self._misses = 0

    async def _is_back(self) -> bool:
        beat = await self._bot.listen()
        if not self._is_news(beat):
            return False
        assert beat is not None
        self._hear(beat)
        return True

    async def _attempt(self, reason: str) -> bool:
        """Try once; whatever goes wrong is told, and tried again."""
        try:
            report = await self._closer.close(reason, rounds_max=ATTEMPT_ROUNDS)
        except NovaError as error:
            self._be(WatchdogPhase.ACTING, detail=f"{reason}; not yet: {error}")
            return False
        after = report.flatten.after
        if not report.is_done:
            left = f"{len(after.orders)} orders and {len(after.positions)} positions left"
            self._be(WatchdogPhase.ACTING, detail=f"{reason}; {left}", incident=report.incident)
            return False
        text = f"{reason}; the venue says flat"
        self._be(WatchdogPhase.DONE, detail=text, incident=report.incident)
        self._notifier.notify("error", "watchdog_done", f"{text}; see {report.incident}")
        return True

    # --- the venue's own switch -----------------------------------------------------------------

    def _is_due(self, last_ns: int, seconds: float) -> bool:
        return self._monotonic_ns() - last_ns >= seconds * NS_PER_S

    async def _move_switch(self) -> None:
        """Keep the venue's switch ahead of now, while that strips no stop."""
        if not self._has_venue_switch or self.state.phase is not WatchdogPhase.ARMED:
            return
        if not self._is_due(self._switch_ns, SWITCH_EVERY_SECONDS):
            return
        self._switch_ns = self._monotonic_ns()
        try:
            orders = (await self._api.fetch_open_orders()).orders
            if any(order.trigger_px for order in orders):
                await self._clear_switch("off: stops stand at the venue and would be cancelled too")
                return
            ahead_ns = round((self.state.silence_seconds + SWITCH_AHEAD_SECONDS) * NS_PER_S)
            until_ns = self._clock.now_ns() + ahead_ns
            refusal = await self._api.schedule_cancel(until_ns)
        except NovaError as error:
            self._set_switch_text(f"unknown: {error}")
            return
        self._is_switch_set = not refusal
        self._set_switch_text(
            f"refused: {refusal}" if refusal else f"on, cancels all orders at {utc_text(until_ns)}"
        )

    async def _clear_switch(self, text: str) -> None:
        if self._is_switch_set:
            try:
                await self._api.schedule_cancel(None)
            except NovaError as error:
                text = f"unknown: {error}"
            self._is_switch_set = False
        if self._has_venue_switch:
            self._set_switch_text(text)

    def _set_switch_text(self, text: str) -> None:
        if text != self.state.venue_switch:
            self.state = msgspec.structs.replace(self.state, venue_switch=text)
            self._save()

    async def _look_at_key(self) -> None:
        """Find out in time that the key's approval has ended."""
        if self._check_key is None or not self._is_due(self._key_ns, KEY_EVERY_SECONDS):
            return
        self._key_ns = self._monotonic_ns()
        try:
            await self._check_key()
        except CredentialError as error:
            self._notifier.notify("error", "watchdog_key", str(error))
        except NovaError as error:
            self._notifier.notify("warning", "watchdog_key", str(error))

    # --- the file -------------------------------------------------------------------------------

    def _be(self, phase: WatchdogPhase, **changes: str | int) -> None:
        before = self.state
        self.state = msgspec.structs.replace(before, phase=phase, **changes)
        if self.state != before:
            self._save()

    def _save(self) -> None:
        """Write the state down; a full disk must not stop the watch."""
        self.state = msgspec.structs.replace(self.state, updated_ns=self._clock.now_ns())
        self._write(self.state)

    def _write(self, state: WatchdogState) -> None:
        try:
            write_state(self._state_dir, state)
        except OSError as error:
            self._notifier.notify("error", "watchdog_state_not_written", str(error))

    async def _keep_fresh(self) -> None:
        while True:
            self._save()
            await self._clock.sleep(SAVE_SECONDS)


def poll_seconds_of(silence_seconds: float) -> float:
    """Return how often to listen so that a silence is many missed beats."""
    return min(POLL_SECONDS_MAX, silence_seconds / POLLS_PER_SILENCE)


@contextmanager
def sole_watchdog(state_dir: Path) -> Iterator[None]:
    """Make sure that no other watchdog watches this state directory.

    Raises
    ------
    PortInUseError
        If one does.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state_dir / LOCK_NAME).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PortInUseError(
                f"state directory {state_dir} should have no watchdog, another one watches it; "
                "one is enough"
            ) from None
        yield


@asynccontextmanager
async def watchdog_client(
    options: LiveOptions, credentials: CredentialManager, clock: Clock | None = None
) -> AsyncIterator[tuple[HyperliquidAPI, Callable[[], Awaitable[None]]]]:
    """Connect with the watchdog's own key, and make sure that it could act.

    Yields
    ------
    api : HyperliquidAPI
    check_key : callable
        Asks the venue again whether the key may act.

    Raises
    ------
    CredentialError
        If the key is missing, is the bot's, or may not act for the account.
    ClockSkewError, VenueError
        If closing orders would be dead on arrival, or nobody answers.
    """
    clock = clock or SystemClock()
    signer = Signer(credentials.private_key(WATCHDOG_KEY).reveal())
    _refuse_shared_key(signer, credentials)
    master = account_of(options, credentials)
    api = client_for(options, credentials=credentials, clock=clock, key_name=WATCHDOG_KEY)
    assert api.account is not None, "invariant: a client is made for an account"
    traded = api.account

    async def check_key() -> None:
        await check_signer(api, signer.address, master, traded)

    await api.connect()
    try:
        skew_ns = abs(await api.fetch_server_time_ns() - clock.now_ns())
        if skew_ns > CLOCK_SKEW_NS_MAX:
            raise ClockSkewError(
                f"this machine's clock should be within {CLOCK_SKEW_NS_MAX // NS_PER_S} s of the "
                f"venue's, was {skew_ns / NS_PER_S:.0f} s off; set it by NTP and start again"
            )
        await check_key()
        yield api, check_key
    finally:
        await api.close()


def _refuse_shared_key(signer: Signer, credentials: CredentialManager) -> None:
    """Two programs that sign with one key take each other's nonces."""
    try:
        bot = Signer(credentials.private_key(AGENT_KEY).reveal())
    except CredentialError:
        return  # the bot runs elsewhere
    if bot.address == signer.address:
        raise CredentialError(
            f"{WATCHDOG_KEY} should be a key of its own, was the bot's {AGENT_KEY}; approve a "
            "second agent (API wallet) for the account and use its key"
        )
