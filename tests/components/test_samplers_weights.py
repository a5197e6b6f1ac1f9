"""The comparison of an engine's weights with the trainer's, on real tensors that are fused, padded, split or turned over."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from prerl_components.samplers.shared.frozen_access import FrozenAccess
from prerl_components.samplers.shared.policy_rows import PerturbedPolicy, PolicyRows, perturbed
from prerl_components.samplers.shared.row_hashes import NOT_FINITE, Hashes, digest, row_hashes
from prerl_components.samplers.shared.weight_check import WeightCheck
from prerl_components.samplers.shared.weight_map import Form, WeightMap
from torch import Tensor

from prerl_spec.sdk import LoadedModel, RunFailed
from prerl_spec.testing.tiny import tiny_loaded

BF16 = torch.bfloat16
UP, DOWN, EMBEDDING = (
    "model.layers.0.mlp.up_proj.weight",
    "model.layers.0.mlp.down_proj.weight",
    "model.embed_tokens.weight",
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- hashes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, BF16, torch.float16])
def test_the_least_change_of_one_value_changes_its_row_alone(dtype: torch.dtype) -> None:
    weight = drawn(7, 5).to(dtype)
    before = row_hashes(weight)
    integers = weight.view(torch.int32 if dtype == torch.float32 else torch.int16)
    integers[3, 2] += 1
    assert (row_hashes(weight) != before).nonzero()[0].tolist() == [3]
    assert digest(row_hashes(weight)) != digest(before)


def test_equal_values_have_equal_hashes_whatever_holds_them() -> None:
    weight = drawn(6, 8).to(BF16)
    expected = row_hashes(weight)
    turned = weight.T.contiguous().T
    padded = torch.cat([weight, torch.zeros(6, 3, dtype=BF16)], 1)
    negative_zeros = torch.cat([weight, -torch.zeros(6, 3, dtype=BF16)], 1)
    for same in (weight.float(), turned, padded, negative_zeros):
        assert (row_hashes(same) == expected).all()
    assert (row_hashes(weight.view(2, 3, 8)) == expected).all()


def test_rows_in_another_order_have_another_digest() -> None:
    rows = row_hashes(drawn(4, 3))
    assert digest(rows) != digest(rows[[1, 0, 2, 3]])
    assert (row_hashes(drawn(4, 3)[:, [1, 0, 2]]) != rows).all()
    assert len(row_hashes(drawn(9))) == 9, "each value of a vector is a row"


def test_a_row_with_a_value_that_is_not_finite_is_told_apart() -> None:
    weight = drawn(3, 4)
    weight[1, 2] = torch.nan
    weight[2, 0] = -torch.inf
    assert (row_hashes(weight) == NOT_FINITE).tolist() == [False, True, True]


@pytest.mark.parametrize("weight", [drawn(40, 6), torch.zeros(40, 6), torch.ones(64), 30 * drawn(9)])
def test_perturbed_weights_differ_in_every_value_and_every_row(weight: Tensor) -> None:
    changed, other = perturbed("a", weight), perturbed("b", weight)
    assert (changed.to(BF16) != weight.to(BF16)).all()
    assert (changed.to(BF16) != other.to(BF16)).float().mean() > 0.8
    if weight.ndim > 1:
        assert len(set(row_hashes(changed.to(BF16)).tolist())) == len(weight)
    assert changed.isfinite().all()


# --- where the rows are ----------------------------------------------------------------------------------------------

ROWS, PARTS = Form("rows"), (Form("part", 0, 2), Form("part", 1, 2))
Q, K, NORM, SHORT = drawn(16, 6, seed=1), drawn(4, 6, seed=2), drawn(12, seed=3), drawn(2, seed=4)


def mapped(held: Mapping[str, Tensor], pushed: Mapping[str, Tensor], *forms: Form) -> tuple[WeightMap, dict[str, int]]:
    """What is learned of an engine that holds these tensors, and the rows that it lacks."""
    shaped = {"rows": lambda t, f: t, "columns": lambda t, f: t.T, "part": lambda t, f: t.chunk(2, -1)[f.part]}
    sources = {(n, f): row_hashes(shaped[f.kind](t, f)) for n, t in pushed.items() for f in forms}
    found = WeightMap({name: row_hashes(tensor) for name, tensor in held.items()})
    found.add(sources)
    return found, found.missing(sources)


def test_rows_are_found_in_fused_padded_and_repeated_tensors() -> None:
    held = {
        "qkv": torch.cat([Q, K]),
        "head": torch.cat([Q, torch.zeros(3, 6)]),
        "norm": NORM,
        "both": torch.cat([SHORT, NORM]),
    }
    found, missing = mapped(held, {"q": Q, "k": K, "norm": NORM, "short": SHORT}, ROWS)
    assert missing == {}
    assert [(r.start, r.source[0], r.length) for r in found.runs["qkv"]] == [(0, "q", 16), (16, "k", 4)]
    assert [(r.source[0], r.length) for r in found.runs["head"]] == [("q", 16)]
    assert [(r.start, r.source[0]) for r in found.runs["both"]] == [(0, "short"), (2, "norm")]


def test_a_tensor_that_is_not_taken_is_named_with_its_rows() -> None:
    stale = torch.cat([Q, drawn(4, 6, seed=9)])
    _, missing = mapped({"qkv": stale}, {"q": Q, "k": K}, ROWS)
    assert missing == {"k": 4}
    half = torch.cat([Q[:11], K])
    _, missing = mapped({"qkv": half}, {"q": Q, "k": K}, ROWS)
    assert missing == {"q": 5}


def test_two_workers_may_hold_a_part_of_the_columns_each_and_a_layer_its_transpose() -> None:
    left, right = Q.chunk(2, -1)
    _, missing = mapped({"worker 0: o": left, "worker 1: o": right}, {"q": Q}, *PARTS)
    assert missing == {}
    _, missing = mapped({"worker 0: o": left}, {"q": Q}, *PARTS)
    assert missing == {"q": 16}
    _, missing = mapped({"turned": Q.T}, {"q": Q}, ROWS, Form("columns"))
    assert missing == {}


def test_a_changed_row_is_named_by_what_was_pushed_and_where_it_is_held() -> None:
    held = {"qkv": torch.cat([Q, K]), "head": torch.cat([K, torch.zeros(3, 6)])}
    found, _ = mapped(held, {"q": Q, "k": K}, ROWS)
    wanted = found.expected({("q", ROWS): row_hashes(Q), ("k", ROWS): row_hashes(K)})
    now = {name: tensor.clone() for name, tensor in held.items()}
    now["qkv"][17, 0] += 1
    now["head"][5, 1] += 1
    wrong = found.wrong_rows(wanted, {name: row_hashes(tensor) for name, tensor in now.items()})
    assert {name: rows.tolist() for name, rows in wrong.items()} == {"k in the engine's qkv": [1], "head": [5]}


# --- the whole comparison --------------------------------------------------------------------------------------------


class Copy:
    """An engine that fuses gate and up, pads the vocabulary, keeps a packed copy of the head, and takes what it is pushed."""

    name = "the engine"
    num_workers = 1

    def __init__(self, loaded: LoadedModel) -> None:
        self.tensors = {n: deepcopy(p.detach()).to(loaded.compute_dtype) for n, p in loaded.module.named_parameters()}
        self.skips = ""
        self.changes: Callable[[str, Tensor], Tensor] = lambda name, tensor: tensor

    def take(self, policy: PerturbedPolicy) -> None:
        for name, tensor in policy.tensors():
            if not self.skips or self.skips not in name:
                self.tensors[name] = self.changes(name, tensor).to(self.tensors[name].dtype).clone()

    def rows(self) -> dict[str, Hashes]:
        held = dict(self.tensors)
        embedding = held.pop(EMBEDDING)
        held["embedding"] = torch.cat([embedding, torch.zeros(5, embedding.shape[1], dtype=embedding.dtype)])
        held["head (packed)"] = embedding
        held["gate_up"] = torch.cat([held.pop(UP.replace("up", "gate")), held.pop(UP)])
        return {name: row_hashes(tensor) for name, tensor in held.items()}

    def digests(self) -> dict[str, int]:
        return {name: digest(rows) for name, rows in self.rows().items()}


def compared(dtype: torch.dtype, **engine: object) -> tuple[LoadedModel, Copy, WeightCheck, Callable[[], None]]:
    loaded = replace(tiny_loaded(), compute_dtype=dtype)
    copy, policy = Copy(loaded), PerturbedPolicy(FrozenAccess(loaded), loaded)
    for name, value in engine.items():
        setattr(copy, name, value)

    def push() -> None:
        copy.take(policy)

    return loaded, copy, WeightCheck(PolicyRows(loaded, dtype), policy, [copy], push), push


def updated(loaded: LoadedModel, lr: float) -> None:
    with torch.no_grad():
        for number, parameter in enumerate(loaded.module.parameters()):
            parameter.add_(lr * drawn(*parameter.shape, seed=number).sign())


@pytest.mark.parametrize("dtype", [torch.float32, BF16])
def test_sound_pushes_and_draws_are_let_through(dtype: torch.dtype) -> None:
    loaded, _, check, push = compared(dtype)
    for version in (1, 2):
        updated(loaded, 1e-6)
        push()
        check.pushed(version)
        check.before_draw()
        check.after_draw()


@pytest.mark.parametrize("dtype", [torch.float32, BF16])
@pytest.mark.parametrize("factor", [1.001, 1.01, 1.2])
def test_one_tensor_that_arrives_scaled_ends_the_run(dtype: torch.dtype, factor: float) -> None:
    loaded, copy, check, push = compared(dtype)
    updated(loaded, 1e-6)
    copy.changes = lambda name, tensor: tensor * factor if name == DOWN else tensor
    push()
    with pytest.raises(RunFailed, match=rf"after update 1 the engine does not hold .*: {DOWN} \(") as caught:
        check.pushed(1)
    assert caught.value.exit_code == 5
    assert caught.value.hint


@pytest.mark.parametrize("dtype", [torch.float32, BF16])
def test_a_push_that_is_dropped_ends_the_run_though_the_learning_rate_is_tiny(dtype: torch.dtype) -> None:
    loaded, copy, check, push = compared(dtype)
    updated(loaded, 1e-6)
    with pytest.raises(RunFailed, match="does not hold the trainer's weights"):
        check.pushed(1)
    push()
    check.pushed(1)
    copy.skips = UP
    updated(loaded, 1e-6)
    push()
    with pytest.raises(RunFailed, match=f"{UP} in the engine's gate_up"):
        check.pushed(2)


def test_one_value_of_one_row_that_changes_after_the_push_is_seen_after_the_draw() -> None:
    _, copy, check, _ = compared(BF16)
    copy.tensors[EMBEDDING].view(torch.int16)[3, 1] += 1
    with pytest.raises(
        RunFailed, match=r"of the engine have changed since they were pushed: embedding, head \(packed\)$"
    ):
        check.after_draw()


def test_weights_that_are_trained_and_not_pushed_are_not_drawn_from() -> None:
    loaded, _, check, push = compared(BF16)
    check.before_draw()
    updated(loaded, 1e-9)
    with pytest.raises(RunFailed, match="changed after they were last pushed"):
        check.before_draw()
    push()
    check.pushed(1)
    check.before_draw()


@pytest.mark.parametrize("name", [UP, DOWN, EMBEDDING, "model.norm.weight"])
def test_a_tensor_that_never_follows_is_named_when_the_sampler_opens(name: str) -> None:
    with pytest.raises(RunFailed, match=rf"of a push it holds nowhere {name} \(\d+ rows\)$"):
        compared(torch.float32, skips=name)


def test_a_trained_weight_that_is_not_finite_is_named() -> None:
    loaded, _, check, push = compared(torch.float32)
    with torch.no_grad():
        loaded.module.get_parameter(UP)[2, 2] = torch.nan
    push()
    with pytest.raises(RunFailed, match=rf"the trained weights are not finite: {UP} \(1 rows\)"):
        check.pushed(1)


def test_an_engine_whose_copy_alone_is_not_finite_is_told_so() -> None:
    loaded, copy, check, push = compared(torch.float32)
    copy.changes = lambda name, tensor: tensor * torch.nan if name == DOWN else tensor
    updated(loaded, 1e-6)
    push()
    with pytest.raises(RunFailed, match=rf"trainer's weights, some are not finite: {DOWN}"):
        check.pushed(1)


def test_a_quantised_engine_reports_no_rows_and_is_left_to_the_log_probabilities() -> None:
    loaded = tiny_loaded()

    class Quantised(Copy):
        def rows(self) -> dict[str, Hashes]:
            return {}

    policy = PerturbedPolicy(FrozenAccess(loaded), loaded)
    check = WeightCheck(PolicyRows(loaded, torch.float32), policy, [Quantised(loaded)], lambda: None)
    check.pushed(1)
    check.after_draw()
