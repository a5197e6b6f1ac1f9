"""A quick check whether the hub is reachable: its client retries each file for half a minute before it gives up."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies

from huggingface_hub import constants

SECONDS_ALLOWED = 5.0


def hub_answers() -> bool:
    """Whether a connection to the hub can be opened. Behind a proxy only the client itself can know: returns True."""
    if constants.HF_HUB_OFFLINE:
        return False
    if getproxies():
        return True
    endpoint = urlsplit(constants.ENDPOINT)
    port = endpoint.port or (80 if endpoint.scheme == "http" else 443)
    try:
        socket.create_connection((endpoint.hostname or "", port), SECONDS_ALLOWED).close()
    except OSError:
        return False
    return True


@contextmanager
def cache_alone_where_unreachable() -> Iterator[None]:
    """Makes the hub's client use its cache only, inside the context, if the hub is unreachable.

    The same as HF_HUB_OFFLINE=1 in the environment, which the client reads at import only.
    """
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = not hub_answers()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
