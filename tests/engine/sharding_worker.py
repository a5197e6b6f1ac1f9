"""Started by torchrun: what two ranks with sharded weights do, to a file for comparison with one process."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from prerl_components.adapters.lora import Lora
from prerl_components.models.hf_causal import HfCausal
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.token_losses.distill import Distill
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.objectives.weighted_sum import WeightedSum
from prerl_components.optimizers.adamw import Adamw
from prerl_components.optimizers.muon import Muon
from prerl_components.samplers.embedded.sampler import EmbeddedSampler
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, Gemma2Config

from prerl_spec.engine.policy.continuation_logps import continuation_logps
from prerl_spec.engine.policy.decoder_layers import recompute_activations
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.reference import reference_of
from prerl_spec.engine.policy.sharding import is_sharded, on_main
from prerl_spec.engine.policy.teachers import open_teachers
from prerl_spec.engine.policy.weights import load_transformers, save_transformers, weights_hash, whole_weights
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.trainer import Trainer
from prerl_spec.engine.training.updater import Updater
from prerl_spec.registry.kinds.model import LoadedModel, ModelSite
from prerl_spec.registry.kinds.sampler import SamplerSite
from prerl_spec.testing.tiny import Shape, save_tiny, tiny_config, tiny_loaded
from prerl_spec.types import Decoding, Request
from tests.engine.steps import gradient_of, make_trainer, random_step, tiny_policy


def capped_policy() -> Policy:
    """Of a family whose logits are more than head(hidden)."""
    loaded = tiny_loaded()
    told = tiny_config().to_dict()
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim")
    config = Gemma2Config(**{name: told[name] for name in names}, intermediate_size=64, final_logit_softcapping=2.0)
    config._attn_implementation = "eager"
    untyped: Any = AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = untyped.from_config(config, dtype=torch.float32)
    return Policy(
        LoadedModel(module, loaded.tokenizer, loaded.codec, loaded.compute_dtype, source={}), torch.device("cpu")
    )


def adapted_policy(folder: Path, ranks: Ranks) -> Policy:
    """A frozen model with an adapter that has learned something."""
    ranks.main_does(lambda: save_tiny(folder), "a model")
    site = ModelSite(seed=0, device="cpu", tokenizer_folder=lambda name: folder)
    policy = Policy(HfCausal(name=str(folder), adapter=Lora(rank=4)).build(site), torch.device("cpu"))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return policy


def updated(ranks: Ranks, optimizer: Any, *, sharded: bool, folder: Path | None = None) -> dict[str, Any]:
    """Two updates of a sum with a term that compares with a reference; weights and moments after them, both whole."""
    policy = tiny_policy()
    reference = reference_of(policy)
    if sharded:
        policy.shard(ranks, {})
    objective = WeightedSum(terms=(Grpo(aggregation="token_mean"), Kl(coefficient=0.1)))
    updater = Updater(optimizer, policy.parameters(), ranks)
    trainer = Trainer(policy, updater, objective, 1, 256, ranks, reference, lambda *_: None)
    records = [trainer.train(random_step(4, 4, seed=seed)).updates[0] for seed in (1, 2)]
    weights = whole_weights(policy.loaded, ranks)
    if folder is not None:
        ranks.main_does(lambda: save_transformers(policy.loaded, folder, weights), "a checkpoint")
    return {
        "records": [(r.grad_norm, r.parameters_moved) for r in records],
        "weights": {n: t.detach().clone() for n, t in weights.model.items()},
        "moments": on_main(updater.state(), ranks),
        "hash": weights_hash(policy.module),
    }


def reloaded(ranks: Ranks, folder: Path, moments: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Weights and moments put into the shards of another model, and taken out again."""
    policy = tiny_policy(seed=5)
    policy.shard(ranks, {"reshard_after_forward": False})
    load_transformers(policy.loaded, folder)
    updater = Updater(Adamw(lr=1e-3), policy.parameters(), ranks)
    updater.load_state(moments)
    return {"hash": weights_hash(policy.module), "moments": on_main(updater.state(), ranks)}


def uneven(ranks: Ranks) -> tuple[list[tuple[float, bool]], bool]:
    """Rank 0 scores five continuations in several forwards, rank 1 none; what is left at rest afterwards."""
    policy = capped_policy()
    policy.shard(ranks, {})
    pairs = [((1, 2, 3), tuple(range(n))) for n in (4, 5, 6, 7, 8)] if ranks.is_main else []
    with policy.whole_weights():
        scores = continuation_logps(policy, pairs)
    return scores, all(is_sharded(p) for _, p in policy.parameters())


def first_gradient(ranks: Ranks, policy: Policy, *, sharded: bool, recomputed: bool = False) -> torch.Tensor:
    if recomputed:
        recompute_activations(policy.module)
    if sharded:
        policy.shard(ranks, {})
    return gradient_of(make_trainer(policy, Grpo(), ranks=ranks, tokens_per_pass=200), random_step(5, 4, seed=1))


