"""The opened sampler `vllm`: an engine in the trainer's process that receives the weights after every update.

With several processes each has its own engine (tensor parallelism 1) and samples for its own prompts.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from prerl_components.samplers.shared.context_limit import check_context_fits
from prerl_components.samplers.shared.frozen_access import FrozenAccess
from prerl_components.samplers.shared.policy_rows import PerturbedPolicy, PolicyRows
from prerl_components.samplers.shared.vllm_parameters import ENGINE_SHARE
from prerl_components.samplers.shared.weight_check import WeightCheck
from prerl_components.samplers.shared.weight_files import write_shell, write_weights
from prerl_components.samplers.shared.weight_probe import Text, WeightProbe, floor_of, probe_requests
from prerl_components.samplers.vllm_engine.adapter import PushedAdapter
from prerl_components.samplers.vllm_engine.calls import draw_samples, score_texts
from prerl_components.samplers.vllm_engine.engine import as_run_failure, running_engine
from prerl_components.samplers.vllm_engine.engine_rows import LocalWeights
from prerl_components.samplers.vllm_engine.load_weights import load_into_worker
from prerl_components.samplers.vllm_engine.process_state import random_state_kept
from prerl_spec.sdk import Decoding, EndedSample, Generation, OpenSampler, Request, SamplerSite


class ColocatedSampler:
    """Samples with an engine whose weights `sync` replaces. `gap` is the mean |log P_trainer - log P_sampler| per token of
    the probe's texts at the last push, in nats.

    An engine with sleep mode (on GPUs) sleeps whenever it does not sample, so that the device's memory is the trainer's. It
    forgets its weights then (`forgets`), and every waking pushes and compares the trainer's again: from device to device,
    while sleep that keeps them copies them to the host and back.
    """

    def __init__(
        self, llm: Any, site: SamplerSite, policy: PerturbedPolicy, max_gap: float, adapter: PushedAdapter | None
    ) -> None:
        self._llm = llm
        self._policy = policy
        self._adapter = adapter
        self._eos_ids = site.model.codec.eos_ids
        self._max_length = min(site.max_length, llm.model_config.max_model_len)
        self._sleeps = bool(llm.model_config.enable_sleep_mode)
        self._forgets = self._sleeps and forgets(llm, adapter)
        self._is_asleep = False
        self._version = 0
        """The trainer's update whose weights the next sample must use."""
        self._trained: list[list[float]] | None = None
        """The trainer's log-probabilities with these weights, once they are known."""
        rows = PolicyRows(site.model, site.model.compute_dtype, None if adapter is None else adapter.scale)
        with random_state_kept():
            self._weights = WeightCheck(rows, policy, [LocalWeights(llm)], self._push)
            floor = floor_of(site.model.compute_dtype)
            self._probe = WeightProbe(policy, self._probe_texts(site), max_gap, floor=floor)
            self._trained = self._probe.trainer_logps()
            self.gap = self._compare(0, self._trained)
            self._sleep()

    @property
    def gap_limit(self) -> float:
        return self._probe.limit

    def generate(
        self, requests: Sequence[Request], decoding: Decoding, progress: Callable[[int, int], None] | None = None
    ) -> list[list[Generation]]:
        """One list per request, one Generation per seed, in order; without entropies.

        A sample depends on the weights, its context, the decoding and its own seed: other samples in its batch change its
        logits by rounding only. Raises RunFailed for a context that leaves no room for max_new_tokens, and for non-finite
        logits.
        """
        return self.stream(requests, decoding, None, progress)

    def stream(
        self,
        requests: Sequence[Request],
        decoding: Decoding,
        ended: Callable[[Sequence[EndedSample]], None] | None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[Generation]]:
        """The same, telling samples after the engine's step that ends them."""
        check_context_fits(requests, decoding.max_new_tokens, self._max_length)
        self._weights.before_draw()
        with random_state_kept():
            try:
                self._wake()
                drawn = draw_samples(
                    self._llm,
                    requests,
                    decoding,
                    self._eos_ids,
                    adapter=self._request(),
                    progress=progress,
                    ended=ended,
                )
                self._weights.after_draw()
                return drawn
            finally:
                self._sleep()

    def sync(self, version: int) -> None:
        """The next sample uses the trainer's weights as they are now. They are pushed and checked at once, or, where the
        engine has forgotten its own, when it wakes. Raises RunFailed if the engine's weights or log-probabilities differ."""
        self._version, self._trained = version, None
        if self._forgets:
            self._weights.put_off()
            return
        with random_state_kept():
            self._renew()
            self._sleep()

    def _wake(self) -> None:
        if not self._is_asleep:
            return
        if self._forgets:
            self._renew()
        else:
            release_unused()
            self._llm.wake_up()
            self._is_asleep = False

    def _renew(self) -> None:
        """Pushes, compares, and only then wakes the cache, beside which a gathered tensor need not fit. The trainer's own
        forward, with 16-bit copies of its weights, comes before all of it; the engine's log-probabilities are compared at
        every waking, since sleep may lose more than what a push replaces."""
        trained = self._trained = self._trained or self._probe.trainer_logps()
        if self._is_asleep:
            release_unused()
            self._llm.wake_up(["weights"])
        self._load()
        self._weights.pushed(self._version)
        if self._is_asleep:
            self._llm.wake_up(["kv_cache"])
            self._is_asleep = False
        self._reset_cache()
        self.gap = self._compare(self._version, trained)

    def _push(self) -> None:
        """A push into an engine that is awake."""
        self._load()
        self._reset_cache()

    def _load(self) -> None:
        if self._adapter is None:
            self._llm.collective_rpc(load_into_worker, args=(self._policy.tensors(),))
        else:
            self._adapter.push(self._llm)

    def _reset_cache(self) -> None:
        # Its blocks were computed with the previous weights.
        assert self._llm.reset_prefix_cache(), "blocks of the prefix cache are in use between two calls"

    def _compare(self, version: int, trained: Sequence[Sequence[float]]) -> float:
        scored = score_texts(self._llm, self._probe.texts, adapter=self._request())
        return self._probe.check(scored, version, trained)

    def _probe_texts(self, site: SamplerSite) -> list[Text]:
        requests, decoding = probe_requests(site.model.codec, self._max_length)
        drawn = draw_samples(self._llm, requests, decoding, (), adapter=self._request())
        return [Text(request.context, own[0].tokens) for request, own in zip(requests, drawn, strict=True)]

    def _request(self) -> Any:
        return None if self._adapter is None else self._adapter.request

    def _sleep(self) -> None:
        """Level 1 keeps the weights in host memory, level 2 forgets them."""
        if self._sleeps and not self._is_asleep:
            self._llm.sleep(level=2 if self._forgets else 1)
            self._is_asleep = True


