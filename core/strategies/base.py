"""What every strategy is, and the register of those that exist.

A strategy is a pure decision: it sees one coin's `MarketView` and returns wishes. It knows no
orders, no account, no clock, and keeps nothing between calls, so that asking twice, replaying a
journal and restarting after a crash all give the same answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from core.model.codes import Direction
from core.model.errors import ConfigError
from core.model.intents import Intent, TargetPosition
from core.model.market import MarketView
from core.model.settings import RegimeFit
from core.strategies.view import read_view

Settings = TypeVar("Settings", bound=msgspec.Struct)


class TradingStrategy(ABC):
    """A pure decision about one coin; subclass it to bring your own.

    Examples
    --------
    >>> class BuyAndHold(TradingStrategy):
    ...     name = "buy_and_hold"
    ...     warm_up_count = 0
    ...     regime_fit = {Regime.TRENDING: 1.0}
    ...     def run(self, data, params=None):
    ...         price = data.price
    ...         return [TargetPosition(coin=data.coin, strategy=self.name, reason="hold",
    ...                                direction=Direction.LONG, stop_price=0.9 * price)]
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Key in the configuration and in every attribution."""

    @property
    @abstractmethod
    def warm_up_count(self) -> int:
        """Closed candles needed before the first decision, with default parameters."""

    @property
    @abstractmethod
    def regime_fit(self) -> RegimeFit:
        """How well the idea suits each regime, 0 to 1; a regime not named fits 0."""

    @abstractmethod
    def run(
        self, data: MarketView | Mapping[str, Any], params: Mapping[str, Any] | None = None
    ) -> list[Intent]:
        """Return the wishes for one coin.

        Parameters
        ----------
        data : MarketView or Mapping
            The engine's view, or a loose mapping (see `core.strategies.view.read_view`).
        params : Mapping, optional
            The strategy's section of ``configs/strategies_config.json``; a key that is left out
            has its default.

        Returns
        -------
        list of Intent
            Empty: no change of what was wished before (the data does not suffice to judge).
        """


class KernelStrategy(TradingStrategy, Generic[Settings]):
    """Base of the strategies that ship: reads the data and the parameters, then decides."""

    settings_type: ClassVar[type[Any]]

    def run(
        self, data: MarketView | Mapping[str, Any], params: Mapping[str, Any] | None = None
    ) -> list[Intent]:
        """Return the wishes for one coin; see `TradingStrategy.run`.

        Raises
        ------
        ConfigError
            If ``params`` has an unknown key or a value out of bounds.
        """
        settings = self.read_settings(params)
        view = read_view(data)
        if view is None or not settings.enabled:  # type: ignore[attr-defined]
            return []
        return self.decide(view, settings)

    def read_settings(self, params: Mapping[str, Any] | None) -> Settings:
        """Turn a mapping into the strategy's frozen, bounded parameters."""
        try:
            settings: Settings = msgspec.convert(dict(params or {}), self.settings_type)
        except msgspec.ValidationError as error:
            raise ConfigError([f"strategies.{self.name}: {error}; see configs/"]) from None
        return settings

    @abstractmethod
    def decide(self, view: MarketView, settings: Settings) -> list[Intent]:
        """Return the wishes for a usable view."""

    def flat(self, view: MarketView, reason: str) -> list[Intent]:
        """Wish to hold nothing in the coin."""
        return [
            TargetPosition(
                coin=view.coin, strategy=self.name, direction=Direction.FLAT, reason=reason
            )
        ]


class StrategyManager:
    """The strategies an engine may choose from, in the order they were registered."""

    def __init__(self) -> None:
        self._strategies: dict[str, TradingStrategy] = {}

    def register_strategy(self, strategy: TradingStrategy) -> None:
        """Add a strategy under its name.

        Raises
        ------
        ConfigError
            If the name is empty or taken.
        """
        name = strategy.name
        if not name:
            raise ConfigError([f"strategy name should not be empty, was '' of {strategy!r}"])
        if name in self._strategies:
            raise ConfigError(
                [f"strategy name should be new, was {name!r} twice; rename one of the two classes"]
            )
        self._strategies[name] = strategy

    def get_strategy(self, name: str) -> TradingStrategy:
        """Return the strategy of that name.

        Raises
        ------
        ConfigError
            If there is none; the text lists the names that exist.
        """
        if name not in self._strategies:
            known = ", ".join(self._strategies) or "none registered"
            raise ConfigError([f"strategy should be one of: {known}; was {name!r}"])
        return self._strategies[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of registration."""
        return tuple(self._strategies)

    def __iter__(self) -> Iterator[TradingStrategy]:
        """Yield the strategies in the order of registration."""
        return iter(self._strategies.values())

    def __len__(self) -> int:
        """Count the registered strategies."""
        return len(self._strategies)

    def __contains__(self, name: object) -> bool:
        """Tell whether a strategy of that name is registered."""
        return name in self._strategies
