"""One vLLM server over HTTP: asked with a key and a deadline, retried where that is safe, and told about by its address.

Left out: connections kept open (one costs less than a token), and proxies, which no environment variable may slip in
between a trainer and its sampler.
"""

import http.client
import json
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

RETRY_SECONDS = (0.5, 1.0, 2.0)
"""Pauses before the second and each later try: a server that restarts its front end is back within them."""

CONNECT_SECONDS = 10.0

TRANSIENT = frozenset({429, 500, 502, 503, 504})


class ServerFault(Exception):
    """A server that cannot be used: its address, what was seen there, and what to do."""

    def __init__(self, url: str, seen: str, hint: str) -> None:
        super().__init__(f"vLLM server {url}: {seen}")
        self.url = url
        self.seen = seen
        self.hint = hint


class Refused(Exception):
    """An answer with an error status: `status` and the server's own words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{status}: {words}")
        self.status = status
        self.words = words


class ServerConnection:
    """The way to one server. Every method may be called by several threads at once."""

    def __init__(self, url: str, key: str | None) -> None:
        parts = urlsplit(url)
        self.url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._open: set[http.client.HTTPConnection] = set()
        self._cut = False
        self._lock = threading.Lock()

    def get(self, path: str, *, seconds: float) -> Any:
        """The JSON at a path, None for an empty answer. Raises ServerFault."""
        return self._answered("GET", path, None, seconds, retries=RETRY_SECONDS)

    def ask(self, path: str, body: dict[str, Any], *, seconds: float) -> Any:
        """Posts what may be asked twice without harm, and is, where the connection breaks. Raises ServerFault; Refused
        for a request that this server will never answer otherwise."""
        return self._answered("POST", path, body, seconds, retries=RETRY_SECONDS)

    def tell(self, path: str, body: dict[str, Any], *, seconds: float) -> Any:
        """Posts once. Raises ServerFault, Refused."""
        return self._answered("POST", path, body, seconds, retries=())

    def cut(self) -> None:
        """Breaks every request under way, and refuses new ones until `restore`."""
        with self._lock:
            self._cut = True
            for connection in self._open:
                if connection.sock is not None:
                    _shut(connection.sock)

    def restore(self) -> None:
        """Allows requests again."""
        with self._lock:
            self._cut = False

    def _answered(
        self, method: str, path: str, body: dict[str, Any] | None, seconds: float, retries: tuple[float, ...]
    ) -> Any:
        pauses = iter(retries)
        while True:
            try:
                return self._once(method, path, body, seconds)
            except TimeoutError as late:
                raise ServerFault(
                    self.url,
                    f"no answer to {path} within {seconds:.0f} s",
                    "look at the server's log and load; fewer or shorter samples, or more servers, take less",
                ) from late
            except (OSError, http.client.HTTPException, Refused) as error:
                if isinstance(error, Refused) and error.status not in TRANSIENT:
                    raise self._refusal(error) from error
                pause = None if self._cut else next(pauses, None)
                if pause is None:
                    if isinstance(error, Refused):
                        raise self._refusal(error) from error
                    raise self._gone(error) from error
                time.sleep(pause)

    def _once(self, method: str, path: str, body: dict[str, Any] | None, seconds: float) -> Any:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=min(seconds, CONNECT_SECONDS))
        with self._lock:
            if self._cut:
                raise ConnectionAbortedError("cut")
            self._open.add(connection)
        try:
            connection.connect()
            connection.sock.settimeout(seconds)
            connection.request(method, self._path + path, json.dumps(body) if body is not None else None, self._headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()
        if answer.status >= 400:
            raise Refused(answer.status, _words(content))
        return _parsed(content) if content.strip() else None

    def _refusal(self, error: Refused) -> Exception:
        if error.status in (401, 403):
            return ServerFault(
                self.url,
                f"it refuses the key ({error.status})",
                'give the sampler the key that the servers were started with: `key = "${secret:NAME}"`, the same NAME in '
                "both environments",
            )
        if error.status >= 500:
            return ServerFault(self.url, f"it answers {error.status}: {error.words}", "its log says why; restart it")
        return error

    def _gone(self, error: Exception) -> ServerFault:
        seen = (
            "nothing listens there"
            if isinstance(error, ConnectionRefusedError)
            else f"the connection broke ({error!r})"
        )
        return ServerFault(self.url, seen, "start it (`prerl-spec serve SPEC`); then the same command goes on")


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        raise http.client.HTTPException(f"no JSON but {content[:60]!r}") from None


def _words(content: bytes) -> str:
    """What an error answer says: vLLM's own message where it is one, else its beginning."""
    try:
        error = json.loads(content)["error"]
        return str(error["message"] if isinstance(error, dict) else error)[:400]
    except (ValueError, KeyError, TypeError):
        return content[:200].decode(errors="replace").strip() or "no words"


def _shut(connected: socket.socket) -> None:
    try:
        connected.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The peer was faster: it is closed already.
        return
