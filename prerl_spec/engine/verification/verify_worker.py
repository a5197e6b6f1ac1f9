"""The worker process of a verifier: receives responses, replies with verdicts, may be killed at any time.

All messages go over the trainer's socket, in frames of a four-byte length (big-endian) and JSON: the verifier's own output is
discarded and cannot forge a message, and nothing is ever unpickled. Each request has an id that cannot be guessed, each
reply repeats it. The verifier runs in the main thread, under an address-space limit. No torch here.
"""

import importlib
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prerl_spec.broken_metadata import tolerate_broken_entry_points
from prerl_spec.engine.verification.confinement import die_with_parent
from prerl_spec.engine.verification.verify_copies import can_be_copied, continue_in_a_copy, open_files
from prerl_spec.process.json_frames import frame, read_frame
from prerl_spec.process.memory_limit import limit_memory
from prerl_spec.registry.file_module import execute, module_of_file
from prerl_spec.registry.kinds.judging import Verifier, WarmedUp
from prerl_spec.types import Verdict

MAX_TEXT = 2000
"""Most characters of an answer or a detail that are sent back."""

JUDGE, GOLD = "judge", "gold"
"""Kinds of requests: a verdict on a response, the check of a gold answer."""


def serve(connection: socket.socket) -> None:
    """Rebuilds the verifier that the first frame describes, sends `ready`, then verifies until the socket closes."""
    tolerate_broken_entry_points()
    requests = _Unbuffered(connection)
    opening = read_frame(requests)
    if opening is None:
        return
    limit_memory(opening["memory_bytes"])
    files = open_files()
    try:
        verifier = _rebuild(opening)
    except Exception as error:  # any error of an import or a warm-up is reported to the trainer
        connection.sendall(frame({"fault": _describe(error)}))
        return
    renews = can_be_copied(files) and continue_in_a_copy()
    if renews:
        die_with_parent(signal.SIGKILL)
    connection.sendall(frame({"ready": True, "renews": renews}))
    while (request := read_frame(requests)) is not None:
        connection.sendall(frame({"id": request["id"], **_answered(verifier, request)}))


def _rebuild(opening: Mapping[str, Any]) -> Verifier:
    module_name, _, class_name = opening["entry_value"].partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name or opening["file"] is None:
            raise
        module = _module_of_file(module_name, opening["file"])
    verifier: Verifier = getattr(module, class_name).model_validate(opening["settings"])
    if isinstance(verifier, WarmedUp):
        verifier.warm_up()
    return verifier


def _module_of_file(name: str, file: str) -> Any:
    """Imports a module that is not on the import path: a plugin file beside a spec."""
    place = Path(file)
    module = module_of_file(name, place, place.read_bytes())
    sys.modules[name] = module
    execute(module)
    return module


def _answered(verifier: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        if request["kind"] == GOLD:
            return {"refusal": _checked(verifier, request["gold"])}
        return _judged(verifier, request["response"], request["gold"])
    except MemoryError:
        return {"out_of_memory": True}
    except BaseException as error:  # math-verify's TimeoutException and SystemExit are not Exceptions
        return {"error": _describe(error)}


def _checked(verifier: Any, gold: str) -> str | None:
    why = verifier.check_gold(gold)
    if not isinstance(why, str | None):
        raise TypeError(f"check_gold returned {type(why).__name__}, not text or None")
    return None if why is None else why[:MAX_TEXT]


def _judged(verifier: Any, response: str, gold: str) -> dict[str, Any]:
    verdict = verifier.judge(response, gold)
    if not isinstance(verdict, Verdict):
        raise TypeError(f"judge returned {type(verdict).__name__}, not a Verdict")
    if (why := verdict.contradiction) is not None:
        kind = type(verifier)
        return {"error": f"verifier {kind.__module__}:{kind.__qualname__} contradicts itself: {why}"[:MAX_TEXT]}
    return {
        "outcome": verdict.outcome.value,
        "score": None if verdict.score is None else float(verdict.score),
        "answer": None if verdict.answer is None else verdict.answer[:MAX_TEXT],
        "detail": verdict.detail[:MAX_TEXT],
    }


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_TEXT]


class _Unbuffered:
    """A socket as a stream that reads nothing ahead: a copy of the process must find what was sent to it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def read(self, size: int, /) -> bytes:
        parts = bytearray()
        while len(parts) < size and (part := self._connection.recv(min(size - len(parts), 2**20))):
            parts += part
        return bytes(parts)
