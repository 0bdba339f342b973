"""How programs on this machine talk to a running session: a Unix socket only its owner can open.

One JSON object per line each way: ``{"command": "status"}`` is answered by
``{"ok": true, "data": …}`` or ``{"ok": false, "error": …, "exit_code": …}``. The file system's
permissions are the authentication; nothing listens on a network.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from core.model.codes import OperatorAction
from core.model.errors import ExitCode, NotRunningError, NovaError, PortInUseError

if TYPE_CHECKING:
    from core.runtime.session import Session

SOCKET_NAME = "control.sock"
SOCKET_PATH_MAX = 100
LINE_BYTES_MAX = 4 * 1024 * 1024
REQUEST_SECONDS_MAX = 10.0
_OPERATE_FIELDS = ("coin", "strategy", "key", "value", "reason")

Handler = Callable[[Mapping[str, Any]], Any]
"""Returns plain data, or an awaitable of it where that takes long: trading goes on meanwhile."""


def socket_path(state_dir: Path) -> Path:
    """Return where a session with this state directory listens.

    The address of a Unix socket is short (about 100 bytes); for a longer path it lies in a private
    folder for temporary files, under a name that follows from the path.
    """
    path = (state_dir / SOCKET_NAME).absolute()
    if len(str(path).encode()) <= SOCKET_PATH_MAX:
        return path
    digest = hashlib.blake2b(str(path).encode(), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"nova-{os.getuid()}" / f"{digest}.sock"


async def ensure_free(state_dir: Path) -> None:
    """Make sure that no session runs in a state directory.

    Raises
    ------
    PortInUseError
        If one does; a socket that a dead session left is no hindrance.
    """
    path = socket_path(state_dir)
    if path.exists() and await _is_answered(path):
        raise PortInUseError(
            f"state directory should be free, was in use by a running session at {path}; "
            f"stop it (nova shell, then stop) or give another --state-dir"
        )


class ControlServer:
    """Answer requests about one session until closed."""

    def __init__(self, state_dir: Path, handlers: Mapping[str, Handler]) -> None:
        self._state_dir = state_dir
        self._path = socket_path(state_dir)
        self._handlers = handlers
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a socket left by a dead session is replaced, a live one is an error."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._path.parent.stat().st_uid != os.getuid():
            raise PortInUseError(f"{self._path.parent} should be yours, belongs to somebody else")
        await ensure_free(self._state_dir)
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(
            self._serve, path=str(self._path), limit=LINE_BYTES_MAX
        )
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.LimitOverrunError, ValueError):
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(line, type=dict[str, Any])
            handler = self._handlers[str(request.get("command", ""))]
        except msgspec.DecodeError as error:
            return _failure(f"request should be one JSON object per line: {error}")
        except KeyError as error:
            return _failure(f"command should be one of {sorted(self._handlers)}, was {error}")
        try:
            data = handler(request)
            return {"ok": True, "data": await data if inspect.isawaitable(data) else data}
        except ValueError as error:
            return _failure(str(error))
        except NovaError as error:
            return _failure(str(error), error.exit_code)


def session_handlers(
    session: Session, *, config: Mapping[str, Any], pnl: Callable[[], Any]
) -> dict[str, Handler]:
    """Return the commands every session answers."""

    def operate(request: Mapping[str, Any]) -> dict[str, Any]:
        action = OperatorAction(str(request.get("action", "")))
        fields = {name: str(request.get(name, "")) for name in _OPERATE_FIELDS}
        session.operate(action, str(request.get("who", "control")), **fields)
        return {"accepted": True}

    def stop(request: Mapping[str, Any]) -> dict[str, Any]:
        session.request_stop(str(request.get("reason") or "asked to stop"))
        return {"accepted": True}

    return {
        "status": lambda request: msgspec.to_builtins(session.status()),
        "operate": operate,
        "pnl": lambda request: pnl(),
        "config": lambda request: dict(config),
        "stop": stop,
    }


async def control_request(state_dir: Path, command: str, **fields: Any) -> Any:
    """Ask the session running in ``state_dir`` and return its data.

    Raises
    ------
    NotRunningError
        If no session answers there.
    ValueError
        If the session refused the request; the text says why.
    """
    path = socket_path(state_dir)
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=LINE_BYTES_MAX)
    except (FileNotFoundError, ConnectionError, OSError):
        raise NotRunningError(
            f"a session should listen at {path}, none did; start one (nova demo) or name its "
            f"directory with --state-dir"
        ) from None
    try:
        writer.write(msgspec.json.encode({"command": command, **fields}) + b"\n")
        await writer.drain()
        line = await asyncio.wait_for(reader.readline(), REQUEST_SECONDS_MAX)
    except (TimeoutError, ConnectionError):
        line = b""
    finally:
        writer.close()
    if not line:
        raise NotRunningError(f"the session at {path} should answer, it closed or was silent")
    answer = msgspec.json.decode(line, type=dict[str, Any])
    if not answer["ok"]:
        raise ValueError(answer["error"])
    return answer["data"]


def _failure(text: str, code: ExitCode = ExitCode.USAGE) -> dict[str, Any]:
    return {"ok": False, "error": text, "exit_code": int(code)}


async def _is_answered(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return False
    writer.close()
    return True
