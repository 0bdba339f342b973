"""The control socket: who may ask, what is answered, what happens to nonsense."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import JournalError, NotRunningError, PortInUseError
from core.runtime.control import ControlServer, control_request, socket_path


def _handlers(seen: list[dict[str, Any]]) -> dict[str, Any]:
    def echo(request: Any) -> Any:
        seen.append(dict(request))
        return {"said": request.get("text", "")}

    def refuse(request: Any) -> Any:
        raise ValueError("expected a colour, was 7")

    async def read(request: Any) -> Any:
        return await asyncio.to_thread(lambda: {"rows": 7})

    def fail(request: Any) -> Any:
        raise JournalError("journal should be intact, was not")

    return {"echo": echo, "refuse": refuse, "read": read, "fail": fail}


@pytest.fixture
async def server(tmp_path: Path) -> Any:
    seen: list[dict[str, Any]] = []
    control = ControlServer(tmp_path, _handlers(seen))
    await control.start()
    yield tmp_path, seen
    await control.close()


async def test_a_request_reaches_its_handler_and_comes_back(server: Any) -> None:
    path, seen = server
    assert await control_request(path, "echo", text="hello") == {"said": "hello"}
    assert seen == [{"command": "echo", "text": "hello"}]


async def test_only_the_owner_can_open_the_socket(server: Any) -> None:
    path, _ = server
    mode = stat.S_IMODE(socket_path(path).stat().st_mode)
    assert mode == 0o600


async def test_a_refusal_carries_the_sessions_own_words(server: Any) -> None:
    path, _ = server
    with pytest.raises(ValueError, match="expected a colour, was 7"):
        await control_request(path, "refuse")


async def test_what_takes_long_is_awaited_and_its_trouble_answered(server: Any) -> None:
    path, _ = server
    assert await control_request(path, "read") == {"rows": 7}
    with pytest.raises(ValueError, match="journal should be intact"):
        await control_request(path, "fail")


async def test_an_unknown_command_is_answered_with_the_known_ones(server: Any) -> None:
    path, _ = server
    known = r"one of \['echo', 'fail', 'read', 'refuse'\], was 'dance'"
    with pytest.raises(ValueError, match=known):
        await control_request(path, "dance")


@pytest.mark.parametrize("line", [b"not json\n", b"[1, 2]\n", b'"text"\n', b"\xff\xfe\n"])
async def test_nonsense_is_answered_and_the_server_lives(server: Any, line: bytes) -> None:
    path, _ = server
    reader, writer = await asyncio.open_unix_connection(str(socket_path(path)))
    writer.write(line)
    assert b'"ok":false' in await reader.readline()
    writer.close()
    assert await control_request(path, "echo", text="still here") == {"said": "still here"}


async def test_nobody_home_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="none did; start one"):
        await control_request(tmp_path, "status")


async def test_a_second_session_in_the_same_directory_is_refused(server: Any) -> None:
    path, seen = server
    with pytest.raises(PortInUseError, match="in use by a running session"):
        await ControlServer(path, _handlers(seen)).start()


async def test_a_socket_left_by_a_dead_session_is_replaced(tmp_path: Path) -> None:
    socket = socket_path(tmp_path)
    orphan = await asyncio.start_unix_server(lambda r, w: None, path=str(socket))
    orphan.close()
    assert socket.exists()
    control = ControlServer(tmp_path, _handlers([]))
    await control.start()
    assert await control_request(tmp_path, "echo", text="new") == {"said": "new"}
    await control.close()
