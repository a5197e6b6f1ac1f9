"""Started by torchrun: what a probe sees of an update on two ranks, to a file for comparison with one process."""

import sys
from pathlib import Path

import torch
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.probes.gradient_alignment import GradientAlignment

from prerl_spec.compiler.graph import Named
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.watching import Watching
from tests.engine.sharding_worker import adapted_policy
from tests.engine.steps import make_trainer, random_step, tiny_policy

Metrics = dict[str, float]


def watched(ranks: Ranks, policy: Policy, *, sharded: bool = False, length: int = 30) -> Metrics:
    """What `gradient_alignment` finds of one update, and the gradient norm of the update itself."""
    if sharded:
        policy.shard(ranks, {})
    trainer = make_trainer(policy, Grpo(), ranks=ranks, tokens_per_pass=200)
    step = random_step(5, 4, seed=1, longest=length)
    watching = Watching.begin([Named("gradient_alignment", GradientAlignment(every=1, samples=5))], step, trainer)
    (record,) = trainer.train(step).updates
    return {**watching.end(), "grad_norm": record.grad_norm}


def everything(ranks: Ranks, folder: Path, *, sharded: bool) -> dict[str, Metrics]:
    """Of a whole model, and of an adapter on a frozen one."""
    return {
        "whole": watched(ranks, tiny_policy(), sharded=sharded),
        "adapted": watched(ranks, adapted_policy(folder / "base", ranks), sharded=sharded),
    }


if __name__ == "__main__":
    ranks, folder = Ranks.start(), Path(sys.argv[1])
    invariant = Ranks(ranks.accelerator, invariant=True)
    found = {
        "size": ranks.size,
        "ddp": everything(ranks, folder / "ddp", sharded=False),
        "fsdp2": everything(ranks, folder / "fsdp2", sharded=True),
        "invariant": everything(invariant, folder / "invariant", sharded=False),
    }
    if ranks.is_main:
        torch.save(found, folder / "found.pt")
