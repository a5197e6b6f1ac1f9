"""Started by torchrun: the first-update gradient of each case, summed over ranks, to a file."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.presets.pretrain_space import MarginalNsr

from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.types import Step
from tests.engine.steps import attempt, gradient_of, make_trainer, random_step, tiny_policy


def cases() -> dict[str, Step]:
    """Ragged lengths; odd slots without a trained token; odd slots with a single one."""
    ragged = random_step(5, 4, seed=1)
    alike = tuple(attempt([1, 2, 3], 1.0) for _ in range(4))
    groups = tuple(replace(g, attempts=alike) if g.slot % 2 else g for g in ragged.groups)
    single = (attempt([7], 0.0), attempt([8, 9], 1.0), attempt([8, 9], 1.0), attempt([8, 9], 1.0))
    lone = replace(ragged, groups=(ragged.groups[0], replace(ragged.groups[1], attempts=single)))
    return {"ragged": ragged, "no trained token": replace(ragged, groups=groups), "a single token": lone}


def gradients(ranks: Ranks, tokens_per_pass: int, *, sharded: bool = False) -> dict[str, torch.Tensor]:
    found = {}
    for name, step in cases().items():
        for objective in (Grpo(aggregation="token_mean"), MarginalNsr()):
            policy = tiny_policy()
            if sharded:
                policy.shard(ranks, {})
            trainer = make_trainer(policy, objective, ranks=ranks, tokens_per_pass=tokens_per_pass)
            found[f"{name}, {type(objective).__name__}"] = gradient_of(trainer, step)
    return found


if __name__ == "__main__":
    ranks = Ranks.start()
    found = {how: gradients(ranks, 200, sharded=how == "fsdp2") for how in ("ddp", "fsdp2")}
    if ranks.is_main:
        torch.save({"size": ranks.size, **found}, Path(sys.argv[1]))
