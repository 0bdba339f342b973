"""The entry point ``nova`` and the interactive shell's object.

`main` is the command line; `CLIInterface` is what ``nova shell`` is built from and works on its
own: one line in, one text out. It talks to a running bot and holds no state of its trading.
"""

from __future__ import annotations

import difflib
import io
import shlex
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from core.interfaces import (  # noqa: F401  (commands hang themselves on the app)
    commands_ask,
    commands_drill,
    commands_rescue,
    commands_study,
    commands_trade,
)
from core.interfaces import text as t
from core.interfaces.cli_app import app
from core.interfaces.output import PLAIN_WIDTH
from core.interfaces.remote import ask, typed
from core.model.codes import OperatorAction
from core.model.errors import ExitCode, NovaError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from core.model.status import SystemStatus

PROMPT = "nova> "
HISTORY_NAME = "shell_history"
WHO = "shell"
WELCOME = "Hyperliquid Nova shell. Type help, or exit to leave the bot running and go."

Handler = Callable[[list[str]], Awaitable[str]]

_USAGE = {
    "help": ("help [COMMAND]", "say what can be asked"),
    "status": ("status", "everything on one screen"),
    "positions": ("positions", "open positions"),
    "orders": ("orders", "orders that work or are in flight"),
    "pnl": ("pnl", "earned and lost so far, and where"),
    "config": ("config [PREFIX]", "effective configuration, such as config trading"),
    "start_strategy": ("start_strategy NAME", "let a strategy trade"),
    "stop_strategy": ("stop_strategy NAME", "stop a strategy and close what it holds"),
    "set_parameter": (
        "set_parameter SECTION KEY VALUE",
        "such as set_parameter scalping exit_deviation 0.001",
    ),
    "pause": ("pause", "open nothing new; positions may only shrink"),
    "reduce": ("reduce", "the same as pause, said by its effect"),
    "resume": ("resume", "trade again after pause, reduce, halt or flatten"),
    "halt": ("halt", "do nothing at all until resume; stops stay at the venue"),
    "cancel_all": ("cancel_all", "drop all wishes and cancel their working orders"),
    "flatten": ("flatten [COIN]", "close positions; without a coin also halt until resume"),
    "stop": ("stop", "end the session in order"),
    "exit": ("exit", "leave the shell; the bot goes on"),
}
_OPERATE_STRATEGY = ("start_strategy", "stop_strategy")
_OPERATE_PLAIN = ("pause", "reduce", "resume", "halt", "cancel_all")
_OPERATE_COIN = ("flatten",)
_SECTION_TRADING = "trading"


class UsageError(NovaError):
    """A line of the shell is not understood."""

    exit_code = ExitCode.USAGE


