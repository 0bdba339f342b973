"""The engine's state in one place, and the collectors of what one event leads to.

The modules of the path share it: each of them reads all of it and changes its own part. Knows no
rules; `snapshot` and `restore` live here because they must see everything.
"""

from __future__ import annotations

import hashlib

import msgspec

from core.engines.account_state import AccountFacts, AccountState
from core.engines.desk import Desk, wish_text
from core.engines.market_state import CoinSnapshot, MarketState
from core.engines.own_orders import OrderFacts, OwnOrders
from core.engines.risk_management import RiskManagement, RiskState
from core.engines.token_metadata import TokenMetadata
from core.model.account import AttributedFill, EquityPoint
from core.model.codes import Direction, Mode, RefusalCode, TradingState
from core.model.commands import Command
from core.model.instrument import Instrument
from core.model.intents import TargetPosition
from core.model.settings import EngineConfig, TradingParams
from core.model.step import Alert, Decision, Refusal, Step
from core.model.time import interval_ns, ns_from_seconds

SNAPSHOT_VERSION = 2
SEQ_GAP = 1_000_000
"""Intent numbers left out at a restart: more than could have been used and not been written."""
RECENT_FILLS_MAX = 50
_HASH_BYTES = 16


class Hold(msgspec.Struct, frozen=True):
    """What somebody forbids until it is lifted."""

    state: TradingState
    reason: str
    is_flattening: bool


class Facts(msgspec.Struct):
    """State of the engine that belongs to no other module; times in nanoseconds.

    ``hold`` is what the operator's last word forbids (``TradingState.ACTIVE``: nothing), and
    ``is_flattening`` that everything is being closed; ``hold_kept`` is what an orderly end found
    of them and leaves to the next session. ``account_agreed`` and ``orders_agreed`` say whether
    the venue's report since the last link-up and our own state were equal, ``is_reconciled``
    whether both were at some moment of this session. ``moved_micro`` came in or went out and is
    not yet taken into account by the limits. ``foreign_asked`` says when the cancel of a
    foreign order was sent, by the venue's id.
    """

    seq: int = 0
    now_ns: int = 0
    session: str = ""
    mode: Mode = Mode.BACKTEST
    is_started: bool = False
    is_ended: bool = False
    links: dict[str, bool] = {}
    account_agreed: bool = False
    orders_agreed: bool = False
    report_asked_ns: int = 0
    hold: TradingState = TradingState.ACTIVE
    hold_reason: str = ""
    is_flattening: bool = False
    hold_kept: Hold | None = None
    started_ns: int = 0
    is_reconciled: bool = False
    moved_micro: int = 0
    foreign_asked: dict[str, int] = {}
    trading_state: TradingState = TradingState.HALTED
    state_reason: str = "nothing is known yet"
    intent_seq: int = 0
    venue_until_ns: int = 0
    requests_used: int = 0
    requests_cap: int = 0
    ip_weight_used: int = 0
    ip_weight_cap: int = 0
    stopped: dict[str, str] = {}
    refusals: dict[str, int] = {}
    quarantined_count: int = 0
    second: int = -1
    minute: int = -1
    recent_fills: list[AttributedFill] = []
    settings: list[tuple[str, str, str]] = []


class Snapshot(msgspec.Struct):
    """Everything that decides how the engine goes on."""

    version: int
    config_hash: str
    facts: Facts
    desks: dict[str, Desk]
    account: AccountFacts
    orders: OrderFacts
    risk: RiskState
    instruments: list[Instrument]
    market: dict[str, CoinSnapshot]


