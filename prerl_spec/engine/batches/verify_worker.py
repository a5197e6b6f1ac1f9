"""A verifier's own process: takes a response, answers with a verdict, and may be killed at any moment.

`python -m prerl_spec.engine.batches.verify_worker FD`. Talk goes over the socket FD alone, in frames of four bytes of length
(big-endian) and JSON: what the verifier prints goes nowhere and can forge nothing, and nothing is ever unpickled.
The verifier runs in the main thread, under a limit on its address space. No torch here.
"""

import ctypes
import importlib
import importlib.util
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from prerl_spec.registry.kinds import Verifier, WarmedUp
from prerl_spec.types import Verdict

MAX_TEXT = 2000
"""Characters of an answer or a detail that travel back."""

_PR_SET_PDEATHSIG = 1


def frame(message: Mapping[str, Any]) -> bytes:
    """A message as it travels. ASCII, so that half a surrogate pair in a response travels too."""
    body = json.dumps(message).encode("ascii")
    return len(body).to_bytes(4, "big") + body


def main() -> None:
    """Rebuilds the verifier that the first frame describes, says `ready`, then judges until the socket closes."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    # Programs that a verifier starts must not inherit the way to answer.
    connection.set_inheritable(False)
    _die_with_the_trainer()
    opening = _receive(connection)
    if opening is None:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (opening["memory_bytes"], opening["memory_bytes"]))
    try:
        verifier = _rebuild(opening)
    except Exception as error:  # whatever an import or a warm-up raises, the trainer has to hear of it
        connection.sendall(frame({"fault": _said(error)}))
        return
    connection.sendall(frame({"ready": True}))
    while (request := _receive(connection)) is not None:
        connection.sendall(frame({"id": request["id"], **_judge(verifier, request["response"], request["gold"])}))


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
    """A module that no import path leads to: a plugin file beside a spec."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"no Python module in {file}", name=name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _judge(verifier: Any, response: str, gold: str) -> dict[str, Any]:
    try:
        verdict = verifier.judge(response, gold)
        if not isinstance(verdict, Verdict):
            raise TypeError(f"judge gave {type(verdict).__name__}, not a Verdict")
    except MemoryError:
        return {"out_of_memory": True}
    except BaseException as error:  # math-verify's TimeoutException and SystemExit are no Exceptions
        return {"outcome": "error", "score": None, "answer": None, "detail": _said(error)}
    return {
        "outcome": verdict.outcome.value,
        "score": None if verdict.score is None else float(verdict.score),
        "answer": None if verdict.answer is None else verdict.answer[:MAX_TEXT],
        "detail": verdict.detail[:MAX_TEXT],
    }


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_TEXT]


def _receive(connection: socket.socket) -> Any:
    """The next message, None when the trainer has closed the socket."""
    header = _read(connection, 4)
    body = None if header is None else _read(connection, int.from_bytes(header, "big"))
    return None if body is None else json.loads(body)


def _read(connection: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 2**20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _die_with_the_trainer() -> None:
    """A verifier that hangs reads no closed socket: on Linux the kernel ends it with the process that started it."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main()
