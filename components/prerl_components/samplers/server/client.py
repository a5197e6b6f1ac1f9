"""Client of one vLLM server: its state and weight version, weight pushes, samples, and log-probabilities of texts."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prerl_components.samplers.server.connection import HttpError, ServerConnection, ServerFault
from prerl_components.samplers.server.protocol import LOGPROBS_MODE, PROTOCOL, ServerState, unpacked
from prerl_components.samplers.shared.row_hashes import Hashes
from prerl_components.samplers.shared.weight_probe import Text

CALL_SECONDS = 60.0
LOAD_SECONDS = 1800.0
"""A push may wait for a network file system."""

RESTART = "start it with `prerl-spec serve SPEC`, which sets the options that the trainer needs"


class ServerSample(NamedTuple):
    """One sample as returned by a server."""

    tokens: tuple[int, ...]
    logps: tuple[float, ...]
    finish_reason: str | None


class ServerCalls:
    """The calls to one server. Every method raises ServerFault, with the URL, the problem and a hint."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.url = connection.url

    def state(self) -> ServerState:
        """The state of the server's workers. Raises ServerFault if they differ."""
        try:
            response = self.connection.post_idempotent(
                "/collective_rpc", {"method": "prerl_state"}, seconds=CALL_SECONDS
            )
        except HttpError as error:
            raise self._incompatible(f"it has no /collective_rpc ({error.status})") from error
        except ServerFault as fault:
            if "prerl_state" in fault.problem:
                raise self._incompatible("it runs without prerl-spec's worker extension") from fault
            raise
        return self._one_state(response)

    def require_same_model(self, expected: Mapping[str, Any], dtype: str) -> ServerState:
        """Raises ServerFault if the server's model, dtype, logprobs_mode or protocol differ from the trainer's."""
        state = self.state()
        found = {
            **{name: (value, state.model[name]) for name, value in expected.items() if name in state.model},
            "dtype": (dtype, state.dtype),
            "logprobs_mode": (LOGPROBS_MODE, state.logprobs_mode),
            "protocol": (PROTOCOL, state.protocol),
        }
        wrong = [f"{name} {actual}, trainer {wanted}" for name, (wanted, actual) in found.items() if wanted != actual]
        if wrong:
            raise ServerFault(self.url, f"its model differs from the trainer's: {'; '.join(wrong)}", RESTART)
        return state

    def require_version(self, version: str) -> None:
        """Raises ServerFault if the server holds other weights than this version."""
        held = self.state().version
        if held != version:
            found = "no pushed weights (it was restarted)" if held is None else f"the weights {held}"
            raise ServerFault(
                self.url,
                f"it holds {found}; the trainer's are {version}",
                "its samples are discarded; re-run the same command to resume, which pushes the weights again. A server "
                "can serve only one run at a time",
            )

    def load(self, folder: Path, version: str) -> None:
        """Makes the server load the weights of a folder and reset its prefix cache."""
        body = {"method": "prerl_load", "args": [str(folder), version], "timeout": LOAD_SECONDS}
        try:
            response = self.connection.post("/collective_rpc", body, seconds=LOAD_SECONDS)
            self.connection.post("/reset_prefix_cache", {}, seconds=CALL_SECONDS)
        except HttpError as error:
            raise self._incompatible(f"it does not accept weights ({error})") from error
        held = self._one_state(response).version
        if held != version:
            raise ServerFault(self.url, f"after the push of {version} it holds {held}", RESTART)

    def clear_version(self) -> None:
        """Clears the server's version before a push by a transfer engine: its weights then match no version."""
        self._version_call("prerl_forget", [])

    def set_version(self, version: str) -> None:
        """Sets the server's version after a push by a transfer engine, and resets its prefix cache."""
        self._version_call("prerl_hold", [version])
        self.transfer("reset_prefix_cache", {})

    def transfer(self, path: str, body: dict[str, Any]) -> None:
        """A call of vLLM's own transfer protocol, without retries."""
        try:
            self.connection.post(f"/{path}", body, seconds=LOAD_SECONDS)
        except HttpError as error:
            raise self._incompatible(f"it does not accept weights ({error})") from error

    def num_workers(self) -> int:
        """The number of the server's worker processes."""
        response = self.connection.post_idempotent("/collective_rpc", {"method": "prerl_state"}, seconds=CALL_SECONDS)
        self._one_state(response)
        return len(response["results"])

    def row_hashes(self) -> list[dict[str, Hashes]]:
        """For each worker the row hashes of the weights that it computes with, by their names in the engine."""
        return [{name: unpacked(rows) for name, rows in worker.items()} for worker in self._weights("prerl_rows")]

    def row_digests(self) -> list[dict[str, int]]:
        """For each worker the digests of those rows."""
        return [{name: int(value) for name, value in worker.items()} for worker in self._weights("prerl_digests")]

    def complete(self, body: Mapping[str, Any], *, seconds: float) -> ServerSample:
        """One sample. Retried on a broken connection: the same seed on the same weights gives the same sample."""
        choice = self._completion(
            {**body, "n": 1, "return_token_ids": True, "return_tokens_as_token_ids": True}, seconds=seconds
        )
        tokens, logps = choice.get("token_ids"), (choice.get("logprobs") or {}).get("token_logprobs")
        if not isinstance(tokens, list) or not isinstance(logps, list) or len(tokens) != len(logps):
            raise self._incompatible("its responses contain no token ids with log-probabilities")
        if not all(isinstance(p, float | int) and math.isfinite(p) for p in logps):
            raise ServerFault(
                self.url,
                "its log-probabilities are not finite",
                "check grad_norm and lr of the last steps: the weights have probably diverged",
            )
        return ServerSample(tuple(tokens), tuple(map(float, logps)), choice.get("finish_reason"))

    def score(self, texts: Sequence[Text]) -> list[list[float]]:
        """log P(token | context, earlier tokens) of each token of each text, at temperature 1, in nats."""
        return [self._scored(text) for text in texts]

    def _weights(self, method: str) -> list[dict[str, Any]]:
        body = {"method": method, "timeout": LOAD_SECONDS}
        try:
            response = self.connection.post_idempotent("/collective_rpc", body, seconds=LOAD_SECONDS)
            return [dict(worker) for worker in response["results"]]
        except (HttpError, KeyError, TypeError, ValueError) as error:
            raise self._incompatible(f"it does not report its weights ({error})") from error

    def _version_call(self, method: str, arguments: list[str]) -> None:
        try:
            self.connection.post("/collective_rpc", {"method": method, "args": arguments}, seconds=CALL_SECONDS)
        except HttpError as error:
            raise self._incompatible(f"it does not report its weight version ({error})") from error

    def _scored(self, text: Text) -> list[float]:
        body = {"prompt": [*text.context, *text.tokens], "max_tokens": 1, "prompt_logprobs": 0, "temperature": 1.0}
        choice = self._completion(body, seconds=CALL_SECONDS)
        try:
            places = choice["prompt_logprobs"][len(text.context) :]
            return [float(place[str(t)]["logprob"]) for place, t in zip(places, text.tokens, strict=True)]
        except (KeyError, TypeError, ValueError):
            raise self._incompatible("it does not return prompt_logprobs") from None

    def _completion(self, body: dict[str, Any], *, seconds: float) -> dict[str, Any]:
        try:
            response = self.connection.post_idempotent("/v1/completions", body, seconds=seconds)
        except HttpError as error:
            raise ServerFault(self.url, f"it rejects a request ({error})", RESTART) from error
        try:
            choice: dict[str, Any] = response["choices"][0]
        except (KeyError, TypeError, IndexError):
            raise self._incompatible("its responses are not in vLLM's format") from None
        return choice

    def _one_state(self, response: Any) -> ServerState:
        try:
            states = [ServerState(**worker) for worker in response["results"]]
        except (KeyError, TypeError):
            raise self._incompatible("its workers do not report their weight version") from None
        if not states or any(state != states[0] for state in states):
            raise ServerFault(self.url, f"its {len(states)} workers do not hold the same weights", RESTART)
        return states[0]

    def _incompatible(self, problem: str) -> ServerFault:
        return ServerFault(self.url, f"{problem}: it was not started by `prerl-spec serve`", RESTART)
