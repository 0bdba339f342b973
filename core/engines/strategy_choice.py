"""Choose which strategy may wish for a coin, and say why in one sentence.

Fit to the regime times its confidence, with a price on switching: a challenger must be clearly
better, a cool-down must have passed, and nobody is changed under an open position unless the
regime no longer suits its strategy at all. Knows no prices and no orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import msgspec

from core.model.codes import Regime
from core.model.errors import ConfigError
from core.model.ports import Strategy
from core.model.settings import SelectionParams
from core.model.time import ns_from_seconds


class Choice(msgspec.Struct, frozen=True):
    """Who trades the coin (empty: nobody) and why.

    ``must_leave`` asks to close what the incumbent holds, as the regime no longer suits it.
    """

    strategy: str
    reason: str
    must_leave: bool = False


class StrategyChoice:
    """Choose by regime, or always the one that the configuration names.

    Parameters
    ----------
    strategies : sequence of Strategy
        In order of preference: of equal fits the first wins.

    Raises
    ------
    ConfigError
        If ``fixed_strategy`` names none of them.
    """

    def __init__(self, strategies: Sequence[Strategy], params: SelectionParams) -> None:
        self._fits: dict[str, Mapping[Regime, float]] = {s.name: s.regime_fit for s in strategies}
        self._params = params
        self._cool_down_ns = ns_from_seconds(params.cool_down_seconds)
        fixed = params.fixed_strategy
        if fixed and fixed not in self._fits:
            near = get_close_matches(fixed, list(self._fits), 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            known = ", ".join(self._fits) or "none enabled"
            raise ConfigError(
                [f"selection.fixed_strategy: expected one of {known}, was {fixed!r}{hint}"]
            )

    def fit(self, strategy: str, regime: Regime, confidence: float) -> float:
        """Return how well a strategy suits the market now, 0 to 1."""
        return self._fits.get(strategy, {}).get(regime, 0.0) * confidence

    def choose(
        self,
        *,
        incumbent: str,
        since_ns: int,
        now_ns: int,
        regime: Regime,
        confidence: float,
        has_position: bool,
        stopped: Mapping[str, str],
    ) -> Choice:
        """Choose for one coin.

        Parameters
        ----------
        incumbent, since_ns : str and int
            Who trades the coin now (empty: nobody), and since when.
        stopped : Mapping
            Strategies that may not trade, with the reason; what one holds is closed.
        """
        if has_position and incumbent in self._fits:
            return self._keep(incumbent, regime, confidence, stopped)
        if self._params.fixed_strategy:
            fixed = self._params.fixed_strategy
            if fixed in stopped:
                return Choice("", f"{fixed} is {stopped[fixed]}")
            return Choice(fixed, "fixed by the configuration")
        return self._best(incumbent, since_ns, now_ns, regime, confidence, stopped)

    def _keep(
        self, incumbent: str, regime: Regime, confidence: float, stopped: Mapping[str, str]
    ) -> Choice:
        """Stay with whoever holds the position; leave it if the ground has gone."""
        if incumbent in stopped:
            return Choice(incumbent, f"{incumbent} is {stopped[incumbent]}", must_leave=True)
        if self._params.fixed_strategy == incumbent:
            return Choice(incumbent, "fixed by the configuration")
        # Confidence fades at every turn of the market; a position is judged by the regime alone.
        fit = self.fit(incumbent, regime, 1.0)
        if regime is not Regime.UNKNOWN and fit < self._params.fit_min:
            reason = f"leaving: {regime} suits it {fit:.2f}, least {self._params.fit_min:.2f}"
            return Choice(incumbent, reason, must_leave=True)
        return Choice(incumbent, "holds the position")

    def _best(
        self,
        incumbent: str,
        since_ns: int,
        now_ns: int,
        regime: Regime,
        confidence: float,
        stopped: Mapping[str, str],
    ) -> Choice:
        if regime is Regime.UNKNOWN:
            return Choice("", "regime is not known yet")
        scores = {
            name: self.fit(name, regime, confidence) for name in self._fits if name not in stopped
        }
        best = max(scores, key=lambda name: scores[name], default="")
        if not best or scores[best] < self._params.fit_min:
            shown = f"{best} fits {scores[best]:.2f}" if best else "no strategy is running"
            return Choice("", f"nobody suits {regime}: {shown}, least {self._params.fit_min:.2f}")
        kept = scores.get(incumbent, 0.0)
        if incumbent == best or kept < self._params.fit_min:
            return Choice(best, self._why(best, regime, confidence, scores[best]))
        if scores[best] < kept + self._params.switch_advantage:
            return Choice(incumbent, f"{best} is not better by {self._params.switch_advantage:.2f}")
        if now_ns - since_ns < self._cool_down_ns:
            return Choice(incumbent, f"{best} fits better, cooling down")
        return Choice(best, self._why(best, regime, confidence, scores[best]))

    def _why(self, name: str, regime: Regime, confidence: float, score: float) -> str:
        fit = self._fits[name].get(regime, 0.0)
        return f"suits {regime} {fit:.2f} × confidence {confidence:.2f} = {score:.2f}"
