"""Started by torchrun: an adapter trained on a sharded base; its gradient and what a checkpoint would hold, to a file."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from prerl_components.adapters.lora import Lora
from prerl_components.objectives.presets.group_relative import Grpo
from torch import Tensor

from prerl_spec.engine.policy.frozen_base import with_base
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.weights import whole_weights
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.testing.tiny import tiny_loaded
from tests.engine.steps import gradient_of, make_trainer, random_step

COMPUTE = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def trained(ranks: Ranks, dtype: str, *, sharded: bool) -> dict[str, Tensor]:
    """By name: the gradient of the first update, and every tensor of a phase's last checkpoint."""
    loaded = tiny_loaded()
    loaded = replace(loaded, adapter=Lora(rank=4).attach(loaded.module, "tiny", None, 0))
    policy = Policy(with_base(loaded, COMPUTE[dtype]), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    if sharded:
        policy.shard(ranks, {})
    gradient = gradient_of(make_trainer(policy, Grpo(), ranks=ranks), random_step())
    held = whole_weights(policy.loaded, ranks)
    return {"gradient": gradient, **held.model, **{name: p.detach().clone() for name, p in held.adapter.items()}}


if __name__ == "__main__":
    ranks = Ranks.start()
    found = {dtype: trained(ranks, dtype, sharded=True) for dtype in COMPUTE}
    if ranks.is_main:
        torch.save(found, Path(sys.argv[1]))
