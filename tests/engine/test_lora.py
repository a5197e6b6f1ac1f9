"""Training with an adapter: the base stands still, checkpoints hold the adapter, and all that a run promises still holds."""

import json
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from prerl_components.adapters.lora import Lora
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.presets.pretrain_space import MarginalNsr
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.objectives.token_losses.next_token import NextToken
from prerl_components.optimizers.adamw import Adamw
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from prerl_spec.engine.policy.frozen_base import with_base
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.policy_access import LivePolicy
from prerl_spec.engine.policy.reference import reference_of
from prerl_spec.engine.policy.weights import tensors_hash
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.streams import Streams
from prerl_spec.engine.training.token_terms import token_terms
from prerl_spec.errors import Drift, Interrupted
from prerl_spec.evaluation.targets import find_target
from prerl_spec.registry.kinds.model import AttachedAdapter, LoadedModel, ModelSite
from prerl_spec.testing.tiny import save_tiny, tiny_loaded
from prerl_spec.types import Step
from tests.engine.runs import SPEC, Heard, start, steps_of
from tests.engine.steps import gradient_of, make_trainer, random_step

HEAD, REST = SPEC[: SPEC.index("[model]")], SPEC[SPEC.index("[data]") :]
KL = '{ use = "weighted_sum", terms = [{ use = "marginal_nsr", advantage = "minus_one" }, "kl"] }'
ONE = random_step(questions="What is {}?")
OTHER = random_step(questions="Please add up all of this and say {}!")
CLASSES: Any = AutoModelForCausalLM


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("base"))


def spec(base: Path, dtype: str = "float32") -> str:
    """Documents, then samples against a reference, on an adapter of rank 4."""
    model = (
        f'[model]\nuse = "hf_causal"\nname = "{base}"\ndtype = "{dtype}"\nadapter = {{ use = "lora", rank = 4 }}\n\n'
    )
    rest = REST.replace('{ use = "marginal_nsr", advantage = "minus_one" }', KL)
    return HEAD.replace("lr = 1e-3", "lr = 3e-2") + model + rest


@pytest.fixture(scope="module")
def ran(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start(tmp_path_factory.mktemp("ran"), spec(base))


def adapted(dtype: torch.dtype = torch.float32, **settings: Any) -> LoadedModel:
    loaded = tiny_loaded()
    adapter = Lora(rank=4, **settings).attach(loaded.module, "tiny", None, 0)
    return with_base(replace(loaded, adapter=adapter), dtype)


def adapter_of(loaded: LoadedModel) -> AttachedAdapter:
    assert loaded.adapter is not None
    return loaded.adapter


def adapted_policy(dtype: torch.dtype = torch.float32, **settings: Any) -> Policy:
    return Policy(adapted(dtype, **settings), torch.device("cpu"))


def learn(policy: Policy, seed: int = 1) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)


def base_bits(policy: Policy) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight, _ in adapter_of(policy.loaded).weights()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_update_moves_the_adapter_and_no_bit_of_the_base(dtype: torch.dtype) -> None:
    policy = adapted_policy(dtype)
    before, was = base_bits(policy), [p.detach().clone() for _, p in policy.parameters()]
    trainer = make_trainer(policy, Grpo())
    for _ in range(2):
        trainer.train(ONE)
    assert all(torch.equal(before[n], t) and t.dtype == dtype for n, t in base_bits(policy).items())
    # A moves only once B has: their first gradients are Bᵀg and gAᵀ.
    assert all(not torch.equal(a, p) for a, (_, p) in zip(was, policy.parameters(), strict=True))
    assert {name.rpartition("/")[2] for name in trainer.updater.state()} == {name for name, _ in policy.parameters()}


