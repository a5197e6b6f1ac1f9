"""What a run holds open: the policy, its data, its samplers and its verifiers' worker pools."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from prerl_spec.compiler.graph import Graph, Phase
from prerl_spec.compiler.objective_needs import every_need
from prerl_spec.compiler.planning.fits import END_HINT, NO_EOS
from prerl_spec.engine.batches.datasets import OpenDataSet, open_datasets
from prerl_spec.engine.policy.decoder_layers import recompute_activations
from prerl_spec.engine.policy.open_policy import open_policy, tokenizers_in
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.reference import Reference, compares_with_reference, reference_of
from prerl_spec.engine.policy.teachers import Teachers, open_teachers
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.record.events import Listener
from prerl_spec.engine.run.open_samplers import OpenSamplers
from prerl_spec.engine.run.stages import Stages
from prerl_spec.engine.verification.verifier_pools import VerifierPools
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.registry.kinds.watching import UpdateProbe
from prerl_spec.text import Codec
from prerl_spec.views import Marginal


@dataclass(frozen=True)
class Session:
    """The opened graph: `with open_session(graph, folder, ranks, listener, signals) as session`."""

    graph: Graph
    folder: Path
    ranks: Ranks
    signals: Signals
    stages: Stages
    policy: Policy
    teachers: Teachers
    prefixes: Mapping[str, Mapping[str, Any]]
    """For each prefix of the spec's views, its token ids and their text."""
    datasets: Mapping[str, OpenDataSet]
    samplers: OpenSamplers
    verifiers: VerifierPools

    def freeze_reference_and_shard(self) -> Reference | None:
        """Copies the current policy as reference model, if a phase needs one, then shards all models over the ranks, if
        the spec asks for it: a sharded model cannot be copied. Call once, before any training; a collective call."""
        reference = reference_of(self.policy) if compares_with_reference(self.graph.phases) else None
        distributed = self.graph.distributed
        if distributed.strategy == "fsdp2" and self.ranks.size > 1:
            self.policy.shard(self.ranks, distributed.fsdp or {})
            self.teachers.shard(self.ranks, distributed.fsdp or {})
        return reference

    @property
    def max_length(self) -> int:
        """Maximum length of context and response together that every model can score, in tokens."""
        return self.teachers.max_length(self.policy.max_length)


@contextmanager
def open_session(graph: Graph, folder: Path, ranks: Ranks, listener: Listener, signals: Signals) -> Iterator[Session]:
    """Loads the model, reads and checks the data; samplers and verifiers are opened at their first use. Everything that
    was opened is closed at the end.

    Raises EnvironmentUnmet for what cannot be opened, UsageError for an unknown evaluation task, Interrupted.
    """
    for named in graph.evaluators:
        named.component.prepare()
    stages = Stages(listener.tick, signals, ranks)
    data = {name: named.component for name, named in graph.data.items()}
    precision = graph.distributed.precision
    policy = open_policy(graph.model.component, data, ranks, folder, seed=graph.run.seed, precision=precision)
    objectives = (phase.objective.component for phase in graph.phases)
    teachers = open_teachers(objectives, policy, tokenizers_in(folder, data, ranks), seed=graph.run.seed)
    if graph.distributed.activation_checkpointing:
        recompute_activations(policy.module)
    require_ends(graph.phases, policy.codec)
    prefixes = resolve_prefixes(graph.phases, policy.codec)
    stages.stop_if_signalled()
    invariant = graph.distributed.determinism == "invariant"
    with ExitStack() as stack:
        verifiers = VerifierPools(stack, partial(stages.tick, "verify"))
        with stages.alone():
            longest = teachers.max_length(policy.max_length)
            datasets = open_datasets(graph, policy.codec, longest, verifiers.check_golds, stages.tick)
        samplers = OpenSamplers(stack, policy, ranks, folder, invariant=invariant)
        yield Session(graph, folder, ranks, signals, stages, policy, teachers, prefixes, datasets, samplers, verifiers)


def require_ends(phases: tuple[Phase, ...], codec: Codec) -> None:
    """Raises EnvironmentUnmet, before anything is sampled, if responses of a phase could end at their token limit only."""
    if codec.eos_ids:
        return
    for phase in phases:
        if phase.sampler is not None and not phase.sampler.component.stop:
            raise EnvironmentUnmet(f"{NO_EOS}: no response of phase {phase.id} could end", hint=END_HINT)


def resolve_prefixes(phases: tuple[Phase, ...], codec: Codec) -> dict[str, dict[str, Any]]:
    """Token ids and text of each prefix that a view of these phases, or of their probes, uses. Raises EnvironmentUnmet,
    before anything is sampled, for a tokenizer that has no candidate for "auto"."""
    views = {need.view for phase in phases for need in every_need(phase.objective.component)}
    for phase in phases:
        for probe in (named.component for named in phase.probes):
            if phase.sampler is not None and isinstance(probe, UpdateProbe):
                views |= {asked.need.view for asked in probe.needs(phase.objective.component, 1)}
    written = {view.prefix for view in views if isinstance(view, Marginal)}
    ids = {prefix: codec.prefix(prefix) for prefix in sorted(written)}
    return {p: {"ids": list(i), "text": codec.decode(i, skip_special=False)} for p, i in ids.items()}
