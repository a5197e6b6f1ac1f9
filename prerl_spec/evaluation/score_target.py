"""Scores a target outside a run, with its model opened as a run would open it."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from prerl_spec.engine.batches.source import decoding_of
from prerl_spec.engine.batches.verifier_pools import VerifierPools
from prerl_spec.engine.policy.open_policy import open_policy
from prerl_spec.engine.processes.ranks import joined_ranks
from prerl_spec.engine.run.evaluation_site import EvaluationPoint, EvaluationSetup, SharedCalls, build_site
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
    with joined_ranks(invariant=target.invariant) as ranks, ExitStack() as stack:
        policy = open_policy(target.model, target.data, ranks, folder, seed=target.seed)
        sampler = component("sampler", "transformers", target.sampling)
        site = SamplerSite(policy.loaded, str(ranks.device), policy.max_length, invariant=target.invariant)
        drawing = stack.enter_context(sampler.open(site))
        evaluation = build_site(
            SharedCalls(policy, drawing, ranks, VerifierPools(stack).judge, tick),
            EvaluationSetup(folder, target.seed, target.rendering),
            EvaluationPoint(target.phase, target, decoding_of(sampler), target.verifier),
        )
        return evaluator.score(evaluation)