def test_the_gradient_of_an_adapter_is_the_chain_rule_on_that_of_all_weights() -> None:
    policy = adapted_policy(targets=("q_proj", "down_proj"))
    learn(policy)
    found = gradient_of(make_trainer(policy, Grpo()), ONE)
    whole = Policy(tiny_loaded(), torch.device("cpu"))
    whole.module.load_state_dict(dict(LivePolicy(merging(policy), Ranks.start()).tensors()), strict=False)
    of_weight = gradient_of_each(whole, gradient_of(make_trainer(whole, Grpo()), ONE))
    expected = []
    pairs = dict(policy.parameters())
    for name in pairs:
        weight = of_weight[f"{name.partition('.lora_')[0]}.weight"]
        a_rd, b_or = (pairs[f"{name.partition('.lora_')[0]}.lora_{side}.default.weight"].detach() for side in "AB")
        expected.append(32 / 4 * (b_or.T @ weight if ".lora_A." in name else weight @ a_rd.T))
    torch.testing.assert_close(found, torch.cat([e.reshape(-1) for e in expected]), rtol=1e-3, atol=1e-5)


def merging(policy: Policy) -> Policy:
    adapter_of(policy.loaded).merge = True
    return policy


def gradient_of_each(policy: Policy, flat: Tensor) -> dict[str, Tensor]:
    sizes = [p.numel() for _, p in policy.parameters()]
    pieces = torch.split(flat, sizes)
    return {name: g.view_as(p) for (name, p), g in zip(policy.parameters(), pieces, strict=True)}


def test_other_questions_give_bit_equal_marginal_gradients() -> None:
    policy = adapted_policy()
    learn(policy)
    first, second = (gradient_of(make_trainer(policy, MarginalNsr()), step) for step in (ONE, OTHER))
    assert first.norm() > 0
    assert torch.equal(first, second)


def test_the_reference_is_the_base_until_it_is_moved_to_the_adapter() -> None:
    policy = adapted_policy()
    reference = reference_of(policy)

    def kl() -> float:
        parts = token_terms(Kl(), ONE, policy, Ranks.start(), reference=reference)
        return float(abs(parts[0].term_N).max())

    assert kl() == 0
    assert dict(reference.tensors()) == {}
    learn(policy)
    from_base = kl()
    assert from_base > 1e-4
    reference.resync()
    assert kl() == 0
    kept = {name: p.detach().clone() for name, p in policy.parameters()}
    learn(policy, seed=2)
    assert kl() > 1e-4
    assert all(torch.equal(reference.tensors()[name], t) for name, t in kept.items())
    assert not any(torch.equal(p, kept[name]) for name, p in policy.parameters()), "its own values are back"
    again = reference_of(policy)
    again.load(reference.tensors())
    assert all(torch.equal(again.tensors()[name], t) for name, t in kept.items())


def test_samplers_get_the_adapter_and_the_base_or_one_sum_where_merge_is_written(tmp_path: Path) -> None:
    policy = adapted_policy()
    learn(policy)
    access = LivePolicy(policy, Ranks.start())
    assert access.has_adapter
    base = dict(access.tensors())
    assert all(torch.equal(t, base[n]) for n, t in tiny_loaded().module.named_parameters())
    access.save_adapter(tmp_path)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    merged = LivePolicy(merging(policy), Ranks.start())
    assert not merged.has_adapter
    changed = {n for n, t in merged.tensors() if not torch.equal(t, base[n])}
    assert changed == {f"{n.partition('.lora_')[0]}.weight" for n, _ in policy.parameters()}


def test_an_adapter_learns_documents_by_heart() -> None:
    trainer = make_trainer(adapted_policy(), NextToken(), optimizer=Adamw(lr=1e-2))
    losses = [trainer.train(ONE).loss for _ in range(40)]
    assert losses[-1] < losses[0] - 1.0


