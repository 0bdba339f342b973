"""The log: one line, one fact, for a person to read. The journal is the truth, not this.

Lines read ``time level name key=value …`` (or JSON), go to stderr and to a file, never carry a
secret, and become counts when they repeat. Knows nothing of what is logged.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import logging.handlers
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from core.utils.redact import scrub

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
REPEAT_SECONDS = 10.0
_REPEAT_KEYS_MAX = 1_024
_FILE_BYTES_MAX = 20_000_000
_FILE_COUNT = 5
_ROOT = "nova"
# A fact that differs only in these is the same fact again.
_PASSING_FIELDS = frozenset({"seq", "ts_ns", "age_ms", "age_s"})


def configure(
    level: str = "info",
    json: bool = False,
    file: Path | None = None,
    *,
    stream: IO[str] | None = None,
    to_stderr: bool = True,
) -> None:
    """Say where log lines go; may be called again and then replaces what was said before.

    Parameters
    ----------
    level : str
        ``debug``, ``info``, ``warning`` or ``error``.
    json : bool
        One JSON object per line instead of key=value.
    file : Path, optional
        File that lines are added to; readable by its owner only, rotated at 20 MB, five kept.
    stream : text stream, optional
        Instead of stderr.
    to_stderr : bool
        Off where a live view owns the terminal.

    Raises
    ------
    ValueError
        If the level is none of the four.
    OSError
        If the file cannot be opened.
    """
    if level not in LEVELS:
        raise ValueError(f"log level should be one of {', '.join(LEVELS)}, was {level!r}")
    handlers: list[logging.Handler] = []
    if to_stderr or stream is not None:
        handlers.append(_StreamHandler(stream))
    if file is not None:
        handlers.append(_private_file(file))
    root = logging.getLogger()
    _set_handlers(root, handlers, is_json=json)
    # Libraries speak up only when something is wrong.
    root.setLevel(logging.WARNING)
    logging.getLogger(_ROOT).setLevel(LEVELS[level])
    _state.is_configured = True


class Logger:
    """Write facts; constructible without arguments.

    Parameters
    ----------
    name : str
        Part of the program, shown as ``logger=`` where it is not the main one.
    file : Path, optional
        Also write to this file (and, if nobody called `configure`, only to it). Lines of loggers
        below this one in name land there, too; a later file of the same name replaces it.
    monotonic : callable
        Stopwatch in seconds, by which repeats are counted.
    fields
        Bound to every line, such as ``session="demo-1"``.

    Notes
    -----
    The same level, name and fields within `REPEAT_SECONDS` are written once; the next line after
    that time carries ``repeated=N``.
    """

    def __init__(
        self,
        name: str = "",
        /,
        *,
        file: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        **fields: Any,
    ) -> None:
        self._target = logging.getLogger(_ROOT if name in ("", _ROOT) else f"{_ROOT}.{name}")
        self._monotonic = monotonic
        self._fields = fields
        self._repeats = _Repeats()
        if file is not None:
            _set_handlers(self._target, [_private_file(file)], is_json=False)
            if logging.getLogger(_ROOT).level == logging.NOTSET:
                logging.getLogger(_ROOT).setLevel(logging.INFO)

    def close(self) -> None:
        """Write the counts left and release this logger's own file."""
        self.flush()
        _set_handlers(self._target, [], is_json=False)

    def bind(self, **fields: Any) -> Logger:
        """Return a logger that adds ``fields`` to every line and counts repeats with this one."""
        bound = copy.copy(self)
        bound._fields = {**self._fields, **fields}
        return bound

    def debug(self, event: str, /, **fields: Any) -> None:
        """Write detail for whoever looks for a fault."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: Any) -> None:
        """Write a durable change."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: Any) -> None:
        """Write that something is degraded."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: Any) -> None:
        """Write that a person must act."""
        self._log(logging.ERROR, event, fields)

    def flush(self) -> None:
        """Write the counts of repeats not yet written."""
        for key, count in self._repeats.drain():
            self._emit(key[0], key[1], {**dict(key[2]), "repeated": count})

    def _log(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if not (_state.is_configured or _has_file(self._target)):
            configure()
        if not self._target.isEnabledFor(level):
            return
        fields = {**self._fields, **fields}
        key = (level, event, _fact(fields))
        repeated = self._repeats.count(key, self._monotonic())
        if repeated is None:
            return
        self._emit(level, event, {**fields, "repeated": repeated} if repeated else fields)

    def _emit(self, level: int, event: str, fields: dict[str, Any]) -> None:
        name = self._target.name.removeprefix(_ROOT).lstrip(".")
        shown = {"logger": name, **fields} if name else fields
        self._target.log(level, "%s", event, extra={"fields": shown, "is_fact": True})


Key = tuple[int, str, tuple[tuple[str, str], ...]]


class _Repeats:
    """Which facts were written when, and how often again since; bounded."""

    def __init__(self) -> None:
        self._seen: OrderedDict[Key, tuple[float, int]] = OrderedDict()

    def count(self, key: Key, now: float) -> int | None:
        """Return how many repeats to tell of with this line, ``None`` to write nothing."""
        since, count = self._seen.get(key, (float("-inf"), 0))
        if now - since < REPEAT_SECONDS:
            self._seen[key] = since, count + 1
            return None
        self._seen[key] = now, 0
        self._seen.move_to_end(key)
        if len(self._seen) > _REPEAT_KEYS_MAX:
            self._seen.popitem(last=False)
        return count

    def drain(self) -> list[tuple[Key, int]]:
        """Return and forget all counts above 0."""
        found = [(key, count) for key, (_, count) in self._seen.items() if count]
        self._seen.clear()
        return found


class _State:
    is_configured = False


_state = _State()


class _StreamHandler(logging.StreamHandler[Any]):
    """Writes to the stderr of the moment; trouble with the terminal never stops trading."""

    def __init__(self, stream: IO[str] | None) -> None:
        super().__init__(stream)
        self._is_stderr = stream is None

    def emit(self, record: logging.LogRecord) -> None:
        if self._is_stderr:
            self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop the line."""


