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
        unread = _Unread(send)
        try:
            await self.app(scope, _once(body, receive), unread)
        except Exception:
            # The application has logged it; it was already answered, or could not be.
            if not unread.answered:
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


class _Unread:
    """Sends answers on; one to a request that broke the application before the model saw it is a client's error.

    The model's own errors are JSON; what breaks outside of it, such as JSON that is nested a thousand times, is text.
    """

    def __init__(self, send: Send) -> None:
        self.send = send
        self.answered = False
        self._broken = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = dict(message["headers"]).get(b"content-type", b"")
            self._broken = message["status"] == _INTERNAL and kind.startswith(b"text/plain")
            if self._broken:
                self.answered = True
                await _answer(self.send, _BAD_REQUEST, "the request could not be read")
        if not self._broken:
            await self.send(message)


def _once(body: bytes, receive: Receive) -> Receive:
    """Hands out a body that was read, then whatever comes."""
    left = [body]

    async def give() -> Message:
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return give


async def _answer(send: Send, status: int, message: str) -> None:
    content = json.dumps({"error_code": "BAD_REQUEST", "message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": content})