def test_dropout_acts_on_documents_alone_and_whatever_they_are_split_into() -> None:
    policy, plain = adapted_policy(dropout=0.5), adapted_policy()
    learn(policy)
    learn(plain)

    def of(policy: Policy, objective: Any, tokens_per_pass: int = 256, step: Step = ONE) -> Tensor:
        return gradient_of(make_trainer(policy, objective, tokens_per_pass=tokens_per_pass), step)

    whole, split = of(policy, NextToken(), 2048), of(policy, NextToken(), 64)
    torch.testing.assert_close(whole, split, rtol=1e-4, atol=1e-6)
    assert (whole - of(plain, NextToken())).norm() > 0.1 * whole.norm()
    assert not torch.equal(whole, of(policy, NextToken(), 2048, replace(ONE, global_step=2)))
    paired = replace(make_trainer(policy, NextToken()), streams=Streams(0, "phase"))
    assert torch.equal(gradient_of(paired, ONE), gradient_of(paired, replace(ONE, global_step=2)))
    assert not torch.equal(gradient_of(paired, ONE), gradient_of(paired, replace(ONE, step=2)))
    assert torch.equal(of(policy, Grpo()), of(plain, Grpo()))
    # Half of the columns of A read nothing in this update, and their gradient is 0.
    a_rd = whole[: 4 * 32].view(4, 32)
    assert 4 < int((a_rd == 0).all(0).sum()) < 28


def test_a_run_says_on_which_base_it_stands(ran: Path, base: Path) -> None:
    manifest = json.loads((ran / "manifest.json").read_text())
    given = CLASSES.from_pretrained(base)
    assert manifest["model"]["base"]["sha256"] == tensors_hash(given.named_parameters())
    assert all(e["metrics"]["parameters_moved"] > 0 for e in steps_of(ran))


def test_phase_ends_hold_a_merged_model_and_the_adapter(ran: Path) -> None:
    for step in (3, 6, 8):
        folder = ran / "checkpoints" / f"step-{step:06d}"
        weights, adapter = (load_file(folder / n) for n in ("model.safetensors", "adapter/adapter_model.safetensors"))
        assert not any("lora" in name or "base_layer" in name for name in weights)
        assert {t.dtype for t in (*weights.values(), *adapter.values())} == {torch.float32}


def test_an_interrupted_run_goes_on_to_the_same_bits(ran: Path, base: Path, tmp_path: Path) -> None:
    at_step = 5

    def interrupt(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["global_step"] == at_step:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        start(tmp_path, spec(base), Heard(interrupt))
    between = tmp_path / "runs" / "small" / "checkpoints" / f"step-{at_step:06d}"
    assert not (between / "model.safetensors").exists()
    # transformers finds the base by the name that the adapter's own file gives.
    target = find_target(str(tmp_path / "runs" / "small"))
    site = ModelSite(seed=0, device="cpu", tokenizer_folder=lambda name: tmp_path)
    assert target.global_step == at_step
    assert target.model.build(site).source["parameters"] == 26944
    folder = start(tmp_path, spec(base))
    for file in ("model.safetensors", "adapter/adapter_model.safetensors", "trainer/reference.safetensors"):
        first, second = (load_file(f / "checkpoints" / "step-000008" / file) for f in (ran, folder))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first), file


def test_a_run_does_not_go_on_with_another_base(tmp_path: Path) -> None:
    def interrupt(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["global_step"] == 1:
            os.kill(os.getpid(), signal.SIGINT)

    base = save_tiny(tmp_path / "base")
    with pytest.raises(Interrupted):
        start(tmp_path, spec(base), Heard(interrupt))
    moved = load_file(base / "model.safetensors")
    other = CLASSES.from_pretrained(base)
    with torch.no_grad():
        other.get_parameter(next(iter(moved))).view(-1)[0] += 1e-3
    other.save_pretrained(base)
    with pytest.raises(Drift, match="frozen weights"):
        start(tmp_path, spec(base))


def test_a_base_is_held_in_what_the_run_computes_in(base: Path, tmp_path: Path) -> None:
    text = spec(base).replace("[data]", '[distributed]\nprecision = "bfloat16"\n\n[data]')
    heard = Heard()
    folder = start(tmp_path, text[: text.index('[[phases]]\nid = "refine"')], heard)
    model = json.loads((folder / "manifest.json").read_text())["model"]
    assert (model["base"]["dtype"], model["compute_dtype"]) == ("bfloat16", "bfloat16")
    assert [e["event"] for e in heard.events][-1] == "end"
    assert steps_of(folder)[-1]["metrics"]["sampler_gap"] < 0.1