class _FileHandler(logging.handlers.RotatingFileHandler):
    """Adds to a private file; a full disk never stops trading, the journal watches the disk."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop the line."""


class _ScrubbingFormatter(logging.Formatter):
    """Renders a record and removes whatever looks like a private key, tracebacks included."""

    def __init__(self, render: Callable[[dict[str, Any]], str]) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        fields = dict(getattr(record, "fields", {}))
        if not getattr(record, "is_fact", False):
            fields["logger"] = record.name
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        line = {
            "time": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{_free_name(k): _plain(v) for k, v in fields.items()},
        }
        return scrub(self._render(line))

    converter = staticmethod(time.gmtime)


def _renderer(*, is_json: bool) -> Callable[[dict[str, Any]], str]:
    if is_json:
        import msgspec

        return lambda line: msgspec.json.encode(line).decode()
    from structlog.processors import LogfmtRenderer

    pairs = LogfmtRenderer(bool_as_flag=False)

    def render(line: dict[str, Any]) -> str:
        rest = {k: v for k, v in line.items() if k not in ("time", "level", "event")}
        text = f"{line['time']} {line['level']:<7} {_one_line(line['event'])}"
        return f"{text} {pairs(None, '', rest)}" if rest else text

    return render


def _free_name(name: str) -> str:
    """Keep fields from overwriting the time, level or event of a line; spaces split names."""
    name = name.replace(" ", "_")
    return f"{name}_" if name in ("time", "level", "event") else name


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    return _one_line(str(getattr(value, "value", value)))


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _fact(fields: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((k, str(v)) for k, v in fields.items() if k not in _PASSING_FIELDS)


def _set_handlers(
    target: logging.Logger, handlers: Sequence[logging.Handler], *, is_json: bool
) -> None:
    """Replace our own handlers of ``target``; those of others stay."""
    for old in [h for h in target.handlers if isinstance(h, _StreamHandler | _FileHandler)]:
        target.removeHandler(old)
        old.close()
    formatter = _ScrubbingFormatter(_renderer(is_json=is_json))
    for handler in handlers:
        handler.setFormatter(formatter)
        target.addHandler(handler)


def _has_file(target: logging.Logger | None) -> bool:
    """Tell whether lines of ``target`` reach a file of some logger at or above it."""
    while target is not None:
        if any(isinstance(handler, _FileHandler) for handler in target.handlers):
            return True
        target = target.parent
    return False


def _private_file(file: Path) -> _FileHandler:
    file.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return _FileHandler(file, maxBytes=_FILE_BYTES_MAX, backupCount=_FILE_COUNT, encoding="utf-8")
