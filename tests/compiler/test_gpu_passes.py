"""specs/dsrl-qwen3-4b.toml, planned for GPUs: the longest passes that fit in memory, unless the spec says."""

import json
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.compiler.compile import check_spec
from prerl_spec.compiler.estimates.estimate import Spread, Workload, cost_of, shape_of
from prerl_spec.compiler.hardware import Gpu, Hardware
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.testing.tiny import byte_tokenizer
from tests.compiler.test_estimate import QWEN3_4B

SPEC = Path(__file__).parents[2] / "specs" / "dsrl-qwen3-4b.toml"
SHARDED = 'processes = 8\nstrategy = "fsdp2"\nactivation_checkpointing = true\n'
FULL_LENGTH = 16384


def planned(folder: Path, gib: int, number: int, distributed: str, *changes: tuple[str, str]) -> Plan:
    """With the configuration of the real model, a small tokenizer, and a few rows in place of the data."""
    model = folder / "model"
    byte_tokenizer().save_pretrained(model)
    (model / "config.json").write_text(
        json.dumps({"model_type": "qwen3", "max_position_embeddings": 40960, **QWEN3_4B})
    )
    (folder / "math-train.jsonl").write_text('{"problem": "What is 1 + 1?", "answer": "2"}\n' * 256)
    text = SPEC.read_text().replace('"Qwen/Qwen3-4B"', json.dumps(str(model)))
    for old, new in (("[data.train]", f"[distributed]\n{distributed}\n[data.train]"), *changes):
        assert old in text
        text = text.replace(old, new, 1)
    file = folder / "dsrl.toml"
    file.write_text(text)
    resolved, _ = check_spec(file)
    return make_plan(resolved, Hardware(16, 1 << 40, (Gpu("G", gib << 30),) * number))


@pytest.mark.parametrize(
    ("gib", "number", "distributed"), [(80, 8, SHARDED), (141, 1, "activation_checkpointing = true\n")]
)
def test_a_model_of_4_billion_gets_long_passes_where_they_fit(
    tmp_path: Path, gib: int, number: int, distributed: str
) -> None:
    for phase in planned(tmp_path, gib, number, distributed).phases:
        assert phase.tokens_per_pass >= FULL_LENGTH
        assert not phase.tokens_per_pass_written


LONGER = "`distributed.activation_checkpointing = true` would make room"


def notes_of(plan: Plan) -> list[bool]:
    """Of each phase, whether it says that recomputation would make room for long passes."""
    return [any(LONGER in note for note in phase.notes) for phase in plan.phases]


def test_where_recomputation_would_make_room_for_long_passes_the_plan_says_so_and_takes_short_ones(
    tmp_path: Path,
) -> None:
    plan = planned(tmp_path, 141, 1, "")
    assert all(phase.tokens_per_pass < FULL_LENGTH for phase in plan.phases)
    assert notes_of(plan) == [True, True]
    assert all("for a third more compute" in phase.notes[0] for phase in plan.phases)


@pytest.mark.parametrize(
    ("gib", "distributed", "changes"),
    [
        (141, "activation_checkpointing = true\n", ()),
        (40, "", ()),
        (400, "", ()),
        (
            141,
            "",
            (
                ('id = "prune"', 'id = "prune"\ntokens_per_pass = 4096'),
                ('id = "refine"', 'id = "refine"\ntokens_per_pass = 4096'),
            ),
        ),
    ],
    ids=["it is on", "it would not help", "there is room", "the number is written"],
)
def test_and_says_nothing_where_it_would_change_nothing(
    tmp_path: Path, gib: int, distributed: str, changes: tuple[tuple[str, str], ...]
) -> None:
    assert notes_of(planned(tmp_path, gib, 1, distributed, *changes)) == [False, False]


@pytest.mark.parametrize(("hidden", "gb"), [(2048, 1.24), (2560, 1.56)], ids=["1.7B", "4B"])
def test_the_heads_gradient_in_a_pass_is_counted_on_a_gpu(hidden: int, gb: float) -> None:
    """float32, beside the one that is accumulated: 151,936 rows. An adapter's head has none, and a shard is gathered."""
    shape = shape_of({**QWEN3_4B, "hidden_size": hidden})
    work = Workload(trained=1 << 20, scored=0, sampled=0, at_once=0, sequence=8400, in_a_pass=FULL_LENGTH)
    card = Hardware(16, 1 << 40, (Gpu("G", 141 << 30),) * 8)

    def told(hardware: Hardware, **how: Any) -> float:
        memory = cost_of(shape, work, hardware, half=True, **{"processes": 1, **how}).memory_bytes
        return memory.get("gradient of the head in a pass", 0) / 1e9

    assert told(card) == pytest.approx(gb, abs=0.01)
    assert told(card, adapter=1000) == told(card, processes=8, spread=Spread(sharded=True)) == 0
    assert told(Hardware(16, 1 << 40)) == 0, "part of what was measured on CPUs"


def test_a_written_number_wins(tmp_path: Path) -> None:
    plan = planned(tmp_path, 80, 8, SHARDED, ('id = "prune"', 'id = "prune"\ntokens_per_pass = 4096'))
    assert [phase.tokens_per_pass for phase in plan.phases] == [4096, FULL_LENGTH]
