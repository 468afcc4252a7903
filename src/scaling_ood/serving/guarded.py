"""MLflow's scoring server behind a guard: what is too large is refused before it is held, whatever it is.

MLflow reads a request whole, however large, and answers some malformed ones as if the fault were its own.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_BAD_REQUEST, _TOO_LARGE, _INTERNAL = 400, 413, 500
_PATIENCE = 10
"""How many times the limit is read of a request that is too large."""


class Guarded:
    """An ASGI application that passes on what another one can take.

    Attributes:
        app: The other one.
        most_bytes: Of the body of a request.
    """

    def __init__(self, app: App, most_bytes: int) -> None:
        """Guard an application."""
        self.app = app
        self.most_bytes = most_bytes

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = await self._body(scope, receive)
        if body is None:
            told = f"a request has at most {self.most_bytes / 1e6:g} MB"
            await _answer(send, _TOO_LARGE, told)
            return
        answers = _Answers(send)
        try:
            await self.app(scope, _once(body, receive), answers)
        except Exception:
            # The application has logged it; it was already answered, or could not be.
            if not answers.answered:
                raise

    async def _body(self, scope: MutableMapping[str, Any], receive: Receive) -> bytes | None:
        """The whole body; None where it is too large, without holding it."""
        stated = dict(scope["headers"]).get(b"content-length", b"0")
        fits = not (stated.isdigit() and int(stated) > self.most_bytes)
        parts: list[bytes] = []
        size, more = 0, True
        # What does not fit is read and thrown away, as most clients listen only after they have sent everything.
        while more and size <= _PATIENCE * self.most_bytes:
            message = await receive()
            part = message.get("body", b"")
            size += len(part)
            fits = fits and size <= self.most_bytes
            parts.append(part)
            if not fits:
                parts.clear()
            more = message.get("more_body", False)
        return b"".join(parts) if fits else None


class _Answers:
    """Sends answers on, errors in plain words.

    An error to a request that broke the application before the model saw it is the client's: the model's own errors are
    JSON; what breaks outside of it, such as JSON that is nested a thousand times, is text. Of JSON only the reason is
    sent, which MLflow puts behind a copy of all that was sent to it.
    """

    def __init__(self, send: Send) -> None:
        self.send = send
        self.answered = False
        self._held: Message | None = None
        self._content = b""

    async def __call__(self, message: Message) -> None:
        if self.answered:
            return
        if message["type"] == "http.response.start" and message["status"] >= _BAD_REQUEST:
            self._held = message
            return
        if self._held is None:
            await self.send(message)
            return
        self._content += message.get("body", b"")
        kind = dict(self._held["headers"]).get(b"content-type", b"")
        broken = self._held["status"] == _INTERNAL and kind.startswith(b"text/plain")
        if broken or not message.get("more_body", False):
            status, self._held, self.answered = self._held["status"], None, True
            await self._told(_BAD_REQUEST if broken else status, kind, broken)

    async def _told(self, status: int, kind: bytes, broken: bool) -> None:
        told = _reason(self._content) if kind.startswith(b"application/json") else None
        if broken:
            told = {"error_code": "BAD_REQUEST", "message": "the request could not be read"}
        content = self._content if told is None else json.dumps(told).encode()
        await _send(self.send, status, content, kind if told is None else b"application/json")


def _reason(content: bytes) -> dict[str, Any] | None:
    """An error of MLflow's without the copy of the request; None where it is something else."""
    try:
        told = json.loads(content)
    except ValueError:
        return None
    if not isinstance(told, dict) or not isinstance(told.get("message"), str):
        return None
    return {**told, "message": told["message"].rpartition("Error: ")[2]}


def _once(body: bytes, receive: Receive) -> Receive:
    """Hands out a body that was read, then whatever comes."""
    left = [body]

    async def give() -> Message:
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return give


async def _answer(send: Send, status: int, message: str) -> None:
    content = json.dumps({"error_code": "BAD_REQUEST", "message": message}).encode()
    await _send(send, status, content, b"application/json")


async def _send(send: Send, status: int, content: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(content)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
