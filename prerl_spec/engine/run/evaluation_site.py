"""An evaluator's access to the live policy: sampling, log-probabilities and verdicts, distributed over the ranks.

Nothing here changes the policy: it is in evaluation mode throughout a run, no gradient is computed, and every sample
has its own random stream.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from prerl_spec.engine.batches.verifier_pool import Item, Judge
from prerl_spec.engine.policy.continuation_logps import Pair, continuation_logps, plan_batches
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.weights import weights_hash
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.registry.kinds.data import DataSet
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.registry.kinds.sampler import OpenSampler
from prerl_spec.types import Decoding, Generation, Rendering, Request, Verdict


class Progress(Protocol):
    """The position of a run, as far as scores report it."""

    @property
    def global_step(self) -> int: ...
    @property
    def generated_tokens(self) -> int: ...
    @property
    def trained_tokens(self) -> int: ...


@dataclass(frozen=True)
class EvaluationSetup:
    """What every evaluation of a run has in common: `EvaluationSetup(Path("runs/dsrl/evaluation"), seed=0)`."""

    folder: Path
    seed: int
    rendering: Rendering = field(default_factory=Rendering)
    data: Mapping[str, DataSet] = field(default_factory=dict)
    data_verifier: Mapping[str, Verifier | None] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationPoint:
    """When an evaluation happens, with the decoding settings and the verifier of the phase that has just ended."""

    phase: str
    """The phase's id, or "base" before the first phase."""
    position: Progress
    decoding: Decoding
    verifier: Verifier | None


def build_site(calls: "SharedCalls", setup: EvaluationSetup, point: EvaluationPoint) -> EvaluationSite:
    """The site of one evaluation; a collective call."""
    policy = calls.policy
    return EvaluationSite(
        phase=point.phase,
        global_step=point.position.global_step,
        generated_tokens=point.position.generated_tokens,
        trained_tokens=point.position.trained_tokens,
        seed=setup.seed,
        codec=policy.codec,
        tokenizer=policy.loaded.tokenizer,
        max_length=policy.max_length,
        weights_hash=weights_hash(policy.module),
        decoding=point.decoding,
        rendering=setup.rendering,
        verifier=point.verifier,
        data=setup.data,
        data_verifier=setup.data_verifier,
        folder=setup.folder,
        generate=calls.generate,
        continuation_logps=calls.continuation_logps,
        verify=calls.verify,
        progress=calls.progress,
    )


class SharedCalls:
    """Collective calls: each rank passes all items, computes its share, and receives all results.

    `judge` uses worker processes of this rank; `tick(stage, done, total)` reports progress as "evaluate:TASK".
    """

    def __init__(
        self,
        policy: Policy,
        sampler: OpenSampler,
        ranks: Ranks,
        judge: Judge,
        tick: Callable[[str, int, int], None],
    ) -> None:
        self.policy = policy
        self._sampler = sampler
        self._ranks = ranks
        self._judge = judge
        self._tick = tick
        self._stage = "evaluate"

    def progress(self, what: str, done: int, total: int) -> None:
        self._stage = f"evaluate:{what}"
        self._tick(self._stage, done, total)

    def generate(self, requests: Sequence[Request], decoding: Decoding) -> list[list[Generation]]:
        mine = [requests[i] for i in self._ranks.mine(len(requests))]
        # With sharded weights sampling is a collective call: a rank without requests takes part, too.
        takes_part = bool(mine) or self.policy.is_sharded
        drawn = self._sampler.generate(mine, decoding, self._sampled) if takes_part else []
        return self._ranks.gather_dealt(drawn, len(requests))

    def continuation_logps(self, pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
        if self._ranks.invariant:
            return self._logps_in_batches(pairs)
        mine = [pairs[i] for i in self._ranks.mine(len(pairs))]
        with self.policy.whole_weights():
            scored = continuation_logps(self.policy, mine)
        return self._ranks.gather_dealt(scored, len(pairs))

    def _logps_in_batches(self, pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
        """Distributes whole batches, not pairs: the pairs that share a forward are the same on any number of ranks."""
        batches = plan_batches(pairs, one_by_one=not self.policy.plain_head)
        mine = [batches[i] for i in self._ranks.mine(len(batches))]
        scored = [continuation_logps(self.policy, [pairs[i] for i in batch]) for batch in mine]
        found = {i: s for batch, one in zip(mine, scored, strict=True) for i, s in zip(batch, one, strict=True)}
        by_pair = dict(self._ranks.gather(list(found.items())))
        return [by_pair[i] for i in range(len(pairs))]

    def verify(self, verifier: Verifier, evidence: Sequence[Item]) -> list[Verdict]:
        mine = [evidence[i] for i in self._ranks.mine(len(evidence))]
        return self._ranks.gather_dealt(self._judge(verifier, mine), len(evidence))

    def _sampled(self, done: int, total: int) -> None:
        self._tick(self._stage, done, total)
