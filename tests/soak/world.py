"""One simulated world: an exchange, a bot, an unkind network, other people, and one seed.

The bot is the real thing from the websocket to the journal on disk; only sockets and time are
simulated. What happens when is drawn from the seed, so a world that fails fails again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from core.api.hyperliquid_api import HyperliquidAPI
from core.api.signing import Signer
from core.engines.trading_engine import TradingEngine
from core.model.codes import Direction, OperatorAction, Regime, Tif, TradingState
from core.model.intents import Intent, Quote, TargetPosition, TargetQuotes
from core.model.market import MarketView
from core.model.settings import EngineConfig, SelectionParams, StrategiesConfig, TradingParams
from core.model.time import NS_PER_DAY, NS_PER_S
from core.runtime import compose
from core.runtime.launch import wire_link
from core.runtime.recovery import recover
from core.runtime.session import Session as BotSession
from core.runtime.snapshots import SnapshotStore
from core.runtime.wired import WiredRun
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.sample_source import SAMPLE_START_NS, SampleSource
from core.simulation.server import VenueServer
from core.simulation.venue.outputs import OrderRequest
from core.strategies.base import TradingStrategy
from tests.soak.loop import LoopClock, VirtualLoop
from tests.soak.network import Network, Session

MASTER = Signer("0x" + "11" * 32)
AGENT = Signer("0x" + "22" * 32)
START_NS = SAMPLE_START_NS + NS_PER_DAY
EQUITY_USDC = 10_000
URL = "http://venue"
COINS = ("BTC", "ETH")
ACT_SECONDS_MEAN = 20.0
QUIET_SECONDS = 180.0
SETTLE_SECONDS_MAX = 60.0
WATCH_SECONDS = 0.5
CONFIG = EngineConfig(
    trading=TradingParams(coins=COINS, candle_interval="1m", decision_seconds=5.0),
    strategies=StrategiesConfig(selection=SelectionParams(fixed_strategy="restless")),
)


class Restless(TradingStrategy):
    """Wishes for something else every minute; the same for equal views."""

    name = "restless"
    warm_up_count = 2
    regime_fit = dict.fromkeys(Regime, 1.0)

    def run(
        self, data: MarketView | Mapping[str, Any], params: Mapping[str, Any] | None = None
    ) -> list[Intent]:
        assert isinstance(data, MarketView)
        coin, price = data.coin, data.price
        chance = random.Random(f"{coin}{data.now_ns // (60 * NS_PER_S)}")
        draw = chance.random()
        up = chance.random() < 0.5
        far = price * chance.choice((0.002, 0.01, 0.03))
        if draw < 0.45:
            return [
                TargetPosition(
                    coin=coin,
                    strategy=self.name,
                    reason="restless",
                    direction=Direction.LONG if up else Direction.SHORT,
                    strength=chance.choice((0.3, 1.0)),
                    stop_price=price - far if up else price + far,
                    target_price=price + far if up else price - far,
                )
            ]
        if draw < 0.75:
            steps = (0.0003, 0.0008, 0.002)
            quotes = [Quote(is_buy=True, price=price * (1 - s)) for s in steps]
            quotes += [Quote(is_buy=False, price=price * (1 + s)) for s in steps]
            return [
                TargetQuotes(
                    coin=coin,
                    strategy=self.name,
                    reason="restless",
                    quotes=tuple(chance.sample(quotes, chance.randint(1, 6))),
                    stop_price=price - 3 * far if up else price + 3 * far,
                )
            ]
        return [
            TargetPosition(
                coin=coin, strategy=self.name, direction=Direction.FLAT, reason="restless"
            )
        ]


class Bot:
    """One process of the bot: the real session, client, feed and journal."""

    def __init__(self, world: World, directory: Path, left: Path | None) -> None:
        self.connections = world.network.session()
        self.directory = directory
        self.session = _session(world, directory, left)
        self._api = HyperliquidAPI(
            URL,
            signer=AGENT,
            account=MASTER.address,
            clock=world.clock,
            session=self.connections,  # type: ignore[arg-type]
        )
        link = wire_link(self._api, CONFIG)
        with _client(self.connections):
            self._run = WiredRun(
                self.session,
                self._api,
                link(self.session.emit),
                ws_url="ws://venue/ws",
                account=MASTER.address,
                params=CONFIG.trading,
                clock=world.clock,
                timer_seconds=1.0,
                flatten_on_stop=False,
            )
        self.is_up = False
        self.task = asyncio.ensure_future(self._life())

    @property
    def engine(self) -> TradingEngine:
        return self.session.engine

    @property
    def is_running(self) -> bool:
        return not self.task.done()

    @property
    def end(self) -> BaseException | None:
        """What ended the process, if anything did."""
        return self.task.exception() if self.task.done() and not self.task.cancelled() else None

    async def _life(self) -> None:
        with _client(self.connections):
            await self._run.run(duration_s=None, on_ready=self._ready)

    def _ready(self, session: BotSession) -> None:
        self.is_up = True

    async def stop(self) -> None:
        """End in order."""
        self.session.request_stop("asked to")
        await self.task
        self.session.close("asked to")

    async def kill(self) -> None:
        """End as a process ends that was killed: nothing is said and nothing is tidied up."""
        self.connections.kill()
        # What the disk holds now is what the next process finds; the buffer dies with this one.
        dead = self.directory.with_name(f"{self.directory.name}-dead")
        shutil.copytree(self.directory, dead)
        self.session.emit = lambda event: None  # type: ignore[method-assign]
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.session._journal.close()
        self.directory = dead


@contextlib.contextmanager
def _client(connections: Session) -> Iterator[None]:
    """Let the feed connect through the simulated network."""
    with mock.patch("aiohttp.ClientSession", lambda *a, **k: connections):
        yield


def _session(world: World, directory: Path, left: Path | None) -> BotSession:
    """Return a session that begins where the one before it ended, if there was one."""
    carried = None if left is None else recover(left, _make_engine).event()
    with mock.patch.object(compose, "build_engine", _engine):
        return compose.build_session(
            mode=compose.Mode.TESTNET,
            config=CONFIG,
            account=MASTER.address,
            clock=world.clock,
            directory=directory,
            seed=world.seed,
            is_durable=False,
            carried=carried,
            snapshots=SnapshotStore(directory, session=directory.name),
        )


def _engine(config: EngineConfig, *, account: str) -> TradingEngine:
    return TradingEngine(config, [Restless()], account=account)


def _make_engine(config: EngineConfig, account: str) -> TradingEngine:
    return _engine(config, account=account)


class World:
    """The exchange, whoever else acts on it, and the bot of the moment.

    Parameters
    ----------
    seed : int
        Draws everything that is drawn.
    directory : Path
        Where the bot keeps its journals.
    minutes : float
        How long trouble lasts before all must become quiet.
    """

    def __init__(self, loop: VirtualLoop, seed: int, directory: Path, minutes: float) -> None:
        self.seed, self.directory, self.minutes = seed, directory, minutes
        self.chance = random.Random(seed)
        random.seed(seed)
        self.loop = loop
        self.clock = LoopClock(loop, START_NS)
        source = SampleSource(list(COINS), start_ns=START_NS, seed=seed % 1_000)
        self.exchange = SimulatedExchange(source.instruments, start_ns=START_NS)
        self.exchange.fund(MASTER.address, EQUITY_USDC * 1_000_000)
        assert self.exchange.approve_agent(MASTER.address, AGENT.address, "bot") is None
        self.exchange.drain()
        self.server = VenueServer(
            self.exchange, source, self.clock, seed=seed % 1_000, weight_max=10**9
        )
        self.network = Network(self.server, self.chance)
        self.has_hand = seed % 2 == 0
        self.bots: list[Bot] = []
        self.log: list[str] = []
        self.watchers: list[Callable[[World], None]] = []

    @property
    def bot(self) -> Bot:
        """The process that runs now, or ran last."""
        return self.bots[-1]

    def say(self, text: str) -> None:
        """Note what was done to the world."""
        self.log.append(f"{self.loop.time():9.3f} {text}")

    async def live(self) -> None:
        """Start, suffer, become quiet."""
        pump = asyncio.ensure_future(self.server.pump.run())
        watch = asyncio.ensure_future(self._watch())
        await asyncio.sleep(1.0)
        self.start_bot()
        assert await self.until(self.is_trading, 30.0), "the bot should trade after half a minute"
        end = self.loop.time() + 60.0 * self.minutes
        while self.loop.time() < end:
            await asyncio.sleep(self.chance.expovariate(1 / ACT_SECONDS_MEAN))
            await self.act()
        await self.become_quiet()
        pump.cancel()
        watch.cancel()

    async def _watch(self) -> None:
        """Ask the watchers twice a second what they think of the world."""
        while True:
            for watcher in self.watchers:
                watcher(self)
            await asyncio.sleep(WATCH_SECONDS)

    def start_bot(self) -> None:
        """Start a process of the bot."""
        directory = self.directory / f"bot-{len(self.bots)}"
        directory.mkdir(parents=True)
        left = self.bot.directory if self.bots else None
        self.bots.append(Bot(self, directory, left))
        self.say(f"bot {len(self.bots)} started")

    def is_trading(self) -> bool:
        """Tell whether the bot opens positions."""
        return self.bot.engine.status().trading_state is TradingState.ACTIVE

    async def until(self, holds: Any, seconds: float) -> bool:
        """Wait until something holds; tell whether it did in time."""
        deadline = self.loop.time() + seconds
        while not holds():
            if self.loop.time() >= deadline:
                return False
            await asyncio.sleep(0.25)
        return True

    # --- what happens ----------------------------------------------------------------------

    async def act(self) -> None:
        """Do one random thing to the world."""
        others = (self.unkind, self.outage, self.cut, self.person, self.money, self.crash)
        what = self.chance.choice((*others, self.hand) if self.has_hand else others)
        await what()

    async def unkind(self) -> None:
        """Change the kinds and chances of trouble."""
        trouble = self.network.trouble
        trouble.calm()
        kinds = ("lost_before", "lost_after", "too_many", "broken", "stalled")
        for kind in self.chance.sample(kinds, self.chance.randint(0, 3)):
            setattr(trouble, kind, self.chance.choice((0.02, 0.1, 0.4)))
        trouble.socket_cut = self.chance.choice((0.0, 0.0, 0.001, 0.01))
        trouble.socket_mute = self.chance.choice((0.0, 0.0, 0.0005))
        self.say(f"trouble {vars(trouble)}")

    async def outage(self) -> None:
        """Take the whole network away for a while."""
        seconds = self.chance.choice((2.0, 15.0, 70.0))
        self.say(f"outage of {seconds} s")
        self.network.trouble.is_down = True
        await asyncio.sleep(seconds)
        self.network.trouble.is_down = False

    async def cut(self) -> None:
        """Break the bot's sockets."""
        self.say("sockets cut")
        await self.bot.connections.close()

    async def person(self) -> None:
        """Let the operator press a button."""
        action = self.chance.choice(
            (
                OperatorAction.PAUSE,
                OperatorAction.RESUME,
                OperatorAction.RESUME,
                OperatorAction.CANCEL_ALL,
                OperatorAction.FLATTEN,
                OperatorAction.REDUCE,
            )
        )
        self.say(f"operator {action}")
        self.bot.session.operate(action, "person")
        if action is not OperatorAction.RESUME:
            await asyncio.sleep(self.chance.random() * 30.0)
            self.bot.session.operate(OperatorAction.RESUME, "person")

    async def hand(self) -> None:
        """Trade by hand on the bot's account, at the exchange's own page."""
        coin = self.chance.choice(COINS)
        instrument = self.exchange.instruments[coin]
        bids, asks = self.exchange.book(coin)
        if not bids or not asks:
            return
        is_buy = self.chance.random() < 0.5
        touch = asks[0][0] if is_buy else bids[0][0]
        far = 0.99 if self.chance.random() < 0.3 else 1.01
        price = instrument.px_float(touch) * (far if is_buy else 2 - far)
        request = OrderRequest(
            coin=coin,
            is_buy=is_buy,
            px=instrument.px_units_on_grid(price, is_buy=is_buy),
            lots=instrument.lots_floor(300.0 / price),
            tif=Tif.IOC if far > 1 else Tif.GTC,
        )
        answers = self.exchange.place(MASTER.address, (request,))
        self.say(f"by hand {coin} {'buy' if is_buy else 'sell'}: {answers[0].kind}")
        self.server.pump.publish_outputs(self.exchange.now_ns)

    async def money(self) -> None:
        """Deposit or withdraw."""
        if self.chance.random() < 0.5:
            self.exchange.fund(MASTER.address, 500_000_000)
            self.say("deposit")
        else:
            self.say(f"withdraw: {self.exchange.withdraw(MASTER.address, 300_000_000)}")
        self.server.pump.publish_outputs(self.exchange.now_ns)

    async def crash(self) -> None:
        """Kill the bot at this very moment and start it again after a while."""
        self.say("bot killed")
        await self.bot.kill()
        await asyncio.sleep(self.chance.choice((0.5, 5.0, 40.0)))
        self.start_bot()
        await self.until(self.is_trading, 20.0)

    async def become_quiet(self) -> None:
        """End all trouble, stop entries, and wait until nothing is on its way any more."""
        self.network.trouble.calm()
        self.say("quiet")
        if not self.bot.is_running:
            self.say(f"bot gone: {self.bot.end}")
            self.start_bot()
        assert await self.until(lambda: self.bot.is_up, 60.0), f"the bot came up: {self.bot.end}"
        self.bot.session.operate(OperatorAction.HALT, "person")
        self.bot.session.operate(OperatorAction.CANCEL_ALL, "person")
        await asyncio.sleep(QUIET_SECONDS)
