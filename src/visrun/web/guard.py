"""Who may talk to the server: pure ASGI in front of everything else.

| rule | against |
|---|---|
| the Host header is exactly this server's | DNS rebinding |
| a cookie named with the port holds the token of this start | other users of the machine, other servers of this one |
| what changes something: exact Origin, a header of our own, JSON | other pages in the browser, on other ports too |
| pictures and data only to our own page | other pages that embed them |
| bodies of at most ``MOST_BYTES`` | memory |
| a strict content security policy, no sniffing, no referrer, no embedding | markup in class names and logs |
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

MOST_BYTES = 2_000_000  # of a request: an experiment.json as text inside JSON fits
OWN_HEADER = "x-visrun"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Refused(Exception):
    """A request that is not answered; the status and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Guard:
    """An ASGI application in front of ``app``.

    Args:
        port: The server's.
        cookie: The name of the login's cookie.
        token: What it holds, of this start; whoever has it may open the page.
    """

    def __init__(self, app: App, *, port: int, cookie: str, token: str) -> None:
        self.app, self.cookie, self.token = app, cookie, token
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.origins = {f"http://{host}" for host in self.hosts}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        try:
            self.check(Request(scope))
            receive = await _limited(scope, receive)
        except Refused as refused:
            answer = JSONResponse({"detail": refused.reason}, refused.status, headers={"connection": "close"})
            await answer(scope, receive, _with_headers(send))
            return
        await self.app(scope, receive, _with_headers(send))

    def check(self, request: Request) -> None:
        """Let a request through.

        Raises:
            Refused: It is not to be answered.
        """
        headers = request.headers
        if headers.getlist("host") != [headers.get("host")] or headers.get("host") not in self.hosts:
            raise Refused(403, "bad host")
        is_page = request.url.path == "/"
        if is_page and self.matches(request.query_params.get("token")):
            return  # the page answers with the cookie and an address without the token
        if not self.matches(request.cookies.get(self.cookie)):
            raise Refused(403, "no login: open the address that visrun ui printed")
        if request.method in ("GET", "HEAD"):
            if not is_page and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                raise Refused(403, "cross-site request")
            return
        if headers.get("origin") not in self.origins or headers.get(OWN_HEADER) != "1":
            raise Refused(403, "cross-site request")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, "JSON only")

    def matches(self, given: str | None) -> bool:
        """Whether this is the token."""
        return secrets.compare_digest((given or "").encode(), self.token.encode())  # bytes: str refuses non-ASCII


async def _limited(scope: Message, receive: Receive) -> Receive:
    """A ``receive`` that gives the body, which has been read up to its limit.

    Raises:
        Refused: It is larger.
    """
    if scope["method"] in ("GET", "HEAD"):
        return receive
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BYTES:
            raise Refused(413, f"larger than {MOST_BYTES:,} bytes")
        parts.append(part)
        more = message["type"] == "http.request" and message.get("more_body", False)
    whole: list[Message] = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

    async def replay() -> Message:
        return whole.pop() if whole else await receive()

    return replay


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = message.get("headers", [])
            names = {name for name, _ in given}
            own = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in names]
            message["headers"] = [*given, *own]
        await send(message)

    return sending
