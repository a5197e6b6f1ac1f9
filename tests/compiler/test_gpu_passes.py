"""specs/dsrl-qwen3-4b.toml, planned for GPUs: the longest passes that fit in memory, unless the spec says."""

import json
from pathlib import Path

import pytest

from prerl_spec.compiler.compile import check_spec
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


def test_a_written_number_wins(tmp_path: Path) -> None:
    plan = planned(tmp_path, 80, 8, SHARDED, ('id = "prune"', 'id = "prune"\ntokens_per_pass = 4096'))
    assert [phase.tokens_per_pass for phase in plan.phases] == [4096, FULL_LENGTH]
