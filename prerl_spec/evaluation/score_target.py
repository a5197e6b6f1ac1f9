"""Scores a target outside a run, with its model opened as a run would open it."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from prerl_spec.compiler.graph import Named
from prerl_spec.engine.batches.source import decoding_of
from prerl_spec.engine.policy.open_policy import open_policy
from prerl_spec.engine.processes.heartbeat import heartbeat
from prerl_spec.engine.processes.ranks import joined_ranks
from prerl_spec.engine.processes.shared_folder import require_shared
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.run.evaluation_site import EvaluationPoint, EvaluationSetup, build_site
from prerl_spec.engine.run.kept_rounds import forget_rounds
from prerl_spec.engine.run.shared_calls import SharedCalls, sampling_conditions
from prerl_spec.engine.run.stages import Stages
from prerl_spec.engine.verification.verifier_pools import VerifierPools
from prerl_spec.evaluation.targets import Target, component
from prerl_spec.registry.kinds.evaluator import Evaluator
from prerl_spec.registry.kinds.sampler import SamplerSite
from prerl_spec.types import Score


def score_target(
    target: Target, evaluator: Evaluator, folder: Path, tick: Callable[[str, int, int], None]
) -> list[Score]:
    """The evaluator's scores, the same on every rank; responses and caches are written below `folder`. A collective call.

    `tick(stage, done, total)` shows progress. Raises UsageError, EnvironmentUnmet and RunFailed as the evaluator does.
    """
    with joined_ranks(invariant=target.invariant) as ranks, Signals() as signals, ExitStack() as stack:
        stack.enter_context(heartbeat(ranks, signals))
        require_shared(folder, ranks)
        stages = Stages(tick, signals, ranks)
        policy = open_policy(target.model, target.data, ranks, folder, seed=target.seed)
        sampler = component("sampler", "transformers", target.sampling)
        site = SamplerSite(policy.loaded, str(ranks.device), policy.max_length, invariant=target.invariant)
        drawing = stack.enter_context(sampler.open(site))
        verifiers = VerifierPools(stack, partial(stages.tick, "verify"))
        evaluation = build_site(
            SharedCalls(
                policy,
                drawing,
                ranks,
                verifiers.judge,
                stages.tick,
                check_golds=verifiers.check_golds,
                alone=stages.alone,
                conditions=sampling_conditions(Named("transformers", sampler), ranks),
            ),
            EvaluationSetup(folder, target.seed, target.rendering),
            EvaluationPoint(target.phase, target, decoding_of(sampler), target.verifier),
        )
        stages.stop_if_signalled()
        scores: list[Score] = evaluator.score(evaluation)
        ranks.main_does(lambda: forget_rounds(folder), "the scores")
        return scores