class CLIInterface:
    """Talk to the bot that runs in a state directory.

    Parameters
    ----------
    state_dir : Path
        Where the bot listens and where the shell keeps its history.

    Attributes
    ----------
    is_done : bool
        Whether ``exit`` was typed.
    exit_code : ExitCode
        How the last command ended.
    """

    def __init__(self, state_dir: Path = Path("logs")) -> None:
        self.is_done = False
        self.exit_code = ExitCode.OK
        self._state_dir = state_dir
        self._width = PLAIN_WIDTH
        self._is_coloured = False
        self._handlers: dict[str, Handler] = {
            "help": self._help,
            "status": self._status,
            "positions": self._positions,
            "orders": self._orders,
            "pnl": self._pnl,
            "config": self._config,
            "set_parameter": self._set_parameter,
            "stop": self._stop,
            "exit": self._exit,
        }
        for name in _OPERATE_STRATEGY:
            self._handlers[name] = self._strategy_handler(OperatorAction(name))
        for name in (*_OPERATE_PLAIN, *_OPERATE_COIN):
            self._handlers[name] = self._operator_handler(OperatorAction(name))

    def start(self) -> None:
        """Read lines from the terminal until ``exit`` or Ctrl-D; Ctrl-C drops the line."""
        from prompt_toolkit import PromptSession, print_formatted_text
        from prompt_toolkit.completion import NestedCompleter
        from prompt_toolkit.formatted_text import ANSI
        from prompt_toolkit.history import FileHistory

        self._state_dir.mkdir(parents=True, exist_ok=True)
        self._is_coloured = True
        session: PromptSession[str] = PromptSession(
            history=FileHistory(str(self._state_dir / HISTORY_NAME)),
            completer=NestedCompleter.from_nested_dict(self.completions()),
        )
        print_formatted_text(WELCOME)
        while not self.is_done:
            try:
                line = session.prompt(PROMPT)
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            self._width = shutil.get_terminal_size((PLAIN_WIDTH, 30)).columns
            print_formatted_text(ANSI(self.process_command(line)))

    def run_lines(self, lines: Iterable[str]) -> ExitCode:
        """Carry out the lines of a file or a pipe: answers to stdout, mistakes to stderr.

        Every line is carried out up to ``exit``, those after a failed one too.

        Parameters
        ----------
        lines : iterable of str
            One command each; empty ones and those that begin with ``#`` are passed over.

        Returns
        -------
        ExitCode
            How the first failed line ended, `ExitCode.OK` if none failed.
        """
        first_failure = ExitCode.OK
        for line in lines:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            answer = self.process_command(line)
            has_failed = self.exit_code != ExitCode.OK
            print(answer, file=sys.stderr if has_failed else sys.stdout, flush=True)
            if first_failure == ExitCode.OK:
                first_failure = self.exit_code
            if self.is_done:
                break
        return first_failure

    def process_command(self, line: str) -> str:
        """Carry out one line and return what to show; never raises for a person's mistake."""
        import asyncio

        try:
            answer = asyncio.run(self._process(line))
        except NovaError as error:
            self.exit_code = error.exit_code
            return "\n".join(t.clean(part, 2_000) for part in str(error).splitlines())
        self.exit_code = ExitCode.OK
        return answer

    def completions(self) -> dict[str, dict[str, None] | None]:
        """Return what can follow what; names come from the running bot, if any."""
        import asyncio

        try:
            names, sections = asyncio.run(self._names())
        except NovaError:
            names, sections = (), ()
        tree: dict[str, dict[str, None] | None] = dict.fromkeys(_USAGE)
        tree["help"] = dict.fromkeys(_USAGE)
        for command in _OPERATE_STRATEGY:
            tree[command] = dict.fromkeys(names)
        tree["set_parameter"] = dict.fromkeys(sections)
        return tree

    async def _names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the strategies and the sections of the configuration."""
        return tuple((await self._picture()).strategies), await self._sections()

    async def _sections(self) -> tuple[str, ...]:
        config = await ask(self._state_dir, "config")
        return (_SECTION_TRADING, *config["strategies"])

    async def _process(self, line: str) -> str:
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise UsageError(f"quotes should be closed, were not: {error}") from None
        if not words:
            return ""
        name, *rest = words
        handler = self._handlers.get(name.lower())
        if handler is None:
            near = difflib.get_close_matches(name.lower(), _USAGE, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"unknown command {name!r}{hint} Type help for the list.")
        return await handler(rest)

    async def _picture(self) -> SystemStatus:
        from core.model.status import SystemStatus

        return typed(await ask(self._state_dir, "status"), SystemStatus)

    async def _help(self, words: list[str]) -> str:
        chosen = [word for word in words if word in _USAGE] or list(_USAGE)
        width = max(len(_USAGE[name][0]) for name in chosen)
        return "\n".join(f"  {_USAGE[n][0]:<{width}}  {_USAGE[n][1]}" for n in chosen)

    async def _status(self, words: list[str]) -> str:
        from core.interfaces.terminal_view import render

        return self._drawn(render(await self._picture()))

    async def _positions(self, words: list[str]) -> str:
        from core.interfaces.tables import positions_table

        return self._drawn(positions_table(await self._picture()))

    async def _orders(self, words: list[str]) -> str:
        from core.interfaces.tables import orders_table

        return self._drawn(orders_table(await self._picture()))

    async def _pnl(self, words: list[str]) -> str:
        from core.interfaces.summary_view import report_tables

        return self._drawn(report_tables(await ask(self._state_dir, "pnl")))

    async def _config(self, words: list[str]) -> str:
        lines = commands_ask.config_lines(await ask(self._state_dir, "config"))
        prefix = words[0] if words else ""
        found = [line for line in lines if line.startswith(prefix)]
        if not found:
            raise UsageError(f"nothing in the configuration begins with {prefix!r}")
        return "\n".join(found)

    def _strategy_handler(self, action: OperatorAction) -> Handler:
        async def operate(words: list[str]) -> str:
            if len(words) != 1:
                raise UsageError(f"usage: {_USAGE[action.value][0]}")
            strategy = await self._known_strategy(words[0])
            await self._operate(action, strategy=strategy)
            verb = "started" if action is OperatorAction.START_STRATEGY else "stopped"
            return f"{strategy}: asked to be {verb}"

        return operate

    def _operator_handler(self, action: OperatorAction) -> Handler:
        takes_coin = action.value in _OPERATE_COIN

        async def operate(words: list[str]) -> str:
            if len(words) > (1 if takes_coin else 0):
                raise UsageError(f"usage: {_USAGE[action.value][0]}")
            coin = words[0] if words else ""
            if coin:
                await self._known_coin(coin)
            await self._operate(action, coin=coin)
            scope = f" {coin}" if coin else ""
            return f"{action.value}{scope}: asked; status shows what follows"

        return operate

    async def _set_parameter(self, words: list[str]) -> str:
        if len(words) != 3:
            raise UsageError(f"usage: {_USAGE['set_parameter'][0]}")
        section, key, value = words
        _known("section", section, await self._sections())
        strategy = "" if section == _SECTION_TRADING else section
        await self._operate(OperatorAction.SET_PARAMETER, strategy=strategy, key=key, value=value)
        return f"{section}.{key}: asked to become {value}; the log says if it was refused"

    async def _stop(self, words: list[str]) -> str:
        await ask(self._state_dir, "stop", reason="stopped from the shell")
        return "the session ends in order: orders are cancelled, the journal is closed"

    async def _exit(self, words: list[str]) -> str:
        self.is_done = True
        return "bye; the bot goes on"

    async def _operate(self, action: OperatorAction, **fields: str) -> None:
        await ask(self._state_dir, "operate", action=action.value, who=WHO, **fields)

    async def _known_strategy(self, name: str) -> str:
        return _known("strategy", name, tuple((await self._picture()).strategies))

    async def _known_coin(self, name: str) -> str:
        return _known("coin", name, tuple(coin.coin for coin in (await self._picture()).coins))

    def _drawn(self, view: RenderableType) -> str:
        """Draw something as text, coloured only for a terminal."""
        from rich.console import Console

        target = io.StringIO()
        console = Console(
            file=target, width=self._width, force_terminal=self._is_coloured, highlight=False
        )
        console.print(view)
        return target.getvalue().rstrip()


def _known(what: str, name: str, names: tuple[str, ...]) -> str:
    """Return ``name`` if it is one of ``names``."""
    if name in names:
        return name
    raise UsageError(f"{what} should be one of {', '.join(names) or 'none'}, was {name!r}")


def main() -> None:
    """Run the command line; the entry point ``nova``."""
    app()