class Context:
    """State and collectors.

    Parameters
    ----------
    config : EngineConfig
        Effective configuration; the operator's parameter changes come on top of it.
    candle_count : int
        Closed candles that some strategy or the regime needs.
    """

    def __init__(self, config: EngineConfig, *, account: str, candle_count: int) -> None:
        self.config = config
        self.account_address = account
        trading = config.trading
        self.facts = Facts()
        self.market = MarketState(
            trading.coins,
            candle_ns=interval_ns(trading.candle_interval),
            candle_count=candle_count,
        )
        self.account = AccountState()
        self.orders = OwnOrders(
            answer_ns=ns_from_seconds(trading.order_answer_seconds),
            ttl_ns=ns_from_seconds(trading.action_ttl_seconds),
            account=account,
        )
        self.risk = RiskManagement(trading)
        self.tokens = TokenMetadata(trading)
        self.desks = {coin: Desk(coin) for coin in trading.coins}
        self.dirty: dict[str, Desk] = {}
        self._commands: list[Command] = []
        self._refusals: list[Refusal] = []
        self._decisions: dict[str, Decision] = {}
        self._fills: list[AttributedFill] = []
        self._alerts: list[Alert] = []
        self._equity: EquityPoint | None = None
        self._has_output = False
        self._encode = msgspec.msgpack.Encoder().encode
        self._config_hash = _hash(self._encode(config))

    @property
    def trading(self) -> TradingParams:
        """Trading parameters in force."""
        return self.config.trading

    # --- numbers that several modules need --------------------------------------------------

    def value_px(self, coin: str) -> int:
        """Return the price that a coin's position is valued at, 0 while unknown."""
        market = self.market.coins.get(coin)
        return market.value_px if market is not None else 0

    def equity_micro(self) -> int:
        """Return cash plus the value of all positions at mark."""
        return self.account.equity_micro(self.value_px)

    def exposure_gross_micro(self) -> int:
        """Return the sum of absolute notionals at mark."""
        positions = self.account.positions.items()
        return sum(abs(p.lots * self.value_px(coin) or p.cost_micro) for coin, p in positions)

    def in_scope(self, coin: str) -> bool:
        """Tell whether flattening closes a coin's position."""
        desk = self.desks.get(coin)
        is_traded = desk is not None and desk.is_traded
        return is_traded or self.trading.flatten_scope == "account"

    # --- what one event leads to ------------------------------------------------------------

    def command(self, command: Command) -> None:
        """Send a command with this step."""
        self._has_output = True
        self._commands.append(command)

    def alert(self, level: str, name: str, detail: str) -> None:
        """Tell a person something with this step."""
        self._has_output = True
        self._alerts.append(Alert(level, name, detail))

    def fill(self, fill: AttributedFill) -> None:
        """Report a fill with this step, and keep it among the recent ones."""
        self._has_output = True
        self._fills.append(fill)
        recent = self.facts.recent_fills
        recent.append(fill)
        if len(recent) > RECENT_FILLS_MAX:
            del recent[0]

    def refuse(self, desk: Desk, code: RefusalCode, detail: str) -> None:
        """Say no on a desk; reported when the code changes, not at every event."""
        if desk.refusal is code:
            return
        desk.refusal, desk.refusal_text = code, f"{code}: {detail}"
        self._has_output = True
        self._refusals.append(Refusal(code, desk.coin, desk.strategy, detail))
        counts = self.facts.refusals
        counts[code.value] = counts.get(code.value, 0) + 1

    def allow(self, desk: Desk) -> None:
        """Forget the last refusal of a desk: what was refused is possible or no longer wished."""
        desk.refusal, desk.refusal_text = None, ""

    def sample_equity(self) -> None:
        """Add an equity point to this step."""
        if not self.account.facts.is_adopted:
            return
        equity, peak = self.equity_micro(), self.risk.state.peak_micro
        self._has_output = True
        self._equity = EquityPoint(
            self.facts.now_ns,
            equity,
            self.account.balance_micro(),
            self.exposure_gross_micro(),
            max(0.0, 1.0 - equity / peak) if peak > 0 else 0.0,
        )

    def touch(self, desk: Desk) -> None:
        """Have the desk's orders compared with its wish at the end of this event."""
        self.dirty[desk.coin] = desk

    def touch_all(self) -> None:
        """Have all desks' orders compared with their wishes."""
        self.dirty.update(self.desks)

    def note_decision(self, desk: Desk) -> None:
        """Report how a coin is handled, if any part of it changed."""
        decision = Decision(
            coin=desk.coin,
            regime=desk.regime.regime,
            regime_confidence=round(desk.regime.confidence, 2),
            strategy=desk.strategy,
            strategy_reason=desk.strategy_reason,
            wish=wish_text(desk, self.tokens.instruments.get(desk.coin)),
            why_not=self.why_not(desk),
        )
        if decision != desk.decision:
            desk.decision = decision
            self._has_output = True
            self._decisions[desk.coin] = decision

    def why_not(self, desk: Desk) -> str:
        """Say why a coin is not traded; empty while it is."""
        facts, wish = self.facts, desk.wish
        if not desk.is_traded:
            return f"closing: {desk.closing}" if desk.closing else "not traded here"
        if self.account.lots(desk.coin):
            return f"closing: {desk.closing}" if desk.closing else ""
        if facts.trading_state is not TradingState.ACTIVE:
            return f"{facts.trading_state}: {facts.state_reason}"
        if desk.refusal is not None:
            return desk.refusal_text
        if not desk.strategy:
            return desk.strategy_reason
        if wish is None:
            return "no wish yet"
        is_flat = isinstance(wish, TargetPosition) and wish.direction is Direction.FLAT
        return wish.reason if is_flat else ""

    def finish(self) -> Step:
        """Return the step of the event and empty the collectors."""
        facts = self.facts
        if not (self._has_output or self.orders.has_changed):
            return Step(seq=facts.seq, ts_ns=facts.now_ns, trading_state=facts.trading_state)
        self._has_output = False
        step = Step(
            seq=facts.seq,
            ts_ns=facts.now_ns,
            trading_state=facts.trading_state,
            commands=tuple(self._commands),
            refusals=tuple(self._refusals),
            decisions=tuple(self._decisions.values()),
            fills=tuple(self._fills),
            orders=self.orders.drain_changed(),
            alerts=tuple(self._alerts),
            equity=self._equity,
        )
        self._commands.clear()
        self._refusals.clear()
        self._decisions.clear()
        self._fills.clear()
        self._alerts.clear()
        self._equity = None
        return step

    # --- all of it --------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Return all state as canonical bytes: equal states give equal bytes."""
        return self._encode(
            Snapshot(
                SNAPSHOT_VERSION,
                self._config_hash,
                self.facts,
                self.desks,
                self.account.facts,
                self.orders.facts,
                self.risk.state,
                list(self.tokens.instruments.values()),
                self.market.snapshot(),
            )
        )

    def read(self, packed: bytes) -> Snapshot:
        """Decode a snapshot and check that it fits this engine.

        Raises
        ------
        ValueError
            If it is no snapshot, of another version, or of another configuration.
        """
        saved = read_snapshot(packed)
        if saved.config_hash != self._config_hash:
            raise ValueError(
                "snapshot should come from the same configuration, was another one; "
                "rebuild the state by replaying the journal"
            )
        return saved

    def restore(self, saved: Snapshot) -> None:
        """Replace all state by a snapshot's."""
        self.facts = saved.facts
        self.desks = saved.desks
        self.account.facts = saved.account
        self.orders.restore(saved.orders)
        self.risk.state = saved.risk
        self.tokens.instruments = {i.coin: i for i in saved.instruments}
        self.market.restore(saved.market)
        self.dirty.clear()

    def carry(self, saved: Snapshot) -> bool:
        """Continue what an earlier session of the account left, under this configuration.

        Taken over is what the account and the operator decided and what was promised: money,
        positions, orders, anchors and latches, stops and standing wishes. What the market showed
        and what the venue said is asked for anew.

        Returns
        -------
        bool
            Whether the configuration is the same, so that the operator's changes of it still mean
            what they meant.
        """
        facts, old = self.facts, saved.facts
        kept = old.hold_kept or Hold(old.hold, old.hold_reason, old.is_flattening)
        facts.hold, facts.hold_reason = kept.state, kept.reason
        facts.is_flattening = kept.is_flattening
        facts.intent_seq = max(facts.intent_seq, old.intent_seq + SEQ_GAP)
        facts.venue_until_ns = old.venue_until_ns
        facts.moved_micro = old.moved_micro
        facts.stopped, facts.refusals = old.stopped, old.refusals
        facts.recent_fills = old.recent_fills
        self.account.facts = saved.account
        self.account.facts.differ_count = 0
        self.orders.restore(saved.orders)
        self.orders.forget_times_after(facts.now_ns)
        self.risk.state = saved.risk
        for coin, desk in saved.desks.items():
            if coin in self.desks:
                desk.is_traded, desk.is_due, desk.decided_ns = True, True, 0
                desk.refusal, desk.refusal_text, desk.decision = None, "", None
                self.desks[coin] = desk
        for coin in self.follow_strays():
            if coin in saved.desks:
                before = saved.desks[coin]
                self.desks[coin].stop_px, self.desks[coin].target_px = (
                    before.stop_px,
                    before.target_px,
                )
        is_same = saved.config_hash == self._config_hash
        if is_same:
            facts.settings = old.settings
        return is_same

    def follow_strays(self) -> list[str]:
        """Give a desk to every coin that holds something of ours and is not traded.

        Returns
        -------
        list of str
            The coins that are new among them.
        """
        held = {*self.account.positions, *(c for c, o in self.orders.open_by_coin.items() if o)}
        strays = [coin for coin, desk in self.desks.items() if not desk.is_traded]
        for coin in strays:
            if coin not in held:
                del self.desks[coin]
                self.dirty.pop(coin, None)
                self.market.forget(coin)
        new = sorted(held - self.desks.keys())
        for coin in new:
            self.desks[coin] = Desk(coin, is_traded=False)
            self.market.follow(coin)
        return new

    def state_hash(self) -> str:
        """Return a hash of all state."""
        return _hash(self.snapshot())


def read_snapshot(packed: bytes) -> Snapshot:
    """Decode a snapshot of any configuration.

    Raises
    ------
    ValueError
        If it is no snapshot, or of another version.
    """
    try:
        saved = msgspec.msgpack.decode(packed, type=Snapshot)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"expected an engine snapshot, was unreadable: {error}") from None
    if saved.version != SNAPSHOT_VERSION:
        raise ValueError(
            f"snapshot version should be {SNAPSHOT_VERSION}, was {saved.version}; "
            "rebuild the state by replaying the journal"
        )
    return saved


def _hash(packed: bytes) -> str:
    return hashlib.blake2b(packed, digest_size=_HASH_BYTES).hexdigest()
