"""Scores targets outside a run, each with its model opened as a run would open it, one after the other."""

import gc
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import torch

from prerl_spec.engine.batches.source import decoding_of
from prerl_spec.engine.policy.open_policy import open_policy
from prerl_spec.engine.processes.heartbeat import heartbeat
from prerl_spec.engine.processes.ranks import Ranks, joined_ranks
from prerl_spec.engine.processes.shared_folder import require_shared
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.run.evaluation_site import EvaluationPoint, EvaluationSetup, build_site
from prerl_spec.engine.run.open_samplers import OpenSamplers
from prerl_spec.engine.run.shared_calls import SharedCalls, sampling_conditions
from prerl_spec.engine.run.stages import Stages
from prerl_spec.engine.verification.verifier_pools import VerifierPools
from prerl_spec.evaluation.samplers import DEFAULT
from prerl_spec.evaluation.targets import Asked
from prerl_spec.registry.kinds.evaluator import Evaluator
from prerl_spec.types import Score


def score_targets(
    asked: Sequence[Asked],
    evaluator: Evaluator,
    tick: Callable[[Asked, str, int, int], None],
    scored: Callable[[Asked, list[Score]], None],
) -> None:
    """Scores the targets in order; a collective call. `scored` takes the scores of each when it is done, on the main rank, and
    writes them: an interrupted call keeps them, and what it has sampled of the next.

    `tick(asked, stage, done, total)` shows progress. If one target's scores must not depend on the number of processes, all
    are computed so. Raises UsageError, EnvironmentUnmet and RunFailed as the evaluator does.
    """
    invariant = any(one.target.invariant for one in asked)
    with joined_ranks(invariant=invariant) as ranks, Signals() as signals, ExitStack() as stack:
        stack.enter_context(heartbeat(ranks, signals))
        for one in asked:
            scores = _score(one, evaluator, ranks, Stages(partial(tick, one), signals, ranks))
            ranks.main_does(partial(scored, one, scores), str(one.folder / "scores.json"))
            _release_memory()


def _score(asked: Asked, evaluator: Evaluator, ranks: Ranks, stages: Stages) -> list[Score]:
    """The scores of one target, the same on every rank."""
    target, sampler, folder = asked.target, asked.sampler, asked.folder
    with ExitStack() as stack:
        require_shared(folder, ranks)
        policy = open_policy(target.model, target.data, ranks, folder, seed=target.seed)
        samplers = OpenSamplers(stack, policy, ranks, folder, invariant=ranks.invariant)
        verifiers = VerifierPools(stack, partial(stages.tick, "verify"))
        calls = SharedCalls(
            policy,
            samplers.sampler(sampler),
            ranks,
            verifiers.judge,
            stages.tick,
            check_golds=verifiers.check_golds,
            alone=stages.alone,
            conditions=sampling_conditions(sampler, ranks),
            declared=sampler,
        )
        evaluation = build_site(
            calls,
            EvaluationSetup(folder, target.seed, target.rendering),
            EvaluationPoint(
                target.phase,
                target,
                decoding_of(sampler.component),
                target.verifier,
                sampled_by="" if sampler.use == DEFAULT else sampler.use,
            ),
        )
        stages.stop_if_signalled()
        scores: list[Score] = evaluator.score(evaluation)
        calls.forget_rounds()
        return scores


def _release_memory() -> None:
    """Before the next model is loaded: reference cycles would keep the last one."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
