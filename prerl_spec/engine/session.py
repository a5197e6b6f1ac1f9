"""What a run holds open: the policy, its data, samplers and verifier pools, each opened once, when it is first needed."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch

from prerl_spec.compiler.graph import Graph, Named, Phase
from prerl_spec.compiler.objective_needs import every_need
from prerl_spec.engine.decoder_layers import recompute_activations
from prerl_spec.engine.events import Listener
from prerl_spec.engine.frozen_base import with_base
from prerl_spec.engine.library import Shelf, check_documents, check_prompts, check_sizes
from prerl_spec.engine.policy import Policy
from prerl_spec.engine.policy_access import LivePolicy, open_over_whole_weights
from prerl_spec.engine.ranks import Ranks
from prerl_spec.engine.signals import Signals
from prerl_spec.engine.verification import VerifierPool
from prerl_spec.errors import EnvironmentUnmet, Interrupted
from prerl_spec.registry.kinds import LoadedModel, ModelSite, OpenSampler, Sampler, SamplerSite, Verifier
from prerl_spec.types import Verdict
from prerl_spec.views import Marginal

INTERRUPTIBLE = ("sample", "verify", "evaluate", "check")
"""Stages that may be left in the middle: nothing of the policy has changed in them."""

PER_CALL = frozenset({"group_size", "temperature", "top_p", "top_k", "max_new_tokens", "stop"})
"""Settings of a sampler that come with each call."""


class Session:
    """The opened graph. Use as a context manager."""

    def __init__(self, graph: Graph, folder: Path, ranks: Ranks, listener: Listener, signals: Signals) -> None:
        self.graph = graph
        self.folder = folder
        self.ranks = ranks
        self.listener = listener
        self.signals = signals
        self._stack = ExitStack()
        self._samplers: dict[str, OpenSampler] = {}
        self._version = 0
        self._told: dict[str, int] = {}
        self._pools: dict[int, VerifierPool] = {}
        for named in graph.evaluators:
            named.component.prepare()
        self.loaded = self._load_model()
        self.policy = Policy(self.loaded, ranks.device)
        if graph.distributed.activation_checkpointing:
            recompute_activations(self.loaded.module)
        self.prefixes = self._resolve_prefixes()
        """What each prefix of the spec's views came to: ids and text."""
        self.shelves = self._open_data()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def shard_weights(self) -> None:
        """Shards the policy over the ranks where the spec asks for it; one process holds everything anyway."""
        distributed = self.graph.distributed
        if distributed.strategy == "fsdp2" and self.ranks.size > 1:
            self.policy.shard(self.ranks, distributed.fsdp or {})

    def tick(self, stage: str, done: int, total: int) -> None:
        """Shows progress, and leaves an interruptible stage when a signal has come (one process only: several agree at
        the next step boundary, or their collective calls would wait for ever)."""
        self.listener.tick(stage, done, total)
        if self.signals.raised and self.ranks.size == 1 and stage.partition(":")[0] in INTERRUPTIBLE:
            raise Interrupted("interrupted", mend="the same command goes on")

    def stop_if_asked(self) -> None:
        """Raises Interrupted on every rank when any has got a signal."""
        if self.ranks.any(self.signals.raised):
            raise Interrupted("interrupted", mend="the same command goes on")

    def sampler(self, named: Named[Sampler]) -> OpenSampler:
        """The sampler of this declaration, opened at its first use, with the policy's weights as they stand; phases that say
        the same share one. A collective call."""
        key = opened_as(named.component)
        if key not in self._samplers:
            site = SamplerSite(
                self.loaded,
                str(self.ranks.device),
                self.policy.max_length,
                policy=LivePolicy(self.policy, self.ranks),
                folder=self.folder,
                invariant=self.graph.distributed.determinism == "invariant",
            )
            if self.policy.is_sharded and not named.component.own_weights:
                opened = self._stack.enter_context(open_over_whole_weights(named.component, site, self.policy))
            else:
                opened = self._stack.enter_context(named.component.open(site))
            self._samplers[key] = opened
            self._told[key] = self._version
        if self._told[key] != self._version:
            self._samplers[key].sync(self._version)
            self._told[key] = self._version
        return self._samplers[key]

    def weights_changed(self, version: int, drawing: Named[Sampler] | None) -> None:
        """The trainer's weights are now those of update `version`. The sampler that the phase draws from is told at once,
        another when somebody asks for it: a phase of documents alone pays for none."""
        self._version = version
        if drawing is not None:
            self.sampler(drawing)

    def judge(self, verifier: Verifier, items: Sequence[tuple[str, str, bool]]) -> list[Verdict]:
        """Verdicts on (response, gold, truncated), through the verifier's worker processes."""
        if not items:
            return []
        key = id(verifier)
        if key not in self._pools:
            entry = f"{type(verifier).__module__}:{type(verifier).__qualname__}"
            self._pools[key] = self._stack.enter_context(VerifierPool(verifier, entry_value=entry))
        return self._pools[key].verify(items, progress=partial(self.tick, "verify"))

    def verifier_of(self, name: str) -> Verifier | None:
        """The verifier of a data set's rows: where no phase draws from it, that of the evaluator which scores it; else
        its own, that of the phases that draw from it, or the top level's."""
        drawn = [p for p in self.graph.phases if name in p.data]
        scoring = [e.component for e in self.graph.evaluators if name in e.component.data_sets()]
        judging = [own for e in scoring if (own := e.own_verifier) is not None]
        if judging and not drawn:
            return judging[0]
        own = self.graph.data[name].component.verifier
        if own is not None:
            return own
        served = [p.verifier for p in drawn if p.verifier is not None]
        named = served[0] if served else self.graph.verifier
        return None if named is None else named.component

    def _load_model(self) -> LoadedModel:
        site = ModelSite(
            seed=self.graph.run.seed, device=str(self.ranks.device), tokenizer_folder=self._tokenizer_folder
        )
        loaded = self.graph.model.component.build(site)
        precision = self.graph.distributed.precision
        return with_base(loaded, loaded.compute_dtype if precision is None else getattr(torch, precision))

    def _resolve_prefixes(self) -> dict[str, Any]:
        """Raises EnvironmentUnmet, before anything is sampled, for a tokenizer without a candidate for "auto"."""
        views = {need.view for phase in self.graph.phases for need in every_need(phase.objective.component)}
        written = {view.prefix for view in views if isinstance(view, Marginal)}
        codec = self.policy.codec
        ids = {prefix: codec.prefix(prefix) for prefix in sorted(written)}
        return {p: {"ids": list(i), "text": codec.decode(i, skip_special=False)} for p, i in ids.items()}

    def _tokenizer_folder(self, name: str) -> Path:
        files: Mapping[str, str] | None = self.graph.data[name].component.tokenizer_files()
        if files is None:
            raise EnvironmentUnmet(
                f"data.{name} brings no tokenizer", mend='write a folder or hub name as tokenizer, not "data:…"'
            )
        folder = self.folder / "tokenizers" / name

        def write() -> None:
            folder.mkdir(parents=True, exist_ok=True)
            for file, content in files.items():
                (folder / file).write_text(content, encoding="utf-8")

        self.ranks.main_does(write, f"the tokenizer of data.{name}")
        return folder

    def _open_data(self) -> dict[str, Shelf]:
        """Every data set that a phase draws from or an evaluator names, checked as far as its use asks for."""
        names = dict.fromkeys(name for phase in self.graph.phases for name in phase.data)
        names |= dict.fromkeys(name for e in self.graph.evaluators for name in e.component.data_sets())
        shelves = {name: self._open_shelf(name) for name in names}
        for phase in self.graph.phases:
            check_sizes(shelves, phase.id, phase.data, phase.prompts_per_step or phase.documents_per_step or 1)
        return shelves

    def _open_shelf(self, name: str) -> Shelf:
        named = self.graph.data[name]
        data = named.component.open(name)
        sampled = [p for p in self.graph.phases if name in p.data and p.sampler is not None]
        supervised = [p for p in self.graph.phases if name in p.data and p.sampler is None]
        rows: Sequence[int] = range(len(data))
        asked = bool(sampled) or not supervised
        if asked or data.max_prompt_tokens is not None:
            budget = max((_response_budget(p) for p in sampled), default=1)
            rows = check_prompts(
                name,
                data,
                self.policy.codec,
                longest=self.policy.max_length - budget,
                verifier=self.verifier_of(name) if asked else None,
                tick=partial(self.tick, f"check:{name}"),
            )
        if supervised:
            fitting = frozenset(check_documents(name, data, self.policy.codec, longest=self.policy.max_length))
            rows = [n for n in rows if n in fitting]
        return Shelf(name, data, named.component.verifier, rows, self.policy.codec)


def _response_budget(phase: Phase) -> int:
    assert phase.sampler is not None
    return phase.sampler.component.max_new_tokens


def opened_as(sampler: Sampler) -> str:
    """What tells one open sampler from another: an engine of its own for each phase would take the memory of several."""
    settings = {name: value for name, value in sampler.settings().items() if name not in PER_CALL}
    return json.dumps([type(sampler).__module__, type(sampler).__qualname__, settings], sort_keys=True)
