"""Fakes that stand where a running bot and a session stand."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from core.model.account import EquityPoint
from core.model.errors import ExitCode
from core.model.settings import EngineConfig
from core.model.status import SystemStatus
from core.runtime.options import Outcome
from tests.interfaces import pictures

Fields = dict[str, Any]


class ControlServer:
    """A bot's control socket: one JSON object per line each way."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.requests: list[Fields] = []
        self.refusal = ""
        self.answers: dict[str, Any] = {
            "status": pictures.status(),
            "config": EngineConfig(),
            "operate": {"accepted": True},
            "stop": {"accepted": True},
        }
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    self.wfile.write(msgspec.json.encode(outer.answer(json.loads(line))) + b"\n")

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self._server = Server(str(state_dir / "control.sock"), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    def answer(self, request: Fields) -> Fields:
        self.requests.append(request)
        if self.refusal:
            return {"ok": False, "error": self.refusal, "exit_code": 2}
        return {"ok": True, "data": msgspec.to_builtins(self.answers[request["command"]])}

    def operated(self) -> list[Fields]:
        """What was asked of the engine, without empty fields."""
        return [
            {k: v for k, v in request.items() if v and k not in {"command", "who"}}
            for request in self.requests
            if request["command"] == "operate"
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class FakeSession:
    """A session that shows one status and remembers that it was asked to stop."""

    def __init__(self, status: SystemStatus | None = None) -> None:
        self._status = status or pictures.status()
        self.stop_reason = ""
        self.on_stop: Callable[[], None] = lambda: None

    def status(self) -> SystemStatus:
        return self._status

    def recent_equity(self) -> tuple[EquityPoint, ...]:
        return pictures.equity_points()

    def request_stop(self, reason: str) -> None:
        self.stop_reason = self.stop_reason or reason
        self.on_stop()


def outcome(directory: Path, **changes: Any) -> Outcome:
    base = Outcome(
        record=pictures.record(),
        directory=directory,
        journal_path=directory / "journal.sqlite",
        exit_code=ExitCode.OK,
        reason="duration is over",
    )
    return msgspec.structs.replace(base, **changes)
