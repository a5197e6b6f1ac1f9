"""A server that plays vLLM's part over HTTP with a tiny model of its own, and misbehaves on request.

It answers what prerl-spec asks of `vllm serve` and its worker extension: samples from its own copy of the weights, which
it takes from the folder that it is shown.
"""

import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from prerl_components.samplers.embedded.sampler import EmbeddedSampler
from prerl_components.samplers.server.protocol import LOGPROBS_MODE, PROTOCOL, ServerState, identity, packed
from prerl_components.samplers.server.worker_extension import stored_tensors
from prerl_components.samplers.shared.row_hashes import digest, row_hashes

from prerl_spec.sdk import Codec, Decoding, LoadedModel, Request, SamplerSite
from prerl_spec.testing.tiny import tiny_loaded

KEY = "kept"
TRANSFER = ("init_weight_transfer_engine", "start_weight_update", "update_weights", "finish_weight_update")
"""The calls of vLLM's own weight transfer, in their order."""


@dataclass
class Double:
    """What the server is and does; a test changes it while it serves."""

    model: LoadedModel = field(default_factory=lambda: tiny_loaded(seed=9))
    key: str = KEY
    version: str | None = None
    logprobs_mode: str = LOGPROBS_MODE
    max_length: int = 512
    has_extension: bool = True
    noise: float = 0.0
    """What is added to each weight that it loads."""
    slow: float = 0.0
    """Seconds before a sample's answer."""
    broken: int = 0
    """How many of the next samples end in a broken connection."""
    busy: int = 0
    """How many of the next samples are answered with 503."""
    forgets_after: int = 10**9
    """Samples after which it is as if started anew."""
    dies_after: int = 10**9
    """Samples after which nothing listens any more and every connection breaks."""
    spoils: str | None = None
    """What is wrong with its samples: "nan", "aborted", "bare"."""
    loads: list[Path] = field(default_factory=list)
    drawn: list[dict[str, Any]] = field(default_factory=list)
    transfers: list[str] = field(default_factory=list)
    num_workers: int = 1
    prefix_resets: int = 0
    samplers: dict[tuple[int, ...], EmbeddedSampler] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    url: str = ""
    server: Any = None

    def state(self) -> dict[str, Any]:
        config: Any = self.model.module.config
        return ServerState(
            PROTOCOL, self.version, "float32", self.logprobs_mode, self.max_length, identity(config)
        )._asdict()

    def weights(self, method: str) -> dict[str, Any]:
        rows = {name: row_hashes(tensor) for name, tensor in self.model.module.named_parameters()}
        return {name: packed(found) if method == "prerl_rows" else digest(found) for name, found in rows.items()}

    def load(self, folder: str, version: str) -> None:
        self.take(stored_tensors(Path(folder)))
        self.version = version
        self.loads.append(Path(folder))

    @torch.no_grad()
    def take(self, tensors: Iterable[tuple[str, torch.Tensor]]) -> None:
        own = dict(self.model.module.named_parameters())
        for name, tensor in tensors:
            own[name].copy_(tensor + self.noise)

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        if "prompt_logprobs" in body:
            return {"prompt_logprobs": self._scored(body["prompt"])}
        self.drawn.append(body)
        if len(self.drawn) >= self.forgets_after:
            self.version = None
        sampler = self._sampler(tuple(body["stop_token_ids"]))
        decoding = Decoding(body["temperature"], body["top_p"], body["top_k"], body["max_tokens"], tuple(body["stop"]))
        ((g,),) = sampler.generate([Request(tuple(body["prompt"]), (body["seed"],))], decoding)
        logps = [float("nan") if self.spoils == "nan" else p for p in g.logps]
        return {
            "token_ids": None if self.spoils == "bare" else list(g.tokens),
            "logprobs": {"token_logprobs": logps},
            "finish_reason": "abort" if self.spoils == "aborted" else "length" if g.stop == "length" else "stop",
        }

    def _sampler(self, eos_ids: tuple[int, ...]) -> EmbeddedSampler:
        if eos_ids not in self.samplers:
            codec = Codec(self.model.codec.backend, chat_template=None, special={}, eos_ids=eos_ids)
            model = LoadedModel(self.model.module, None, codec, torch.float32, {})
            self.samplers[eos_ids] = EmbeddedSampler(SamplerSite(model, "cpu", self.max_length))
        return self.samplers[eos_ids]

    @torch.no_grad()
    def _scored(self, prompt: list[int]) -> list[Any]:
        module: Any = self.model.module
        logp = module(input_ids=torch.tensor([prompt])).logits[0].log_softmax(-1)
        return [None, *({str(t): {"logprob": float(logp[i, t])}} for i, t in enumerate(prompt[1:]))]