def forgets(llm: Any, adapter: PushedAdapter | None) -> bool:
    """Whether an engine may forget its weights while it sleeps: only if a push replaces, and the comparison sees, every one.
    An adapter's base is not pushed, and a quantised engine's weights are not the trainer's in any dtype."""
    return adapter is None and llm.llm_engine.vllm_config.quant_config is None


def release_unused() -> None:
    """Returns to the device what the trainer has freed: its allocator keeps it, and the engine maps its memory beside it.
    (vLLM 0.32 does the same as it wakes.)"""
    gc.collect()
    torch.cuda.empty_cache()


def engine_arguments(site: SamplerSite, folder: Path, adapter: PushedAdapter | None) -> dict[str, Any]:
    """The engine arguments fixed by a run. Weights come with the first push; only an adapter's base is read from files."""
    arguments: dict[str, Any] = {
        "model": str(folder),
        "load_format": "dummy" if adapter is None else "safetensors",
        "dtype": str(site.model.compute_dtype).removeprefix("torch."),
        # Log-probabilities of the decoding distribution, and no defaults from a checkpoint's generation config.
        "logprobs_mode": "processed_logprobs",
        "generation_config": "vllm",
        # Unused: each sample has its own seed.
        "seed": 0,
        "max_model_len": site.max_length,
        "enable_prefix_caching": True,
        "use_tqdm_on_load": False,
        "disable_log_stats": True,
    }
    if site.device.startswith("cuda"):
        arguments |= {"enable_sleep_mode": True, "gpu_memory_utilization": ENGINE_SHARE}
    if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        # Uses the launcher's rank and device; any other backend would put every rank's engine on the first GPU.
        arguments["distributed_executor_backend"] = "external_launcher"
    return arguments if adapter is None else {**arguments, **adapter.arguments}


@contextmanager
def open_colocated(site: SamplerSite, engine: Mapping[str, Any], max_gap: float) -> Iterator[OpenSampler]:
    """Opens the sampler. Raises EnvironmentUnmet if vLLM does not support the model or an argument, RunFailed if its
    log-probabilities differ from the model's."""
    policy = PerturbedPolicy(site.policy or FrozenAccess(site.model), site.model)
    with ExitStack() as stack:
        root = site.folder or Path(stack.enter_context(TemporaryDirectory(prefix="prerl-vllm-")))
        folder = root / "vllm"
        if policy.rank == 0:
            write_shell(folder, site.model)
        adapter, base = None, list[Path]()
        if policy.has_adapter:
            cast = ((name, tensor.to(site.model.compute_dtype)) for name, tensor in policy.tensors())
            base = write_weights(folder, cast, writes=policy.rank == 0)
            adapter = PushedAdapter(policy, folder)
        policy.barrier()
        arguments = {**engine_arguments(site, folder, adapter), **engine}
        log = folder / f"rank{policy.rank}.log"
        llm = stack.enter_context(running_engine(arguments, log))
        policy.barrier()
        for file in base:
            file.unlink()
        with as_run_failure(f"vLLM cannot run {type(site.model.module).__name__}", log):
            sampler = ColocatedSampler(llm, site, policy, max_gap, adapter)
        yield sampler
