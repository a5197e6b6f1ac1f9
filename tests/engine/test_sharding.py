"""Sharded weights and activations computed again change where numbers lie and when they are made, never what they are."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch
from prerl_components.objectives.presets.group_relative import Grpo
from torch import nn
from torch.distributed.fsdp import MixedPrecisionPolicy
from transformers import AutoModelForCausalLM

from prerl_spec.engine.policy.continuation_logps import continuation_logps
from prerl_spec.engine.policy.decoder_layers import decoder_layers, recompute_activations
from prerl_spec.engine.policy.sharding import fsdp_arguments
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.testing.tiny import SHAPES, Shape, tiny_model
from tests.engine.forked_ranks import forked_ranks
from tests.engine.sharding_worker import capped_policy, everything
from tests.engine.steps import gradient_of, make_trainer, random_step, tiny_policy
from tests.once import made_once

Found = dict[str, Any]


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What two ranks found."""
    folder = made_once(
        tmp_path_factory, "sharded", lambda made: forked_ranks("tests.engine.sharding_worker", str(made), cwd=made)
    )
    found: Found = torch.load(folder / "found.pt", weights_only=True)
    assert found["size"] == 2
    return found | {"folder": folder}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What one process found."""
    return everything(Ranks.start(), tmp_path_factory.mktemp("alone"), sharded=False)


@pytest.mark.parametrize("case", ["adapted", "capped", "recomputed"])
def test_sharded_gradients_are_those_of_one_process(case: str, sharded: Found, alone: Found) -> None:
    assert alone[case].norm() > 0.01
    # Sums of fp32 in another order.
    torch.testing.assert_close(sharded[case], alone[case], atol=1e-6, rtol=0)


@pytest.mark.parametrize("case", ["distilled", "distilled by replicas"])
def test_teachers_of_two_ranks_teach_what_those_of_one_process_do(case: str, sharded: Found, alone: Found) -> None:
    assert alone["distilled"].norm() > 1
    # Sums of fp32 in another order; a teacher in bfloat16 rounds them at other places.
    torch.testing.assert_close(sharded[case], alone["distilled"], atol=1e-3, rtol=0)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_two_updates_of_sharded_weights_are_those_of_whole_ones(optimizer: str, sharded: Found, alone: Found) -> None:
    ours, theirs = sharded[optimizer], alone[optimizer]
    assert ours["records"] == [pytest.approx(record, rel=1e-3) for record in theirs["records"]]
    for kind in ("weights", "moments"):
        assert ours[kind].keys() == theirs[kind].keys()
        for name, tensor in theirs[kind].items():
            # Muon orthogonalises in bfloat16 (its steps here are of 1e-2); Adam divides by the root of tiny squares.
            bound = 2e-3 if optimizer == "muon" else 1e-5
            torch.testing.assert_close(ours[kind][name], tensor, atol=bound, rtol=0, msg=f"{kind} {name}")


@pytest.mark.parametrize("case", ["summed once", "summed every pass"])
def test_gradients_are_summed_over_ranks_once_an_update_or_every_pass(case: str, sharded: Found, alone: Found) -> None:
    ours, groups = sharded[case], 3  # two layers, and the rest
    assert ours["passes"] > 2
    assert ours["sums"] == groups * (1 if case == "summed once" else ours["passes"])
    # Sums of fp32 in another order.
    torch.testing.assert_close(ours["gradient"], alone[case]["gradient"], atol=1e-6, rtol=0)


def test_weights_of_16_bit_forwards_are_gathered_in_16_bits_and_gradients_summed_in_32(
    sharded: Found, alone: Found
) -> None:
    ours, theirs = sharded["half"], alone["half"]["gradient"]
    assert ours["gathered"] == ["torch.bfloat16"]
    assert ours["summed"] == ["torch.float32"]
    assert sharded["summed once"]["gathered"] == ["torch.float32"]
    # bfloat16 keeps 8 bits; between autocast over fp32 weights and 16-bit residuals some of them differ.
    assert (ours["gradient"] - theirs).norm() < 0.05 * theirs.norm()


def test_a_checkpoint_of_shards_is_an_ordinary_model(sharded: Found) -> None:
    untyped: Any = AutoModelForCausalLM
    model = untyped.from_pretrained(sharded["folder"] / "model")
    assert type(model).__name__ == "Qwen3ForCausalLM"
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, sharded["adamw"]["weights"][name])


def test_weights_and_moments_come_back_into_shards_bit_for_bit(sharded: Found) -> None:
    before, after = sharded["adamw"], sharded["reloaded"]
    assert after["hash"] == before["hash"]
    assert after["moments"].keys() == before["moments"].keys()
    assert all(torch.equal(tensor, before["moments"][name]) for name, tensor in after["moments"].items())


def test_ranks_may_run_whole_weights_unequally_often(sharded: Found) -> None:
    scores, at_rest = sharded["uneven"]
    pairs = [((1, 2, 3), tuple(range(n))) for n in (4, 5, 6, 7, 8)]
    expected = continuation_logps(capped_policy(), pairs)
    assert [s for s, _ in scores] == pytest.approx([s for s, _ in expected], abs=1e-5)
    assert at_rest, "afterwards every weight lies in shards again"


def test_the_embedded_samplers_own_step_reads_weights_that_are_gathered(sharded: Found, alone: Found) -> None:
    assert sharded["sampled"] == alone["sampled"]
    assert alone["sampled"][0]


def test_what_the_spec_hands_on_is_checked_before_anything_is_sharded() -> None:
    told = {"reshard_after_forward": False, "mp_policy": {"param_dtype": "bfloat16", "cast_forward_inputs": False}}
    assert fsdp_arguments(told) == {
        "gradients": "update",
        "reshard_after_forward": False,
        "mp_policy": MixedPrecisionPolicy(param_dtype=torch.bfloat16, cast_forward_inputs=False),
    }


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"offload_policy": {}}, "distributed.fsdp.offload_policy is not supported"),
        ({"gradients": "step"}, 'gradients is \'step\'; write "update" or "pass"'),
        ({"reshard_after_forward": 4}, "reshard_after_forward is 4; write true or false"),
        ({"mp_policy": "bfloat16"}, "mp_policy is 'bfloat16'; write a table"),
        ({"mp_policy": {"dtype": "bfloat16"}}, "mp_policy.dtype is not a setting of torch's MixedPrecisionPolicy"),
        ({"mp_policy": {"param_dtype": "bf16"}}, "mp_policy.param_dtype is 'bf16'; write a dtype name"),
        ({"mp_policy": {"cast_forward_inputs": "bfloat16"}}, "cast_forward_inputs: true or false"),
    ],
)
def test_what_cannot_be_handed_on_is_refused_by_name(told: dict[str, Any], words: str) -> None:
    with pytest.raises(EnvironmentUnmet, match=words):
        fsdp_arguments(told)


@pytest.fixture
def forwards() -> Iterator[list[nn.Module]]:
    """Every decoder layer that computes, as often as it does."""
    seen: list[nn.Module] = []
    handle = nn.modules.module.register_module_forward_pre_hook(
        lambda module, _: seen.append(module) if type(module).__name__.endswith("Attention") else None
    )
    yield seen
    handle.remove()


def test_activations_are_computed_again_and_the_gradient_stays_bit_for_bit(forwards: list[nn.Module]) -> None:
    step, gradients, counts = random_step(5, 4, seed=1), [], []
    for recomputed in (False, True):
        policy = tiny_policy()
        if recomputed:
            recompute_activations(policy.module)
        forwards.clear()
        gradients.append(gradient_of(make_trainer(policy, Grpo(), tokens_per_pass=200), step))
        counts.append(len(forwards))
    assert torch.equal(gradients[0], gradients[1])
    assert counts[1] == 2 * counts[0]


def test_nothing_is_computed_twice_without_a_gradient(forwards: list[nn.Module]) -> None:
    policy = tiny_policy()
    recompute_activations(policy.module)
    forwards.clear()
    continuation_logps(policy, [((1, 2), (3, 4))])
    assert len(forwards) == len(decoder_layers(policy.module))


def test_a_copy_of_a_model_computes_its_own_layers_again() -> None:
    policy = tiny_policy()
    recompute_activations(policy.module)
    copy = deepcopy(policy.module)
    with torch.no_grad():
        for parameter in policy.module.parameters():
            parameter.zero_()
    ids = torch.arange(5)[None]
    untouched = tiny_policy().module
    assert torch.equal(copy(input_ids=ids).logits, untouched(input_ids=ids).logits)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_family_has_its_decoder_layers(shape: Shape) -> None:
    layers = decoder_layers(tiny_model(shape))
    assert len(layers) == 2
    assert len({type(layer) for layer in layers}) == 1


def test_a_model_without_decoder_layers_is_refused() -> None:
    with pytest.raises(EnvironmentUnmet, match="Linear has no decoder layers"):
        decoder_layers(nn.Linear(2, 2))
