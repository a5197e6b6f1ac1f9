"""What an evaluator is given of a run at one moment: the policy through shared calls, its position, its data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from prerl_spec.engine.policy.weights import weights_hash
from prerl_spec.engine.run.kept_rounds import UNFINISHED
from prerl_spec.engine.run.shared_calls import SharedCalls
from prerl_spec.registry.kinds.data import DataSet
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.types import Decoding, Rendering


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
    sampled_by: str = ""
    """Named in the scores where it is not "": a sampler that was chosen for this evaluation."""


def build_site(calls: SharedCalls, setup: EvaluationSetup, point: EvaluationPoint) -> EvaluationSite:
    """The site of one evaluation; a collective call."""
    policy = calls.policy
    weights = weights_hash(policy.module)
    calls.keep_rounds(setup.folder / UNFINISHED, weights)
    return EvaluationSite(
        phase=point.phase,
        global_step=point.position.global_step,
        generated_tokens=point.position.generated_tokens,
        trained_tokens=point.position.trained_tokens,
        seed=setup.seed,
        codec=policy.codec,
        tokenizer=policy.loaded.tokenizer,
        max_length=policy.max_length,
        weights_hash=weights,
        decoding=point.decoding,
        sampled_by=point.sampled_by,
        rendering=setup.rendering,
        verifier=point.verifier,
        data=setup.data,
        data_verifier=setup.data_verifier,
        folder=setup.folder,
        generate=calls.generate,
        continuation_logps=calls.continuation_logps,
        verify=calls.verify,
        check_golds=calls.check_golds,
        main_does=calls.main_does,
        progress=calls.progress,
    )
