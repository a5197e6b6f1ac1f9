"""HTTP requests to one vLLM server: API key, deadline, retries where safe, and errors that name the URL.

Not supported: persistent connections (opening one costs less than a token), and proxies, so that no environment variable
can put one between a trainer and its sampler.
"""

import http.client
import json
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

RETRY_SECONDS = (0.5, 1.0, 2.0)
"""Pauses before the second and later attempts: long enough for a server to restart its front end."""

CONNECT_SECONDS = 10.0

TRANSIENT = frozenset({429, 500, 502, 503, 504})


class ServerFault(Exception):
    """A server that cannot be used: its URL, the problem, and a hint."""

    def __init__(self, url: str, problem: str, hint: str) -> None:
        super().__init__(f"vLLM server {url}: {problem}")
        self.url = url
        self.problem = problem
        self.hint = hint


class HttpError(Exception):
    """A response with an error status: `status` and the server's message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class ServerConnection:
    """A connection to one server. All methods are thread-safe."""

    def __init__(self, url: str, key: str | None) -> None:
        parts = urlsplit(url)
        self.url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._open: set[http.client.HTTPConnection] = set()
        self._aborted = False
        self._lock = threading.Lock()

    def get(self, path: str, *, seconds: float) -> Any:
        """GETs a path and returns its JSON, None for an empty response. Raises ServerFault."""
        return self._request("GET", path, None, seconds, retries=RETRY_SECONDS)

    def post_idempotent(self, path: str, body: dict[str, Any], *, seconds: float) -> Any:
        """POSTs an idempotent request, with retries on transient errors. Raises ServerFault; HttpError for a permanent
        error status."""
        return self._request("POST", path, body, seconds, retries=RETRY_SECONDS)

    def post(self, path: str, body: dict[str, Any], *, seconds: float) -> Any:
        """POSTs once, without retries. Raises ServerFault, HttpError."""
        return self._request("POST", path, body, seconds, retries=())

    def abort(self) -> None:
        """Aborts all requests in flight, and rejects new ones until `restore`."""
        with self._lock:
            self._aborted = True
            for connection in self._open:
                if connection.sock is not None:
                    _shut(connection.sock)

    def restore(self) -> None:
        """Allows requests again."""
        with self._lock:
            self._aborted = False

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None, seconds: float, retries: tuple[float, ...]
    ) -> Any:
        pauses = iter(retries)
        while True:
            try:
                return self._once(method, path, body, seconds)
            except TimeoutError as late:
                raise ServerFault(
                    self.url,
                    f"no response to {path} within {seconds:.0f} s",
                    "check the server's log and load; use fewer or shorter samples, or more servers",
                ) from late
            except (OSError, http.client.HTTPException, HttpError) as error:
                if isinstance(error, HttpError) and error.status not in TRANSIENT:
                    raise self._as_fault(error) from error
                pause = None if self._aborted else next(pauses, None)
                if pause is None:
                    if isinstance(error, HttpError):
                        raise self._as_fault(error) from error
                    raise self._unreachable(error) from error
                time.sleep(pause)

    def _once(self, method: str, path: str, body: dict[str, Any] | None, seconds: float) -> Any:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=min(seconds, CONNECT_SECONDS))
        with self._lock:
            if self._aborted:
                raise ConnectionAbortedError("aborted")
            self._open.add(connection)
        try:
            connection.connect()
            connection.sock.settimeout(seconds)
            connection.request(method, self._path + path, json.dumps(body) if body is not None else None, self._headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()
        if response.status >= 400:
            raise HttpError(response.status, _error_message(content))
        return _parsed(content) if content.strip() else None

    def _as_fault(self, error: HttpError) -> Exception:
        if error.status in (401, 403):
            return ServerFault(
                self.url,
                f"it rejects the key ({error.status})",
                'use the key that the servers were started with: `key = "${secret:NAME}"`, with the same NAME in both '
                "environments",
            )
        if error.status >= 500:
            return ServerFault(self.url, f"it returned {error.status}: {error.message}", "see its log, and restart it")
        return error

    def _unreachable(self, error: Exception) -> ServerFault:
        problem = (
            "nothing listens there"
            if isinstance(error, ConnectionRefusedError)
            else f"the connection broke ({error!r})"
        )
        return ServerFault(
            self.url, problem, "start it (`prerl-spec serve SPEC`), then re-run the same command to resume"
        )


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        raise http.client.HTTPException(f"not JSON: {content[:60]!r}") from None


def _error_message(content: bytes) -> str:
    """The message of an error response: vLLM's own if it has one, else the first 200 bytes."""
    try:
        error = json.loads(content)["error"]
        return str(error["message"] if isinstance(error, dict) else error)[:400]
    except (ValueError, KeyError, TypeError):
        return content[:200].decode(errors="replace").strip() or "empty response"


def _shut(connected: socket.socket) -> None:
    try:
        connected.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The peer has already closed it.
        return
