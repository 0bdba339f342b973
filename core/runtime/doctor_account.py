"""The part of the doctor that asks the venue about one account, and compares it with the plan.

Each method looks at one thing and returns what it found. Nothing is placed or changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from core.api.account_reads import equity_micro, leverage_in_force, spot_holdings
from core.api.hyperliquid_api import HyperliquidAPI
from core.api.limits import ADDRESS_REQUESTS_BASE
from core.engines.token_metadata import TokenMetadata
from core.model.errors import ExitCode, VenueError
from core.model.events import AccountReported, OpenOrdersReported
from core.model.ids import is_engine_cloid
from core.model.instrument import NOTIONAL_MIN_USDC, Instrument, usdc
from core.model.ports import Clock
from core.model.settings import EngineConfig
from core.model.time import NS_PER_DAY, interval_ns, utc_text
from core.runtime.findings import Check, blocking, ok, warning
from core.runtime.identity import Identity
from core.runtime.plan_check import PlanNeed, plan_needs

REQUESTS_LEFT_MIN = 500
IP_SHARE_MAX = 0.8
APPROVAL_DAYS_MIN = 7
CANDLES_COUNT = 500
LISTED_MAX = 6
"""Coins named in one sentence; more are counted."""
FOREIGN_WORDS = {
    "ignore": "they are counted against the limits and left alone",
    "adopt": "nova takes them over",
    "stop": "nova halts until a person resumes",
}


class AccountChecks:
    """Look at the account that would be traded.

    Parameters
    ----------
    identity : Identity
        Who trades for whom, already found in order.
    """

    def __init__(
        self, api: HyperliquidAPI, clock: Clock, config: EngineConfig | None, identity: Identity
    ) -> None:
        self._api, self._clock, self._config, self._identity = api, clock, config, identity
        self._account: AccountReported | None = None
        self._orders: OpenOrdersReported | None = None

    async def approval(self) -> list[Check]:
        """Look at when the agent's approval ends."""
        until_ns = self._identity.valid_until_ns
        if self._identity.signer == self._identity.master or until_ns is None:
            return []
        left_days = (until_ns - self._clock.now_ns()) / NS_PER_DAY
        found = f"agent approved until {utc_text(until_ns)} UTC, {max(0.0, left_days):.1f} days"
        why = "a key whose approval ended can neither trade nor close a position"
        fix = "approve a new agent in the venue's web app and put its key into secrets.env"
        if left_days <= 0:
            return [blocking("approval", found, ExitCode.CREDENTIAL, why=why, fix=fix)]
        if left_days < APPROVAL_DAYS_MIN:
            return [warning("approval", found, why=why, fix=fix)]
        return [ok("approval", found)]

    async def balance(self) -> list[Check]:
        """Look for money where the bot would, and where it lies instead."""
        report = await self._fetch_account()
        equity = usdc(report.account_value_micro)
        place = f"{self._identity.kind} {self._identity.traded}"
        found = f"{equity:.2f} USDC in the perpetuals of {place}"
        floor = 0.0 if self._config is None else self._config.trading.equity_floor_usdc
        if equity >= NOTIONAL_MIN_USDC and equity > floor:
            return [ok("balance", found)]
        if equity < NOTIONAL_MIN_USDC:
            found += f", under the venue's minimum order of {NOTIONAL_MIN_USDC} USDC"
            why = "every order would be refused"
        else:
            found += f", not above equity_floor_usdc ({floor:g})"
            why = "the risk gate would close everything at once"
        elsewhere = [text async for text in self._money_elsewhere()]
        fix = "; ".join(elsewhere) or "deposit USDC, or name the master address as the account"
        if report.positions:
            return [warning("balance", found, why=why, fix=fix)]
        return [blocking("balance", found, ExitCode.CONFIG, why=why, fix=fix)]

    async def plan(self, instruments: dict[str, Instrument], *, all_coins: bool) -> list[Check]:
        """Compare the least orders of each strategy with the venue's minimum.

        Parameters
        ----------
        all_coins : bool
            False stops at the first coin on which something can trade.
        """
        if self._config is None:
            return []
        equity = usdc((await self._fetch_account()).account_value_micro)
        needs: list[PlanNeed] = []
        for coin in self._config.trading.coins:
            instrument = instruments.get(coin)
            if instrument is None or instrument.is_delisted:
                continue
            needs += await self._needs_of(self._config, instrument)
            if not all_coins and any(_fits(need, equity) for need in needs):
                return [ok("plan", f"{equity:.2f} USDC are enough to trade {coin}")]
        return self._judge_plan(needs, equity)

    async def leverage(self, instruments: dict[str, Instrument]) -> list[Check]:
        """Compare leverage and margin mode in force with those that will be set."""
        if self._config is None:
            return []
        tokens = TokenMetadata(self._config.trading)
        tokens.list(tuple(instruments.values()))
        held = {p.coin for p in (await self._fetch_account()).positions}
        changes: list[str] = []
        stuck: list[str] = []
        for coin in self._config.trading.coins:
            instrument = instruments.get(coin)
            if instrument is None or instrument.is_delisted:
                continue
            try:
                now = await leverage_in_force(self._api, self._identity.traded, coin)
            except VenueError:
                continue
            wanted, is_cross = tokens.leverage_of(coin), not instrument.is_isolated_only
            text = f"{coin} {_setting(now.leverage, now.is_cross)}"
            if (now.leverage, now.is_cross) != (wanted, is_cross):
                text += f" → {_setting(wanted, is_cross)}"
                if coin in held and now.is_cross is not is_cross:
                    stuck.append(text)
            changes.append(text)
        if stuck:
            why = "the venue does not switch the margin mode of an open position"
            fix = "close the position, or trade other coins"
            return [warning("leverage", _listed(stuck), why=why, fix=fix)]
        return [ok("leverage", f"{_listed(changes)} (set at the start)")] if changes else []

    async def positions(self) -> list[Check]:
        """Look at what is held, whether it is protected, and whether anybody trades it."""
        report, orders = await self._fetch_account(), await self._fetch_orders()
        if not report.positions:
            return [ok("positions", "none")]
        traded = () if self._config is None else self._config.trading.coins
        stops = {o.coin for o in orders.orders if o.reduce_only and o.trigger_px}
        foreign = [p.coin for p in report.positions if p.coin not in traded]
        bare = [p.coin for p in report.positions if p.coin not in stops]
        checks = []
        if foreign:
            policy = "ignore" if self._config is None else self._config.trading.foreign_positions
            checks.append(
                warning(
                    "positions",
                    f"held in coins that are not traded: {_listed(foreign)}",
                    why=f"foreign_positions is {policy}: {FOREIGN_WORDS[policy]}",
                    fix="close them, trade their coins, or set trading.foreign_positions",
                )
            )
        if bare:
            checks.append(
                warning(
                    "positions",
                    f"no stop at the venue: {_listed(bare)}",
                    why="until nova runs and places one, nothing limits the loss",
                    fix="place a stop, close with nova flatten, or start nova at once",
                )
            )
        return checks or [
            ok("positions", f"{_listed([p.coin for p in report.positions])}, with stops")
        ]

    async def orders(self) -> list[Check]:
        """Look at open orders that no session of ours placed."""
        orders = (await self._fetch_orders()).orders
        foreign = [o for o in orders if not is_engine_cloid(self._identity.traded, o.cloid)]
        if not foreign:
            own = f"{len(orders)} of an earlier session" if orders else "none"
            return [ok("open orders", own)]
        policy = "ignore" if self._config is None else self._config.trading.foreign_orders
        found = f"{len(foreign)} that nova did not place, in {_listed({o.coin for o in foreign})}"
        why = f"foreign_orders is {policy}: {FOREIGN_WORDS[policy]}"
        fix = "cancel them if they are not wanted, or set trading.foreign_orders"
        return [warning("open orders", found, why=why, fix=fix)]

    async def budgets(self) -> list[Check]:
        """Look at what is left of both request budgets."""
        budget = await self._api.fetch_rate_budget()
        left = budget.requests_cap - budget.requests_used
        found = f"{left} of {budget.requests_cap} requests of the address left"
        if left < REQUESTS_LEFT_MIN:
            why = "without it the venue takes one request in ten seconds"
            fix = "trade: each USDC of volume earns one; or use another account"
            address = warning("request budget", found, why=why, fix=fix)
        else:
            address = ok("request budget", found)
        return [address, self._ip_budget(budget.ip_weight_used, budget.ip_weight_cap)]

    async def switch_volume(self) -> str:
        """Say whether the venue would allow its own dead man's switch."""
        budget = await self._api.fetch_rate_budget()
        traded = max(0, budget.requests_cap - ADDRESS_REQUESTS_BASE)
        return f"the venue's scheduleCancel needs 1000000 USDC traded, this address has {traded}"

    # --- inside ---------------------------------------------------------------------------------

    def _ip_budget(self, used: int, cap: int) -> Check:
        requests_max = 0 if self._config is None else self._config.trading.requests_per_minute_max
        own_cap = f", own cap {requests_max} requests a minute" if requests_max else ""
        found = f"{used} of {cap} weight used from this process in the last minute{own_cap}"
        if used > IP_SHARE_MAX * cap:
            why = "starting now would wait for the budget of this address of the internet"
            fix = "wait a minute; other programs on this address share the budget"
            return warning("ip budget", found, why=why, fix=fix)
        return ok("ip budget", found)

    async def _fetch_account(self) -> AccountReported:
        if self._account is None:
            self._account = await self._api.fetch_account()
        return self._account

    async def _fetch_orders(self) -> OpenOrdersReported:
        if self._orders is None:
            self._orders = await self._api.fetch_open_orders()
        return self._orders

    async def _money_elsewhere(self) -> AsyncIterator[str]:
        """Tell where USDC lies that the bot does not look at, and how it gets here."""
        identity = self._identity
        for owner in dict.fromkeys((identity.traded, identity.master)):
            try:
                holdings = await spot_holdings(self._api, owner)
            except VenueError:
                continue
            for holding in holdings:
                if holding.is_usdc:
                    yield f"{holding.total} USDC lie in spot of {owner}: move them to perpetuals"
        if identity.traded != identity.master:
            micro = await equity_micro(self._api, identity.master)
            if micro:
                yield (
                    f"{usdc(micro):.2f} USDC lie in the perpetuals of the master: transfer them "
                    f"to the {identity.kind}"
                )
        for sub in identity.sub_accounts:
            if sub.equity_micro and sub.address != identity.traded:
                yield (
                    f"{usdc(sub.equity_micro):.2f} USDC lie in sub-account {sub.name!r}: transfer "
                    f"them, or set HYPERLIQUID_VAULT={sub.address}"
                )

    async def _needs_of(self, config: EngineConfig, instrument: Instrument) -> list[PlanNeed]:
        interval = config.trading.candle_interval
        now_ns, length_ns = self._clock.now_ns(), interval_ns(interval)
        loaded = await self._api.fetch_candles(
            instrument.coin, interval, now_ns - CANDLES_COUNT * length_ns, now_ns
        )
        closed = [c for c in loaded.candles if c.open_ns + length_ns <= now_ns]
        return plan_needs(config, instrument, closed)

    def _judge_plan(self, needs: list[PlanNeed], equity: float) -> list[Check]:
        short = [need for need in needs if not _fits(need, equity)]
        if not short:
            least = max((need.equity_usdc or 0.0 for need in needs), default=0.0)
            return [ok("plan", f"needs up to {least:.0f} USDC, you have {equity:.2f}")]
        texts = [_need_text(need, equity) for need in short]
        why = (
            f"an order under the venue's minimum of {NOTIONAL_MIN_USDC} USDC is refused, so these "
            "would not trade"
        )
        fix = (
            "more equity, fewer grid levels, or larger max_position_ratio, max_risk_per_trade or "
            "max_position_size; or trade other coins"
        )
        held = self._account is not None and self._account.positions
        if len(short) == len(needs) and not held:
            return [
                blocking("plan", text, ExitCode.CONFIG, why=why, fix=fix)
                for text in texts[:LISTED_MAX]
            ]
        return [warning("plan", text, why=why, fix=fix) for text in texts]


def _fits(need: PlanNeed, equity: float) -> bool:
    return need.equity_usdc is not None and need.equity_usdc <= equity


def _need_text(need: PlanNeed, equity: float) -> str:
    what = f"{need.strategy} on {need.coin}"
    orders = f" ({need.orders_count} orders at once)" if need.orders_count > 1 else ""
    if need.equity_usdc is None:
        return f"{what}{orders} can never reach the minimum: bound by {need.bound_by}"
    seen = "" if need.is_seen else ", judged without a stop as it wished for nothing lately"
    return (
        f"{what}{orders} needs {need.equity_usdc:.0f} USDC, you have {equity:.2f} "
        f"(bound by {need.bound_by}{seen})"
    )


def _setting(leverage: int, is_cross: bool) -> str:
    return f"{leverage}x {'cross' if is_cross else 'isolated'}"


def _listed(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - LISTED_MAX} more" if len(names) > LISTED_MAX else ""
    return ", ".join(names[:LISTED_MAX]) + more
