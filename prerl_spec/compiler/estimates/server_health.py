"""Whether a server answers at an address: one health check with a short deadline, no proxy, nothing sent."""

import http.client
from urllib.parse import urlsplit

SECONDS = 3.0


def server_state(url: str) -> tuple[bool, str]:
    """(True, "answers"), or False and what was seen in its place."""
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
        return False, f"no answer ({error})"
    return (True, "answers") if status == 200 else (False, f"its health check answers {status}")
