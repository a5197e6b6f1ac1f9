"""Authentication for the server, installed with `--middleware`: every path except the health check requires the key.

vLLM's own key protects `/v1` only; its development paths, which replace weights and call worker methods, would be open to
every user of the machine.
"""

import os
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from prerl_components.samplers.server.protocol import KEY_VARIABLE

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

OPEN_PATHS = ("/health",)


class KeyGuard:
    """ASGI middleware; without a key in the environment it rejects every request."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app
        key = os.environ.get(KEY_VARIABLE)
        self._expected = f"Bearer {key}".encode() if key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope.get("path") in OPEN_PATHS or self._has_key(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b'{"error": "the API key is missing or wrong"}'})
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _has_key(self, scope: Scope) -> bool:
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        return self._expected is not None and secrets.compare_digest(given, self._expected)
