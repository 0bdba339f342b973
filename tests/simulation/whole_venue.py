"""A venue in which everything happens at once: perps, spot, TWAPs, families, vaults, trouble.

One seed decides who does what. After every action money and tokens must be conserved and positions
must balance, and the same script on a fresh venue must give the same state hash.

A long run: ``python -m tests.simulation.whole_venue SEED STEPS``.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from typing import Any

from core.model.codes import Grouping, Tif, TriggerKind
from core.model.instrument import Instrument
from core.model.time import NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.account import Account
from core.simulation.venue.margin import order_margin_micro
from core.simulation.venue.outputs import OrderRequest, TriggerRequest
from core.simulation.venue.records import BuilderFee, Token, TwapRequest
from core.simulation.venue.settings import VenueSettings
from tests.reference import margin as slow

OWNERS = tuple(f"0x{n:040x}" for n in range(1, 6))
TOKEN = Token(index=9, name="CCC", token_id="0x" + "c" * 32, sz_decimals=2, wei_decimals=6)
PERPS = (Instrument("AAA", 0, 2, leverage_max=40), Instrument("BBB", 1, 3, leverage_max=10))
PAIR = Instrument("@9", 10_009, 2, is_spot=True)
COINS = (*PERPS, PAIR)
MIDS = {"AAA": 100_000, "BBB": 100_000, "@9": 50_000_000}
SETTINGS = VenueSettings(
    notional_min_micro=100_000,
    liquidation_partial_micro=50_000_000,
    sub_account_volume_micro=0,
    twap_value_min_micro=1_000_000,
    open_interest_caps_micro={"BBB": 2_000_000_000},
)


class WholeVenue:
    """One venue, its script so far, and the dice."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.venue = new_venue()
        self.script: list[tuple[str, tuple[Any, ...]]] = []
        self.counts: Counter[str] = Counter()
        self.mids = dict(MIDS)
        self.now_ns = 0
        self.subs: list[str] = []
        self.vaults: list[str] = []
        self.twaps: list[tuple[str, str, int]] = []
        for owner in OWNERS:
            self.act("fund", owner, 300_000_000)
        for coin in MIDS:
            self.tick(coin, jump=0)

    # --- playing ---------------------------------------------------------------------------

    def act(self, name: str, *arguments: Any) -> Any:
        """Call the venue, remember the call, and check what must always hold."""
        self.script.append((name, arguments))
        self.counts[name] += 1
        answer = call(self.venue, name, arguments)
        self.check()
        return answer

    def check(self) -> None:
        """Nothing appears and nothing is lost."""
        venue = self.venue
        assert venue.conservation_error_micro() == 0
        assert venue.token_error_wei(TOKEN.index) == 0
        assert venue.position_error_lots() == 0
        for account in venue._state.accounts.values():
            check_resting(account)

    def step(self) -> None:
        """Do one random thing."""
        deeds = (
            (self.move, 30),
            (self.place, 30),
            (self.bracket, 6),
            (self.cancel, 8),
            (self.twap, 4),
            (self.settings, 5),
            (self.money, 10),
            (self.family, 5),
            (self.vault, 8),
            (self.trouble, 2),
        )
        deed = self.chance.choices([d for d, _ in deeds], [w for _, w in deeds])[0]
        deed()
        if len(self.script) % 50 == 0:
            self.venue.drain()

    def repeat_hash(self) -> str:
        """Play the script on a fresh venue and return its state hash."""
        venue = new_venue()
        for name, arguments in self.script:
            call(venue, name, arguments)
        return venue.state_hash()

    # --- deeds -----------------------------------------------------------------------------

    def owner(self) -> str:
        return self.chance.choice([*OWNERS, *self.subs, *self.vaults])

    def move(self) -> None:
        coin = self.chance.choice(tuple(MIDS))
        jump = self.chance.choice((0, 0, 0, 0, -9, -4, 4, 9))
        self.tick(coin, jump=jump)

    def tick(self, coin: str, *, jump: int) -> None:
        chance = self.chance
        self.now_ns += chance.choice((0, 1, 20, 400, 4_000)) * NS_PER_S
        step = 1_000 if coin == "@9" else 10
        low, high = MIDS[coin] // 2, MIDS[coin] * 3 // 2
        mid = self.mids[coin] * (100 + jump) // 100 + chance.randint(-3, 3) * step
        mid = self.mids[coin] = max(low, min(high, mid // (10 * step) * 10 * step))
        prints = ((mid + chance.randint(-2, 2) * step, chance.randint(1, 90), jump > 0),)
        bids = tuple((mid - n * step, 40 + 400 * (n - 1)) for n in (1, 2, 4))
        asks = tuple((mid + n * step, 50 + 300 * (n - 1)) for n in (1, 2, 3))
        rate = chance.choice((None, 0.001, -0.002)) if coin == "AAA" else None
        mark = mid + chance.randint(-3, 3) if coin == "AAA" else None
        self.act("apply_market", MarketTick(self.now_ns, coin, bids, asks, prints, mark, mid, rate))

    def request(self, coin: str, **words: Any) -> OrderRequest:
        chance = self.chance
        step = 1_000 if coin == "@9" else 10
        base = {
            "coin": coin,
            "is_buy": chance.random() < 0.5,
            "px": self.mids[coin] + chance.randint(-9, 9) * step,
            "lots": chance.choice((3, 40, 300, 1_500)),
            "tif": chance.choice(list(Tif)),
        }
        return OrderRequest(**{**base, **words})

    def place(self) -> None:
        chance = self.chance
        coin = chance.choice(tuple(MIDS))
        builder = BuilderFee(OWNERS[4], 10) if chance.random() < 0.2 else None
        reduce_only = coin != "@9" and chance.random() < 0.2
        self.act(
            "place",
            self.owner(),
            (self.request(coin, reduce_only=reduce_only, builder=builder),),
        )

    def bracket(self) -> None:
        coin = self.chance.choice(("AAA", "BBB"))
        parent = self.request(coin)
        children = []
        for kind, away in ((TriggerKind.STOP_LOSS, -50), (TriggerKind.TAKE_PROFIT, 50)):
            px = self.mids[coin] + (away if parent.is_buy else -away)
            children.append(
                self.request(
                    coin,
                    is_buy=not parent.is_buy,
                    px=px,
                    lots=parent.lots,
                    reduce_only=True,
                    tif=None,
                    trigger=TriggerRequest(self.chance.random() < 0.5, px, kind),
                )
            )
        if self.chance.random() < 0.5:
            self.act("place", self.owner(), (parent, *children), Grouping.NORMAL_TPSL)
        else:
            self.act("place", self.owner(), tuple(children), Grouping.POSITION_TPSL)

    def cancel(self) -> None:
        owner = self.owner()
        orders = self.venue.open_orders(owner)
        if not orders:
            return
        order = self.chance.choice(orders)
        if self.chance.random() < 0.5:
            self.act("cancel", owner, order.coin, order.oid)
        else:
            request = self.request(order.coin, is_buy=order.is_buy)
            self.act("modify", owner, order.oid, request, self.chance.random() < 0.5)

    def twap(self) -> None:
        if self.twaps and self.chance.random() < 0.3:
            self.act("twaps.cancel", *self.chance.choice(self.twaps))
            return
        coin, owner = self.chance.choice(tuple(MIDS)), self.owner()
        request = TwapRequest(
            coin=coin,
            is_buy=self.chance.random() < 0.5,
            lots=self.chance.choice((400, 4_000)),
            reduce_only=coin != "@9" and self.chance.random() < 0.2,
            minutes=self.chance.choice((5, 60)),
            is_randomized=self.chance.random() < 0.5,
        )
        answer = self.act("twaps.place", owner, request)
        if isinstance(answer, int):
            self.twaps.append((owner, coin, answer))

    def settings(self) -> None:
        coin, owner = self.chance.choice(("AAA", "BBB")), self.owner()
        leverage = self.chance.choice((1, 5, 10, 40))
        self.act("update_leverage", owner, coin, leverage, self.chance.random() < 0.7)
        self.act("update_isolated_margin", owner, coin, self.chance.randint(-9, 9) * 1_000_000)

    def money(self) -> None:
        chance, one, two = self.chance, self.owner(), self.owner()
        micro = chance.randint(1, 40_000_000)
        wei = micro * 100
        deed = chance.choice(("usd", "class", "spot", "out", "claim", "requests"))
        if deed == "usd":
            self.act("transfer", one, two, micro)
        elif deed == "class":
            self.act("transfers.class_transfer", one, micro, chance.random() < 0.4)
        elif deed == "spot":
            self.act("transfers.spot_send", one, two, TOKEN, chance.randint(1, 10**7))
        elif deed == "out":
            self.act("withdraw", one, micro)
        elif deed == "claim":
            self.act("builders.claim", OWNERS[4])
        else:
            self.act("reserve_requests", one, wei % 500)

    def family(self) -> None:
        master = self.chance.choice(OWNERS)
        if len(self.subs) < 3 and self.chance.random() < 0.3:
            answer = self.act("family.create_sub_account", master, "wing")
            if isinstance(answer, str):
                self.subs.append(answer)
        elif self.subs:
            sub = self.chance.choice(self.subs)
            micro = self.chance.randint(1, 60_000_000)
            self.act("transfers.sub_transfer", master, sub, micro, self.chance.random() < 0.6)

    def vault(self) -> None:
        chance, user = self.chance, self.chance.choice(OWNERS)
        if len(self.vaults) < 2 and chance.random() < 0.3:
            name = f"vault {len(self.vaults)}"
            answer = self.act("vaults.create", user, name, "ten letters or more", 100_000_000)
            if isinstance(answer, str):
                self.vaults.append(answer)
        elif self.vaults:
            vault, micro = chance.choice(self.vaults), chance.randint(1, 90_000_000)
            deed = chance.choice(("deposit", "withdraw", "withdraw", "distribute"))
            self.act(f"vaults.{deed}", user, vault, micro)

    def trouble(self) -> None:
        until_ns = self.venue.now_ns + 300 * NS_PER_S
        coin = self.chance.choice(("AAA", "BBB"))
        deed = self.chance.choice(("begin_post_only", "halt", "resume", "resume", "resume"))
        self.act(f"market_states.{deed}", until_ns if deed == "begin_post_only" else coin)


def check_resting(account: Account) -> None:
    """What resting orders hold is known without asking each of them."""
    assert order_margin_micro(account) == slow.order_margin_micro(account)
    for order in account.orders.values():
        skipped = order_margin_micro(account, skipped=order)
        assert skipped == slow.order_margin_micro(account, skipped=order)
        if order.coin in account.leverage:
            lots = account.resting.lots(order.coin, is_buy=order.is_buy)
            assert lots == slow.resting_lots(account, order.coin, is_buy=order.is_buy)


def new_venue() -> SimulatedExchange:
    """Return a venue of two perpetuals and one pair, with a fifth of the token given away."""
    venue = SimulatedExchange(COINS, SETTINGS, 0, {PAIR.coin: TOKEN})
    for owner in OWNERS:
        venue.spot.fund(owner, TOKEN.index, 10**8)
    return venue


def call(venue: SimulatedExchange, name: str, arguments: tuple[Any, ...]) -> Any:
    """Call a method of the venue or of one of its desks."""
    target: Any = venue
    for part in name.split("."):
        target = getattr(target, part)
    return target(*arguments)


def run(seed: int, steps: int) -> WholeVenue:
    """Play one seed; every check is made on the way."""
    whole = WholeVenue(seed)
    for _ in range(steps):
        whole.step()
    return whole


def main(words: list[str]) -> int:
    """Play one seed and say what happened."""
    seed, steps = int(words[0]), int(words[1])
    whole = run(seed, steps)
    assert whole.repeat_hash() == whole.venue.state_hash()
    print(f"seed {seed}: {len(whole.script)} actions, state {whole.venue.state_hash()[:16]}")
    for name, count in whole.counts.most_common():
        print(f"  {count:7} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