def distilled(ranks: Ranks, folder: Path, *, sharded: bool) -> torch.Tensor:
    """The first gradient with two teachers, one of another family in float32 and one in bfloat16."""
    families: tuple[Shape, ...] = ("llama", "qwen3")
    ranks.main_does(lambda: [save_tiny(folder / shape, shape, seed=3) for shape in families], "two teachers")
    in_float, in_half = (
        Distill(teacher=HfCausal(name=str(folder / shape), dtype=dtype))
        for shape, dtype in zip(families, ("float32", "bfloat16"), strict=True)
    )
    objective, policy = WeightedSum(terms=(in_float, in_half)), tiny_policy()
    teachers = open_teachers(objective.parts(), policy, Path, seed=0)
    if sharded:
        policy.shard(ranks, {})
        teachers.shard(ranks, {})
    trainer = make_trainer(policy, objective, ranks=ranks, tokens_per_pass=200, teachers=teachers)
    # Three groups on two ranks: one of them runs a pass without samples.
    return gradient_of(trainer, random_step(3, 4, seed=1))


def sampled(ranks: Ranks, *, sharded: bool) -> tuple[bool, list[list[int]]]:
    """Whether the embedded sampler decodes with a step of its own, and the tokens that it draws."""
    policy = tiny_policy()
    if sharded:
        policy.shard(ranks, {})
    site = SamplerSite(policy.loaded, "cpu", 64)
    with policy.whole_weights():
        sampler = EmbeddedSampler(site)
    with policy.whole_weights():
        drawn = sampler.generate([Request((1, 2, 3), (4, 5)), Request((6,), (7,))], Decoding(max_new_tokens=12))
    return sampler._decoding.has_own_step, [list(g.tokens) for gs in drawn for g in gs]


class Traffic(TorchDispatchMode):
    """The dtypes of what is gathered and of what is summed over ranks, message by message."""

    def __init__(self) -> None:
        super().__init__()
        self.gathered: list[str] = []
        self.summed: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name()
        for part, seen in (("allgather", self.gathered), ("reduce_scatter", self.summed)):
            if name.startswith("c10d::") and part in name:
                seen.append(str(args[1].dtype))
        return func(*args, **(kwargs or {}))


def half_policy() -> Policy:
    return Policy(replace(tiny_loaded(), compute_dtype=torch.bfloat16), torch.device("cpu"))


def counted(ranks: Ranks, policy: Policy, fsdp: dict[str, Any], *, sharded: bool) -> dict[str, Any]:
    """The first gradient, the number of its passes, and the messages that it took."""
    passes: list[int] = []
    if sharded:
        policy.shard(ranks, fsdp)
    trainer = make_trainer(policy, Grpo(), ranks=ranks, tokens_per_pass=60)
    noting = replace(trainer, tick=lambda stage, done, total: passes.append(total))
    with Traffic() as traffic:
        gradient = gradient_of(noting, random_step(5, 4, seed=1))
    return {
        "gradient": gradient,
        "passes": passes[0],
        "gathered": sorted(set(traffic.gathered)),
        "summed": sorted(set(traffic.summed)),
        "sums": len(traffic.summed),
    }


def everything(ranks: Ranks, folder: Path, *, sharded: bool) -> dict[str, Any]:
    return {
        "sampled": sampled(ranks, sharded=sharded),
        "adamw": updated(ranks, Adamw(lr=1e-3), sharded=sharded, folder=folder / "model"),
        "muon": updated(ranks, Muon(lr=0.02, adamw_lr=1e-4), sharded=sharded),
        "adapted": first_gradient(ranks, adapted_policy(folder / "base", ranks), sharded=sharded),
        "capped": first_gradient(ranks, capped_policy(), sharded=sharded),
        "recomputed": first_gradient(ranks, tiny_policy(), sharded=sharded, recomputed=True),
        "distilled": distilled(ranks, folder, sharded=sharded),
        "summed once": counted(ranks, tiny_policy(), {}, sharded=sharded),
        "summed every pass": counted(ranks, tiny_policy(), {"gradients": "pass"}, sharded=sharded),
        "half": counted(ranks, half_policy(), {}, sharded=sharded),
    }


if __name__ == "__main__":
    ranks, folder = Ranks.start(), Path(sys.argv[1])
    found = everything(ranks, folder, sharded=True)
    found["size"] = ranks.size
    found["distilled by replicas"] = distilled(ranks, folder, sharded=False)
    moments = ranks.gather([found["adamw"]["moments"]] if ranks.is_main else [])[0]
    found["reloaded"] = reloaded(ranks, folder / "model", moments)
    found["uneven"] = uneven(ranks)
    if ranks.is_main:
        torch.save(found, folder / "found.pt")
