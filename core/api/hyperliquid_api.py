"""The client of the venue that the whole system uses: reads as reports, commands as events.

`HyperliquidAPI` speaks to one venue for one account. Its reads return the events of
`core.model.events` or raise `VenueError`; `execute` takes commands and never raises for trouble at
the venue: whatever happens comes back as events. It holds no opinion on what to trade, and it never
sends a builder code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp

from core.api import reports
from core.api.actions import ApproveAgentAction, ScheduleCancelAction
from core.api.answers import (
    ExchangeAnswer,
    Refused,
    Unanswered,
    events_of_group,
    refused_event,
)
from core.api.codec import Codec
from core.api.command_actions import ActionGroup, plan
from core.api.limits import (
    AGENT_NAME_LENGTH_MAX,
    FILLS_KEPT,
    FILLS_PER_PAGE,
    ROWS_PER_PAGE,
    URL_MAINNET,
    URL_TESTNET,
)
from core.api.manual_orders import market_order, market_summary, order_from_words
from core.api.nonces import NonceSource
from core.api.rate_limiter import AddressBudget, Lane, RateLimiter
from core.api.rest_client import RATE_LIMITED_SECONDS, ActionExpiredError, RestClient
from core.api.signing import SIGNATURE_CHAIN_ID, Signer, chain_name
from core.api.venue_words import rejection_code
from core.model.account import OrderReport, PositionReport
from core.model.codes import RejectionCode, Tif
from core.model.commands import (
    CancelOrder,
    Command,
    LookUpOrder,
    ModifyOrder,
    PlaceOrder,
    ReportAccount,
)
from core.model.errors import CredentialError, NovaError, VenueError
from core.model.events import (
    AccountReported,
    BookChanged,
    CandlesLoaded,
    DataQuarantined,
    Event,
    FundingPaid,
    LedgerMoved,
    OpenOrdersReported,
    OrderFilled,
    OrderMissing,
    OrderUpdated,
    RateBudgetReported,
    VenueUnavailable,
)
from core.model.ids import is_address
from core.model.instrument import Instrument
from core.model.ports import Clock
from core.model.time import NS_PER_MS, NS_PER_S, interval_ns, ms_from_ns
from core.utils.clock import SystemClock

ACTION_TTL_NS = 30 * NS_PER_S
_FILL_PAGES_MAX = FILLS_KEPT // FILLS_PER_PAGE + 1
_FUNDING_PAGES_MAX = 50


class HyperliquidAPI:
    """One venue, one account, at most one signing key.

    Parameters
    ----------
    base_url : str
        Testnet unless told otherwise.
    signer : Signer, optional
        Signs actions: the account's own key or, better, an approved agent's.
    account : str, optional
        Address of the account that is read and traded: master, sub-account or vault, never an
        agent. Default: the vault address, or else the signer's own.
    clock : Clock, optional
        Time of nonces, expiries and pauses; the world's by default.
    is_mainnet : bool, optional
        Which network signatures are for. Default: whether ``base_url`` is the mainnet address.
    limiter : RateLimiter, optional
        Shared by several clients on one IP address.
    vault_address : str, optional
        Sub-account or vault that a master's key acts for; it is then the account as well.
    requests_per_minute_max : int
        Own cap on requests, 0 for none.
    session : aiohttp.ClientSession, optional
        Connection pool to use; by default one is opened and closed with the client.
    """

    def __init__(
        self,
        base_url: str = URL_TESTNET,
        *,
        signer: Signer | None = None,
        account: str | None = None,
        clock: Clock | None = None,
        is_mainnet: bool | None = None,
        limiter: RateLimiter | None = None,
        vault_address: str | None = None,
        requests_per_minute_max: int = 0,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.clock: Clock = clock or SystemClock()
        self.vault_address = _address(vault_address, "vault address")
        self.account = (
            _address(account, "account")
            or self.vault_address
            or (signer.address if signer else None)
        )
        if self.vault_address not in (None, self.account):
            raise CredentialError(
                f"account should be the vault or sub-account traded for, {self.vault_address}, "
                f"was {self.account}; orders would act on one and reads look at the other"
            )
        self.is_mainnet = self.base_url == URL_MAINNET if is_mainnet is None else is_mainnet
        self.limiter = limiter or RateLimiter(
            self.clock, requests_per_minute_max=requests_per_minute_max
        )
        self.address_budget = AddressBudget()
        self._signer = signer
        self._nonces = NonceSource(self.clock)
        self._codec = Codec(account=self.account)
        self._rest = RestClient(
            self.base_url, self.clock, self.limiter, session, is_mainnet=self.is_mainnet
        )

    def __repr__(self) -> str:
        return f"HyperliquidAPI({self.base_url!r}, account={self.account!r})"

    @property
    def codec(self) -> Codec:
        """What turns the venue's bytes into events; knows the instruments fetched so far."""
        return self._codec

    async def connect(self) -> None:
        """Open the connection pool; harmless if it is open."""
        await self._rest.connect()

    async def close(self) -> None:
        """Close the connection pool; harmless twice."""
        await self._rest.close()

    # --- reads ----------------------------------------------------------------------------------

    async def fetch_instruments(self) -> tuple[tuple[Instrument, ...], list[DataQuarantined]]:
        """Read the perpetuals' metadata; rows that cannot be used come second."""
        instruments, quarantined = reports.instruments_from_meta(await self._rest.info("meta"))
        self._codec.learn(instruments)
        return instruments, quarantined

    async def fetch_candles(
        self, coin: str, interval: str, start_ns: int, end_ns: int
    ) -> CandlesLoaded:
        """Read candles that overlap a time range, oldest first; the venue keeps 5000.

        Parameters
        ----------
        interval : str
            Such as ``1m`` or ``4h``.
        """
        await self._instrument(coin)
        request = {
            "coin": coin,
            "interval": interval,
            "startTime": ms_from_ns(start_ns),
            "endTime": ms_from_ns(end_ns),
        }
        raw = await self._rest.info("candleSnapshot", req=request)
        loaded = reports.candles_from_rows(
            raw, self._codec, coin=coin, interval_ns=interval_ns(interval)
        )
        self._rest.charge_rows("candleSnapshot", len(loaded.candles))
        return loaded

    async def fetch_book(self, coin: str) -> BookChanged:
        """Read a coin's book, at most 20 levels a side."""
        raw = await self._rest.info("l2Book", coin=coin)
        events = self._codec.decode_frame(b'{"channel":"l2Book","data":' + raw + b"}")
        book = next((event for event in events if isinstance(event, BookChanged)), None)
        if book is None:
            raise VenueError(f"book of {coin} should be readable, was {raw[:120]!r}")
        return book

    async def fetch_account(self) -> AccountReported:
        """Read balances and positions."""
        await self._know_instruments()
        raw = await self._rest.info("clearinghouseState", user=self._user())
        return reports.account_from_state(raw, self._codec)

    async def fetch_open_orders(self) -> OpenOrdersReported:
        """Read all open orders, waiting triggers included."""
        await self._know_instruments()
        raw = await self._rest.info("frontendOpenOrders", user=self._user())
        return reports.open_orders_from_rows(raw, self._codec)

    async def fetch_fills(self, since_ns: int) -> list[OrderFilled]:
        """Read fills from ``since_ns`` on, oldest first, each once; the venue keeps 10 000."""
        await self._know_instruments()
        fills: dict[tuple[str, int, int], OrderFilled] = {}
        start_ms = ms_from_ns(since_ns)
        for _ in range(_FILL_PAGES_MAX):
            raw = await self._rest.info("userFillsByTime", user=self._user(), startTime=start_ms)
            page, row_count, last_ms = reports.fills_from_rows(raw, self._codec)
            self._rest.charge_rows("userFillsByTime", row_count)
            for event in page:
                fill = event.fill
                fills.setdefault((fill.coin, fill.tid, fill.ts_exch_ns), event)
            if row_count < FILLS_PER_PAGE:
                break
            start_ms = max(last_ms, start_ms + 1)
        return sorted(fills.values(), key=lambda event: event.ts_exch_ns)

    async def fetch_funding(self, since_ns: int) -> list[FundingPaid]:
        """Read funding payments from ``since_ns`` on, oldest first, each once."""
        await self._know_instruments()
        payments: dict[tuple[str, int], FundingPaid] = {}
        start_ms = ms_from_ns(since_ns)
        for _ in range(_FUNDING_PAGES_MAX):
            raw = await self._rest.info("userFunding", user=self._user(), startTime=start_ms)
            page, row_count, last_ms = reports.funding_from_rows(raw, self._codec)
            self._rest.charge_rows("userFunding", row_count)
            for event in page:
                payments.setdefault((event.coin, event.ts_exch_ns), event)
            if row_count < ROWS_PER_PAGE:
                break
            start_ms = max(last_ms, start_ms + 1)
        return sorted(payments.values(), key=lambda event: event.ts_exch_ns)

    async def fetch_ledger(self, since_ns: int) -> list[LedgerMoved]:
        """Read deposits, withdrawals and transfers from ``since_ns`` on, oldest first."""
        moves: dict[tuple[str, str, int, int], LedgerMoved] = {}
        start_ms = ms_from_ns(since_ns)
        kind = "userNonFundingLedgerUpdates"
        for _ in range(_FUNDING_PAGES_MAX):
            raw = await self._rest.info(kind, user=self._user(), startTime=start_ms)
            page, row_count, last_ms = reports.ledger_from_rows(raw, self._codec)
            for event in page:
                key = (event.kind, event.hash, event.ts_exch_ns, event.amount_micro)
                moves.setdefault(key, event)
            if row_count < ROWS_PER_PAGE:
                break
            start_ms = max(last_ms, start_ms + 1)
        return sorted(moves.values(), key=lambda event: event.ts_exch_ns)

    async def look_up_order(
        self, cloid: str, coin: str, *, lane: Lane = Lane.READ
    ) -> OrderUpdated | OrderMissing:
        """Ask what became of an order; `OrderMissing` if the venue does not know it."""
        await self._instrument(coin)
        raw = await self._rest.info("orderStatus", lane=lane, user=self._user(), oid=cloid)
        return reports.order_from_look_up(raw, self._codec, cloid=cloid, coin=coin)

    async def fetch_rate_budget(self) -> RateBudgetReported:
        """Read the address's request budget and add this machine's own count."""
        raw = await self._rest.info("userRateLimit", user=self._user())
        budget = reports.rate_budget_from_answer(
            raw,
            ip_weight_used=self.limiter.ip_weight_used,
            ip_weight_cap=self.limiter.ip_weight_cap,
        )
        self.address_budget.learn(used=budget.requests_used, cap=budget.requests_cap)
        return budget

    async def fetch_role(self, address: str) -> dict[str, Any]:
        """Ask what an address is: ``user``, ``agent``, ``vault``, ``subAccount`` or ``missing``."""
        raw = await self._rest.info("userRole", user=address.lower())
        return reports.read(raw, dict[str, Any], "userRole")

    async def fetch_abstraction(self, address: str) -> str:
        """Ask for an account's mode: ``disabled`` (standard), ``default``, ``unifiedAccount`` …"""
        raw = await self._rest.info("userAbstraction", user=address.lower())
        return reports.read(raw, str, "userAbstraction")

    async def ask(self, kind: str, **fields: str) -> bytes:
        """Return the raw answer to an info query that this class has no word for."""
        return await self._rest.info(kind, lane=Lane.READ, **fields)

    async def fetch_server_time_ns(self) -> int:
        """Read the venue's clock."""
        raw = await self._rest.info("exchangeStatus")
        answer = reports.read(raw, dict[str, Any], "exchangeStatus")
        time_ms = answer.get("time")
        if not isinstance(time_ms, int):
            raise VenueError(f"venue status should carry its time in ms, was {answer!r}")
        return time_ms * NS_PER_MS

    # --- commands -------------------------------------------------------------------------------

    async def execute(self, commands: Sequence[Command], *, ttl_ns: int) -> list[Event]:
        """Carry out commands in as few requests as is correct and return what the venue said.

        Cancels and reduce-only orders leave first; reads come last. An action is sent once: if no
        answer comes, its commands yield `OrderUnanswered`.

        Parameters
        ----------
        ttl_ns : int
            The venue must not execute an order later than this after the call, whatever the order
            had to wait for; one that cannot leave in time is refused here. Cancels do not expire:
            a late one still does what was wanted.

        Raises
        ------
        CredentialError
            If there is no signer, or no account to read.
        """
        until_ns = self.clock.now_ns() + ttl_ns
        actions, events = self._sendable(commands)
        for stage in plan(actions, self._codec.instruments_by_coin) if actions else []:
            results = await asyncio.gather(*(self._send(group, until_ns) for group in stage))
            for result in results:
                events += result
        for command in commands:
            if isinstance(command, LookUpOrder | ReportAccount):
                events += await self._read(command)
        return events

    async def approve_agent(self, master_signer: Signer, agent_address: str, name: str) -> None:
        """Let an agent key act for the master's account.

        Raises
        ------
        CredentialError
            If the venue refuses, or the name is too long.
        VenueError
            If no answer came; approving again is safe.
        """
        if len(name.split(" valid_until ")[0]) > AGENT_NAME_LENGTH_MAX:
            raise CredentialError(
                f"agent name should have at most {AGENT_NAME_LENGTH_MAX} characters, was {name!r}"
            )
        nonce = self._nonces.next()
        action = ApproveAgentAction(
            signature_chain_id=SIGNATURE_CHAIN_ID,
            hyperliquid_chain=chain_name(self.is_mainnet),
            agent_address=agent_address.lower(),
            agent_name=name or None,
            nonce=nonce,
        )
        answer = await self._rest.exchange_user_signed(action, master_signer, nonce)
        if isinstance(answer, Refused):
            raise CredentialError(f"agent {agent_address} should be approved, was: {answer.text}")
        if isinstance(answer, Unanswered):
            raise VenueError(f"approval of agent {agent_address} was not answered: {answer.reason}")

    async def schedule_cancel(self, time_ns: int | None) -> str:
        """Have the venue cancel all open orders at a time, stops too, or never (``None``).

        Returns
        -------
        str
            The venue's no, such as too little traded volume (1 000 000 USDC); empty if it agreed.

        Raises
        ------
        CredentialError
            If there is no signer.
        VenueError
            If no answer came; asking again is safe.

        Notes
        -----
        Source: venue documentation, exchange endpoint (schedule cancel): at least 5 s ahead, and
        at most 10 cancellations a day; moving the time does not count.
        """
        action = ScheduleCancelAction(time=None if time_ns is None else ms_from_ns(time_ns))
        answer = await self._rest.exchange(
            action,
            self._key(),
            self._nonces,
            vault_address=self.vault_address,
            lane=Lane.CANCEL,
        )
        if isinstance(answer, Unanswered):
            raise VenueError(f"scheduleCancel should be answered, was not: {answer.reason}")
        return answer.text if isinstance(answer, Refused) else ""

    # --- the short names ------------------------------------------------------------------------

    async def get_market_data(self, coin: str) -> dict[str, Any]:
        """Read a coin's market as plain numbers, in USDC and coins.

        Keys: ``coin price bid ask bid_size ask_size mark_price oracle_price funding_rate_1h
        open_interest time_ns``. ``price`` is the mid; a missing side makes it ``nan``.
        """
        instrument = await self._instrument(coin)
        book, context = await asyncio.gather(
            self.fetch_book(coin), self._rest.info("metaAndAssetCtxs")
        )
        return market_summary(instrument, book, context)

    async def place_order(
        self,
        order: PlaceOrder | None = None,
        *,
        coin: str = "",
        is_buy: bool = True,
        size: float = 0.0,
        price: float | None = None,
        tif: Tif = Tif.GTC,
        reduce_only: bool = False,
        slippage: float = 0.005,
        ttl_ns: int = ACTION_TTL_NS,
    ) -> list[Event]:
        """Place one order, given whole or in words, and return what the venue said.

        Parameters
        ----------
        order : PlaceOrder, optional
            If given, the other words are ignored.
        size : float
            Coins, rounded down to whole lots.
        price : float, optional
            Limit in USDC; without it the order takes what rests within ``slippage`` of the touch.

        Raises
        ------
        GridError
            If size or price do not make a valid order.
        """
        if order is None:
            instrument = await self._instrument(coin)
            seq = self._nonces.next()
            account = self.account or ""
            if price is None:
                book = await self.fetch_book(coin)
                order = market_order(
                    instrument,
                    book,
                    account=account,
                    seq=seq,
                    is_buy=is_buy,
                    size=size,
                    reduce_only=reduce_only,
                    slippage=slippage,
                )
            else:
                order = order_from_words(
                    instrument,
                    account=account,
                    seq=seq,
                    is_buy=is_buy,
                    size=size,
                    price=price,
                    tif=tif,
                    reduce_only=reduce_only,
                )
        else:
            await self._instrument(order.coin)
        return await self.execute((order,), ttl_ns=ttl_ns)

    async def cancel_order(
        self,
        order: CancelOrder | None = None,
        *,
        coin: str = "",
        oid: int = 0,
        cloid: str = "",
        ttl_ns: int = ACTION_TTL_NS,
    ) -> list[Event]:
        """Cancel one order, given whole or by coin and either id; return what the venue said."""
        if order is None:
            instrument = await self._instrument(coin)
            order = CancelOrder(cloid, oid, coin, instrument.asset)
        else:
            await self._instrument(order.coin)
        return await self.execute((order,), ttl_ns=ttl_ns)

    async def get_open_orders(self) -> tuple[OrderReport, ...]:
        """Read all open orders."""
        return (await self.fetch_open_orders()).orders

    async def get_positions(self) -> tuple[PositionReport, ...]:
        """Read all open positions."""
        return (await self.fetch_account()).positions

    # --- inside ---------------------------------------------------------------------------------

    def _sendable(self, commands: Sequence[Command]) -> tuple[list[Command], list[Event]]:
        """Separate actions that can be written from those whose coin is not known."""
        sendable: list[Command] = []
        events: list[Event] = []
        for command in commands:
            if isinstance(command, LookUpOrder | ReportAccount):
                continue
            coin = command.order.coin if isinstance(command, ModifyOrder) else command.coin
            if self._codec.instrument(coin) is None:
                text = f"not sent: {coin!r} is no perpetual this client knows"
                events.append(refused_event(command, text, code=RejectionCode.ASSET_UNKNOWN))
            else:
                sendable.append(command)
        return sendable, events

    async def _send(self, group: ActionGroup, until_ns: int) -> list[Event]:
        signer, count = self._key(), len(group.commands)
        try:
            answer = await self._rest.exchange(
                group.action,
                signer,
                self._nonces,
                vault_address=self.vault_address,
                expires_after=None if group.lane is Lane.CANCEL else ms_from_ns(until_ns),
                lane=group.lane,
                item_count=count,
            )
        except CredentialError as error:
            return _unsent(group, str(error), RejectionCode.SIGNER_UNKNOWN)
        except ActionExpiredError as error:
            return _unsent(group, f"not sent: {error}", RejectionCode.ACTION_EXPIRED)
        except VenueError as error:
            return _unsent(group, f"not sent: {error}", RejectionCode.RATE_LIMITED)
        self.address_budget.note(count)
        events = events_of_group(group.commands, answer, self._codec.instruments_by_coin)
        return [*events, *self._trouble(answer)]

    def _trouble(self, answer: ExchangeAnswer) -> list[Event]:
        """Say that the venue is not serving us, where the answer shows it."""
        if isinstance(answer, Unanswered):
            reason = answer.reason
        elif (
            isinstance(answer, Refused)
            and rejection_code(answer.text) is RejectionCode.RATE_LIMITED
        ):
            reason = answer.text
        else:
            return []
        until_ns = self.clock.now_ns() + int(RATE_LIMITED_SECONDS * NS_PER_S)
        return [VenueUnavailable(reason=reason, until_ns=until_ns)]

    async def _read(self, command: LookUpOrder | ReportAccount) -> list[Event]:
        try:
            if isinstance(command, LookUpOrder):
                return [await self.look_up_order(command.cloid, command.coin, lane=Lane.ORDER)]
            return [
                *await self.fetch_fills(command.since_ns),
                await self.fetch_open_orders(),
                await self.fetch_account(),
            ]
        except CredentialError:
            raise
        except NovaError as error:
            until_ns = self.clock.now_ns() + int(RATE_LIMITED_SECONDS * NS_PER_S)
            return [VenueUnavailable(reason=str(error), until_ns=until_ns)]

    async def _know_instruments(self) -> None:
        if not self._codec.instruments:
            await self.fetch_instruments()

    async def _instrument(self, coin: str) -> Instrument:
        await self._know_instruments()
        instrument = self._codec.instrument(coin)
        if instrument is None:
            raise VenueError(f"coin should be a listed perpetual, was {coin!r}; names are exact")
        return instrument

    def _key(self) -> Signer:
        if self._signer is None:
            raise CredentialError(
                "orders should be signed by a key, none is configured; give the client a signer"
            )
        return self._signer

    def _user(self) -> str:
        if self.account is None:
            raise CredentialError(
                "reads of an account should name it, none is configured; give the client an account"
            )
        return self.account


def _unsent(group: ActionGroup, text: str, code: RejectionCode) -> list[Event]:
    return [refused_event(command, text, code=code) for command in group.commands]


def _address(text: str | None, what: str) -> str | None:
    if text is None:
        return None
    lowered = text.lower()
    if not is_address(lowered):
        raise CredentialError(f"{what} should be 0x and 40 hex digits, was {text!r}")
    return lowered
