"""The opened sampler `vllm_server`: running servers that load weights from a folder and sample over HTTP.

The first process pushes weights, all processes sample: a prompt's samples come from one server, prompts are assigned
round-robin. Samples are returned only after their servers have reported that they still hold the trainer's weights.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from prerl_components.samplers.server.api_key import key_of
from prerl_components.samplers.server.client import ServerCalls, ServerSample
from prerl_components.samplers.server.connection import ServerConnection, ServerFault
from prerl_components.samplers.server.parallel_requests import SampleRequest, draw_all, seconds_allowed
from prerl_components.samplers.server.protocol import identity
from prerl_components.samplers.server.server_weights import ServerWeights
from prerl_components.samplers.server.weight_folder import WeightFolder
from prerl_components.samplers.server.weight_transfer import (
    EngineTransfer,
    FileTransfer,
    OpenEngine,
    WeightTransfer,
    open_vllm_engine,
    transfer_backend,
)
from prerl_components.samplers.shared.context_limit import check_context_fits
from prerl_components.samplers.shared.frozen_access import FrozenAccess
from prerl_components.samplers.shared.policy_rows import PerturbedPolicy, PolicyRows
from prerl_components.samplers.shared.vllm_parameters import sampling_arguments, stop_of
from prerl_components.samplers.shared.weight_check import WeightCheck
from prerl_components.samplers.shared.weight_probe import Text, WeightProbe, floor_of, probe_requests
from prerl_spec.sdk import (
    Decoding,
    EndedSample,
    EnvironmentUnmet,
    Generation,
    OpenSampler,
    PolicyAccess,
    Request,
    RunFailed,
    SamplerSite,
)


class ServerSampler:
    """Samples from servers whose weights `sync` replaces. Every method is a collective call."""

    def __init__(
        self,
        servers: Sequence[ServerCalls],
        site: SamplerSite,
        policy: PerturbedPolicy,
        open_transfer: Callable[[], WeightTransfer],
        max_gap: float,
    ) -> None:
        self._servers = tuple(servers)
        self._policy = policy
        self._dtype = site.model.compute_dtype
        self._eos_ids = site.model.codec.eos_ids
        self._session = secrets.token_hex(4)
        self._num_pushes = 0
        self._version = ""
        self._max_length = min(site.max_length, self._longest(site))
        # Servers are checked before anything is written for them.
        self._transfer = open_transfer()
        self._engines = [ServerWeights(server) for server in self._servers]
        rows = PolicyRows(site.model, self._dtype)
        self._weights = WeightCheck(rows, policy, self._engines, self._push)
        requested, decoding = probe_requests(site.model.codec, self._max_length)
        drawn = self._draw(self._servers[:1], requested, decoding, ())
        texts = [Text(request.context, samples[0].tokens) for request, samples in zip(requested, drawn, strict=True)]
        self._probe = WeightProbe(self._policy, texts, max_gap, floor=floor_of(self._dtype))
        self.gap = self._compare(0)
        """Mean |log P_trainer - log P_sampler| of the probe's tokens at the last push, maximum over servers, in nats."""

    @property
    def gap_limit(self) -> float:
        return self._probe.limit

    def generate(
        self, requests: Sequence[Request], decoding: Decoding, progress: Callable[[int, int], None] | None = None
    ) -> list[list[Generation]]:
        """One list per request, one Generation per seed, in order; without entropies.

        A sample depends on the weights, its context, the decoding and its own seed: other samples in its batch change its
        logits by rounding only. Raises RunFailed for a context that leaves no room for max_new_tokens, and for a server
        that is gone, too slow or holds other weights: no sample of the call is then used.
        """
        return self.stream(requests, decoding, lambda samples: None, progress)

    def stream(
        self,
        requests: Sequence[Request],
        decoding: Decoding,
        ended: Callable[[Sequence[EndedSample]], None],
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[Generation]]:
        """The same, telling samples as servers return them, before these have reported what weights they hold."""
        check_context_fits(requests, decoding.max_new_tokens, self._max_length)
        self._weights.before_draw()
        with _as_run_failure():
            drawn = self._draw(self._servers, requests, decoding, self._eos_ids, progress, ended)
            used = {id(self._server_of(number, self._servers)) for number, _ in enumerate(requests)}
            self._weights.after_draw([engine for engine in self._engines if id(engine.server) in used])
        return [[self._generation(sample) for sample in samples] for samples in drawn]

    def sync(self, version: int) -> None:
        """Pushes the trainer's weights and checks them. Raises RunFailed if a server's log-probabilities differ."""
        with _as_run_failure():
            self._push()
            self._weights.pushed(version)
            self.gap = self._compare(version)

    def _longest(self, site: SamplerSite) -> int:
        """The smallest maximum length of the servers, in tokens, after checking that each serves this model."""
        config: Any = site.model.module.config
        expected, dtype = identity(config.get_text_config()), str(self._dtype).removeprefix("torch.")
        return min(server.require_same_model(expected, dtype).max_length for server in self._servers)

    def _push(self) -> None:
        self._num_pushes += 1
        version = f"weights-{self._num_pushes:06d}-{self._session}"
        # Another process may still read from the servers what the last push left there.
        self._policy.barrier()
        self._transfer.push(version)
        self._policy.barrier()
        # The other processes get the version from a server; that all servers agree is checked with every draw.
        self._version = version if self._policy.rank == 0 else str(self._servers[0].state().version)

    def _compare(self, version: int) -> float:
        scores, trained = [server.score(self._probe.texts) for server in self._servers], self._probe.trainer_logps()
        return max(self._probe.check(score, version, trained) for score in scores)

    def _draw(
        self,
        servers: Sequence[ServerCalls],
        requests: Sequence[Request],
        decoding: Decoding,
        eos_ids: Sequence[int],
        progress: Callable[[int, int], None] | None = None,
        ended: Callable[[Sequence[EndedSample]], None] = lambda samples: None,
    ) -> list[list[ServerSample]]:
        places = [(i, k) for i, request in enumerate(requests) for k in range(len(request.seeds))]

        def tell(number: int, sample: ServerSample) -> None:
            ended([EndedSample(*places[number], sample.tokens, self._stop(sample))])

        requested = [
            SampleRequest(
                self._server_of(number, servers),
                {"prompt": list(request.context), **sampling_arguments(decoding, seed, eos_ids)},
            )
            for number, request in enumerate(requests)
            for seed in request.seeds
        ]
        self._require_version(requested)
        drawn = draw_all(
            # Blocks of the prefix cache are reused only under the version they were computed with.
            [SampleRequest(one.server, {**one.body, "cache_salt": self._version}) for one in requested],
            seconds_allowed(decoding),
            lambda done: None if progress is None else progress(done, len(requested)),
            tell,
        )
        self._require_version(requested)
        samples = iter(drawn)
        return [[next(samples) for _ in request.seeds] for request in requests]

    def _server_of(self, number: int, servers: Sequence[ServerCalls]) -> ServerCalls:
        """The server that samples this process's request of that number."""
        return servers[(number + self._policy.rank) % len(servers)]

    def _require_version(self, requested: Sequence[SampleRequest]) -> None:
        """Checks the servers' version, which is unique to a push: the same before and after a draw means no change."""
        for server in {id(one.server): one.server for one in requested}.values():
            server.require_version(self._version)

    def _generation(self, sample: ServerSample) -> Generation:
        return Generation(sample.tokens, sample.logps, self._stop(sample))

    def _stop(self, sample: ServerSample) -> Literal["eos", "stop", "length"]:
        return stop_of(sample.finish_reason, sample.tokens, self._eos_ids)


