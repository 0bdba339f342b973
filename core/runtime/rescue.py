"""Close an account for a reason, and leave behind what a person needs afterwards.

Around `core.runtime.flatten`: the incident file with what was done and the last events of the bot,
the alert, and the word on what was left alone. Called again for the same reason it goes on with the
same incident. It decides nothing about when.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from core.api.account_reads import SpotHolding, spot_holdings
from core.model.errors import NovaError, VenueError
from core.model.ports import Clock
from core.runtime.evidence import last_events, newest_journal
from core.runtime.flatten import ROUNDS_MAX, FlattenReport, FlattenVenue, Picture, flatten
from core.utils.emergency_handler import EmergencyHandler
from core.utils.notification import Notifier

ACTION = "close the account"
ACTION_SECONDS_MAX = 300.0
"""More than `ROUNDS_MAX` rounds take on a venue that answers slowly."""


class RescueVenue(FlattenVenue, Protocol):
    """A venue that can also tell what lies in spot."""

    async def ask(self, kind: str, **fields: str) -> bytes:
        """Return the raw answer to one info query."""
        ...


class RescueReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, what was not touched, and where it is written down.

    ``spot`` is ``None`` where the venue did not tell. ``incident`` is empty if nothing was done,
    or if the disk took no file.
    """

    flatten: FlattenReport
    is_done: bool
    spot: tuple[SpotHolding, ...] | None
    incident: str


class NotFlatError(NovaError):
    """The venue still holds something after all rounds."""


class Rescuer:
    """Close one account, as often as it takes.

    Parameters
    ----------
    api : RescueVenue
        Connected client with a key.
    state_dir : Path
        Where the incident file goes, and where the bot's journals lie.
    notifier : Notifier, optional
        Told once per incident and whenever its outcome changes; the log by default.
    """

    def __init__(
        self,
        api: RescueVenue,
        clock: Clock,
        state_dir: Path,
        *,
        notifier: Notifier | None = None,
    ) -> None:
        self._api, self._clock, self._state_dir = api, clock, state_dir
        self._handler = EmergencyHandler(
            state_dir, clock=clock, notifier=notifier, action_seconds_max=ACTION_SECONDS_MAX
        )

    async def close(
        self,
        reason: str,
        *,
        closes_positions: bool = True,
        rounds_max: int = ROUNDS_MAX,
        on_round: Callable[[int, Picture], None] = lambda number, picture: None,
    ) -> RescueReport:
        """Cancel and close until the venue says that nothing is left, or the rounds are used up.

        Parameters
        ----------
        reason : str
            Names the incident; a new word begins a new one.
        closes_positions : bool
            False leaves positions and their stops.

        Raises
        ------
        VenueError
            If the venue answered not even the first question; the incident is written.
        """
        reports: list[FlattenReport] = []
        failures: list[NovaError] = []

        async def act() -> str:
            try:
                report = await flatten(
                    self._api,
                    self._clock,
                    closes_positions=closes_positions,
                    on_round=on_round,
                    rounds_max=rounds_max,
                )
            except NovaError as error:
                failures.append(error)
                raise
            reports.append(report)
            if not is_done(report, closes_positions=closes_positions):
                raise NotFlatError(_outcome_text(report))
            return _outcome_text(report)

        incident = await self._handler.handle_emergency_async(
            reason,
            [(ACTION, act)],
            account=self._api.account or "",
            last_events=self._last_events(),
        )
        if failures:
            raise failures[0]
        if not reports:
            raise VenueError(incident.actions[0].detail)
        return RescueReport(
            flatten=reports[0],
            is_done=is_done(reports[0], closes_positions=closes_positions),
            spot=await self._spot(),
            incident=incident.path,
        )

    def _last_events(self) -> str:
        path = newest_journal(self._state_dir)
        return "no journal lies in the state directory" if path is None else last_events(path)

    async def _spot(self) -> tuple[SpotHolding, ...] | None:
        try:
            return await spot_holdings(self._api, self._api.account or "")
        except VenueError:
            return None


def is_done(report: FlattenReport, *, closes_positions: bool) -> bool:
    """Tell whether what was asked for is so at the venue."""
    if closes_positions:
        return report.is_flat
    held = {position.coin for position in report.after.positions}
    return all(order.reduce_only and order.coin in held for order in report.after.orders)


def spot_text(spot: tuple[SpotHolding, ...] | None) -> str:
    """Say what lies in spot and was not touched."""
    if spot is None:
        return "spot balances were not told by the venue; they are not touched"
    if not spot:
        return "no spot balance"
    holdings = ", ".join(f"{holding.total} {holding.coin}" for holding in spot)
    return f"spot balances are not touched: {holdings}"


def _outcome_text(report: FlattenReport) -> str:
    left = f"{len(report.after.orders)} orders and {len(report.after.positions)} positions left"
    problems = "; ".join(report.problems[-3:])
    return (
        f"{report.cancelled_count} orders cancelled, {report.closing_orders_count} closing orders "
        f"in {report.rounds} rounds, {left}" + (f"; {problems}" if problems else "")
    )
