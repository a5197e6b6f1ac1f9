"""Checks whether a server responds: one health request with a short timeout, no proxy, no payload."""

import http.client
from urllib.parse import urlsplit

SECONDS = 3.0


def server_state(url: str) -> tuple[bool, str]:
    """(True, "responds"), or (False, reason)."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=SECONDS)
        connection.request("GET", f"{parts.path.rstrip('/')}/health")
        status = connection.getresponse().status
        connection.close()
    except ConnectionRefusedError:
        return False, "nothing listens there"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return False, f"no response ({error})"
    return (True, "responds") if status == 200 else (False, f"its health check returns status {status}")
