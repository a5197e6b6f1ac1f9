"""Every paper of docs/papers.md is a spec without a warning, and trains: two steps each, on a tiny model."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.past_runs.run_folder import choose_run_folder, hold_run_folder
from prerl_spec.compiler.resolve.resolve import resolve
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.engine.record.run_inputs import write_given
from prerl_spec.engine.run.run import run
from tests.engine.runs import Heard, steps_of

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")

TINY = """
plugins.files = ["coin.py"]
run = { name = "papers", seed = 3, output_dir = "runs" }
checkpoint.keep = 1
verifier = "local.coin"
optimizer = { use = "adamw", lr = 1e-3 }
sampler = { use = "transformers", group_size = 6, max_new_tokens = 8, stop = ["1", "2", "3", "4", "5", "6"] }
model = MODEL
data.train = { use = "arithmetic_chains", part = "easy", steps = [1, 1] }
data.corpus = { use = "arithmetic_chains", part = "corpus", steps = [1, 1] }
"""
MODEL = """{ use = "from_scratch", tokenizer = "data:train", config = { model_type = "qwen3", hidden_size = 16, \
num_hidden_layers = 1, num_attention_heads = 2, num_key_value_heads = 1, head_dim = 8, intermediate_size = 32, \
max_position_embeddings = 64, tie_word_embeddings = true } }"""

COIN = '''
from prerl_spec.sdk import BinaryVerifier, Outcome, Verdict


class Coin(BinaryVerifier):
    """Right where the response has an even number of characters: a random model's groups are then mixed."""

    right_example = ("ab", "1")
    wrong_example = ("a", "1")

    def judge(self, response, gold):
        return Verdict(Outcome.WRONG if len(response) % 2 else Outcome.RIGHT, float(len(response) % 2 == 0))
'''


def papers() -> Iterator[tuple[str, str, str]]:
    """The chapter, the title and the block of each paper."""
    for chapter in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        for title, block in re.findall(r"^### (.*?)\n.*?```toml\n(.*?)```", chapter, re.DOTALL | re.MULTILINE):
            yield chapter.splitlines()[0], title, block


PAPERS = list(papers())
CHAPTERS = list(dict.fromkeys(chapter for chapter, _, _ in PAPERS))
BASE = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]


def test_every_block_is_the_base_or_a_paper() -> None:
    assert PAGE.count("```toml") == PAGE.count("```") // 2 == 1 + len(PAPERS)
    assert len({title for _, title, _ in PAPERS}) == len(PAPERS)


@pytest.mark.parametrize(("title", "block"), [paper[1:] for paper in PAPERS], ids=[title for _, title, _ in PAPERS])
def test_a_paper_over_the_base_is_a_spec_without_a_warning(title: str, block: str, tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(BASE, encoding="utf-8")
    file = tmp_path / "paper.toml"
    file.write_text(f'spec = 1\nextends = ["base.toml"]\n{block}', encoding="utf-8")
    assert diagnose(resolve(file)) == ()


def test_a_base_for_a_cpu_needs_the_model_the_data_and_the_sampler_of_smoke(tmp_path: Path) -> None:
    smoke = tomllib.loads((ROOT / "specs" / "smoke.toml").read_text(encoding="utf-8"))
    base = {**tomllib.loads(BASE), **{key: smoke[key] for key in ("model", "data", "sampler")}}
    (tmp_path / "base.toml").write_text("".join(f"{key} = {inline(v)}\n" for key, v in base.items()), encoding="utf-8")
    errors: dict[str, list[str]] = {}
    for title, block in (paper[1:] for paper in PAPERS):
        (tmp_path / "paper.toml").write_text(f'spec = 1\nextends = ["base.toml"]\n{block}', encoding="utf-8")
        found = [d.path for d in diagnose(resolve(tmp_path / "paper.toml")) if d.severity == "error"]
        errors |= {title.partition(":")[0]: found} if found else {}
    assert errors == {"DAPO": ["phases[0].rewards[0].buffer"], "QFFT": ["data.train.document"]}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_papers_of_a_chapter_train(chapter: str, tmp_path: Path) -> None:
    """One run, whose phases are those of the papers."""
    (tmp_path / "coin.py").write_text(COIN, encoding="utf-8")
    file = tmp_path / "spec.toml"
    phases = [phase for number, (of, _, block) in enumerate(PAPERS) if of == chapter for phase in tiny(number, block)]
    text = f"spec = 1\n{TINY.replace('MODEL', MODEL)}phases = {inline(phases)}\n"
    file.write_text(text, encoding="utf-8")
    graph = compile_spec(file, local_code=True).graph
    folder, _ = choose_run_folder(tmp_path / "runs", graph.run.name, graph.digest)
    with hold_run_folder(folder):
        write_given(folder, graph)
        run(graph, folder, Heard())
    steps = steps_of(folder)
    assert [e["phase"] for e in steps] == [phase["id"] for phase in phases for _ in range(2)]
    for phase in phases:
        mine = [e for e in steps if e["phase"] == phase["id"]]
        assert sum(e["applied"] for e in mine) > 0, f"{phase['id']} took no update"
        losses = [e["metrics"]["loss"] for e in mine]
        assert all(map(isfinite, losses))


def tiny(number: int, block: str) -> Iterator[dict[str, Any]]:
    """The phases of a paper over the base's, at a size that runs in a moment."""
    said = tomllib.loads(block)
    (base,) = tomllib.loads(BASE)["phases"]
    for phase in said["phases"]:
        whole = {**base, **phase} if phase["id"] == base["id"] else dict(phase)
        whole["id"] = f"paper_{number}_{phase['id']}"
        whole["schedule"] = {**whole["schedule"], "steps": 2}
        if "documents_per_step" in whole:
            del whole["prompts_per_step"]
            whole |= {"documents_per_step": 4, "data": "corpus"}
        else:
            whole |= {"prompts_per_step": 4, "updates_per_batch": min(whole.get("updates_per_batch", 1), 2)}
        yield shrunk(whole)


def shrunk(value: Any) -> Any:
    """What only a large model has room for, made small: teachers, and the buffer of a length penalty."""
    if isinstance(value, list):
        return [shrunk(v) for v in value]
    if not isinstance(value, Mapping):
        return value
    small = {key: shrunk(v) for key, v in value.items()}
    if "teacher" in small:
        small["teacher"] = tomllib.loads(f"teacher = {MODEL}")["teacher"]
    return small | ({"buffer": 2} if "buffer" in small else {})


def inline(value: Any) -> str:
    """A value as TOML on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {inline(v)}" for key, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return json.dumps(value)