@contextmanager
def open_servers(
    urls: Sequence[str],
    key: str | None,
    push_dir: str | None,
    engine: Mapping[str, Any],
    max_gap: float,
    site: SamplerSite,
    open_engine: OpenEngine = open_vllm_engine,
) -> Iterator[OpenSampler]:
    """Pushes the current weights and checks them. Raises EnvironmentUnmet for a server that cannot be used."""
    policy = PerturbedPolicy(site.policy or FrozenAccess(site.model), site.model)
    _check_supported(policy, site)
    servers = [ServerCalls(ServerConnection(url, key_of(key, url))) for url in urls]
    backend, dtype = transfer_backend(engine), site.model.compute_dtype
    with TemporaryDirectory(prefix="prerl-spec-") as spare:
        weights = WeightFolder(_own_folder(push_dir, site.folder, Path(spare)), writes=policy.rank == 0)

        def transfer() -> WeightTransfer:
            if backend is None:
                return FileTransfer(servers, policy, weights, dtype)
            return EngineTransfer(servers, policy, backend, dtype, open_engine)

        try:
            sampler = ServerSampler(servers, site, policy, transfer, max_gap)
        except ServerFault as fault:
            raise EnvironmentUnmet(str(fault), hint=fault.hint) from fault
        try:
            yield sampler
        finally:
            weights.clear()


def _check_supported(policy: PolicyAccess, site: SamplerSite) -> None:
    if site.invariant:
        raise EnvironmentUnmet(
            'determinism = "invariant" needs samples that do not depend on the others in their batch: `vllm_server` does '
            "not support it",
            hint='use sampler = "transformers", or determinism = "fast"',
        )
    if policy.has_adapter:
        raise EnvironmentUnmet(
            "`vllm_server` pushes full weights: it does not support unmerged adapters",
            hint='set merge = true in the adapter, or use sampler = "vllm"',
        )


def _own_folder(push_dir: str | None, run_folder: Path | None, spare: Path) -> Path:
    """A folder used by this run only: in its run folder, or below push_dir under a name unique to the run."""
    own = run_folder.resolve() if run_folder is not None else spare
    if push_dir is None:
        return own / "push"
    return Path(push_dir).resolve() / f"{own.name}-{hashlib.sha256(str(own).encode()).hexdigest()[:8]}"


@contextmanager
def _as_run_failure() -> Iterator[None]:
    """Raises RunFailed in place of ServerFault."""
    try:
        yield
    except ServerFault as fault:
        raise RunFailed(str(fault), hint=fault.hint) from fault