class _Handler(BaseHTTPRequestHandler):
    double: Double

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/health" else 404, None)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        double = self.double
        if self.headers.get("Authorization") != f"Bearer {double.key}":
            self._answer(401, {"error": "Unauthorized"})
        elif self.path == "/reset_prefix_cache":
            double.prefix_resets += 1
            self._answer(200, None)
        elif self.path == "/collective_rpc":
            self._call(body)
        elif self.path.removeprefix("/") in TRANSFER:
            double.transfers.append(self.path.removeprefix("/"))
            self._answer(200, {"message": "done"})
        elif self.path == "/v1/completions":
            self._complete(body)
        else:
            self._answer(404, {"detail": "Not Found"})

    def _call(self, body: dict[str, Any]) -> None:
        double, method = self.double, str(body["method"])
        if not double.has_extension:
            self._answer(500, {"error": {"message": f"'CPUWorker' object has no attribute '{method}'"}})
            return
        with double.lock:
            arguments = body.get("args", [])
            if method == "prerl_load":
                double.load(*arguments)
            elif method in ("prerl_forget", "prerl_hold"):
                double.version = arguments[0] if arguments else None
            found = double.weights(method) if method in ("prerl_rows", "prerl_digests") else double.state()
            self._answer(200, {"results": [found] * double.num_workers})

    def _complete(self, body: dict[str, Any]) -> None:
        double = self.double
        samples = "prompt_logprobs" not in body
        if samples and double.broken:
            double.broken -= 1
            self.close_connection = True
            return
        if samples and double.busy:
            double.busy -= 1
            self._answer(503, {"error": {"message": "busy"}})
            return
        if samples and double.slow:
            time.sleep(double.slow)
        with double.lock:
            if len(double.drawn) >= double.dies_after:
                silence(double)
                self.close_connection = True
                return
            choice = double.complete(body)
        self._answer(200, {"choices": [choice]})

    def _answer(self, status: int, content: Any) -> None:
        text = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        try:
            self.wfile.write(text)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the screen."""


class _Server(ThreadingHTTPServer):
    """Has its requests end before the interpreter does: a daemon thread that comes back from torch's C++ after that is
    unwound through it, and aborts the process ("terminate called without an active exception", exit 134)."""

    def __init__(self, handler: type[_Handler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.requests: list[tuple[threading.Thread, socket.socket]] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self.requests.append((thread, request))
        thread.start()

    def join_requests(self) -> None:
        """Waits for every answer that is on its way; a connection that is kept for another request is cut."""
        for thread, connection in self.requests:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
            thread.join()


@contextmanager
def serving(**what: Any) -> Iterator[Double]:
    """A double that listens on 127.0.0.1, until the end or `silence`."""
    double = Double(**what)
    handler = type("Handler", (_Handler,), {"double": double})
    double.server = _Server(handler)
    double.url = f"http://127.0.0.1:{double.server.server_port}"
    thread = threading.Thread(target=double.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield double
    finally:
        silence(double)
        thread.join()
        double.server.join_requests()


def silence(double: Double) -> None:
    """The server is gone: nothing listens at its address any more."""
    with double.lock:
        double.server.shutdown()
        double.server.server_close()
