"""Channels of the venue's own page: everything of an account at once, every few seconds.

Source: reference section 11.4 (``webData2`` is being retired for ``webData3``) and the types of
public clients. ``cumLedger`` is what money has moved in and out without trades, net.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from core.simulation.market.builder_dexes import FIRST_DEX
from core.simulation.market.ticks import MarketTick
from core.simulation.market.universe import recorded_meta
from core.simulation.wire.channels.base import Cadence, ChannelContext, UserChannel
from core.simulation.wire.channels.orders import open_order_rows
from core.simulation.wire.channels.states import perp_state_row, spot_state_row
from core.simulation.wire.channels.twaps import twap_state_rows
from core.simulation.wire.rows import Row
from core.simulation.wire.subscriptions import Key
from core.simulation.wire.text import ms, usd_text

_NO_LEDGER = "liquidation"
"""Ledger rows of this kind are losses, no movement of the owner's money."""


class _WebData(UserChannel):
    """Everything of an account, at the pace of the states and no faster."""

    hears_market = True

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self._cadence = Cadence(context.settings.states_every_ns)

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return everything as it stands."""
        return [self.row()]

    def on_tick(self, tick: MarketTick) -> Row | None:
        """Return everything if it is due."""
        return self.row() if self._cadence.is_due(tick.ts_ns) else None

    @abstractmethod
    def row(self) -> Row:
        """Return everything."""

    def user_fields(self) -> Row:
        """Return what both versions tell of the account itself."""
        exchange = self.context.exchange
        agent = exchange.unnamed_agent(self.owner)
        moved = [o.amount_micro for o in exchange.ledger(self.owner) if o.kind != _NO_LEDGER]
        return {
            "agentAddress": None if agent is None else agent.address,
            "agentValidUntil": None if agent is None else ms(agent.valid_until_ns),
            "cumLedger": usd_text(sum(moved)),
            "serverTime": ms(exchange.now_ns),
            "isVault": exchange.family.is_vault(self.owner),
            "user": self.owner,
        }

    def vault_fields(self) -> Row:
        """Return the account's vaults, and which coins of the first dex are at their cap."""
        exchange = self.context.exchange
        shares = exchange.vaults.of_user(self.owner)
        return {
            "totalVaultEquity": usd_text(sum(follower.equity_micro for _, follower in shares)),
            "perpsAtOpenInterestCap": list(exchange.market_states.coins_at_cap()),
            "leadingVaults": [
                {"address": vault.address, "name": vault.name}
                for vault in exchange.vaults.led_by(self.owner)
            ],
        }


class WebData2(_WebData):
    """Account, orders, metadata and all contexts in one message."""

    kind = "webData2"

    def row(self) -> Row:
        """Return everything."""
        context, owner = self.context, self.owner
        return {
            "clearinghouseState": perp_state_row(context, owner, FIRST_DEX),
            **self.vault_fields(),
            "openOrders": open_order_rows(context, owner),
            **self.user_fields(),
            "meta": recorded_meta(),
            "assetCtxs": context.board.contexts(),
            "twapStates": twap_state_rows(context, owner),
            "spotState": spot_state_row(context, owner),
            "spotAssetCtxs": context.board.spot_contexts(),
        }


class WebData3(_WebData):
    """The account's own facts, and its vaults; contexts and orders have channels of their own."""

    kind = "webData3"

    def row(self) -> Row:
        """Return everything; vaults trade on the first dex only."""
        others: list[Row] = [{"totalVaultEquity": usd_text(0)} for _ in self.context.dexs[1:]]
        return {"userState": self.user_fields(), "perpDexStates": [self.vault_fields(), *others]}
