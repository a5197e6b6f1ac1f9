"""Documents that do not fit the model are found before a run's first step, among those that its steps draw."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prerl_components.data.chain_rows import ChainRows
from prerl_components.data.jsonl import Jsonl
from prerl_components.samplers.transformers import Transformers

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.graph import Graph, Named
from prerl_spec.engine.batches.cursor import Cursor
from prerl_spec.engine.batches.datasets import OpenDataSet
from prerl_spec.engine.batches.documents import check_documents, drawn_documents
from prerl_spec.engine.batches.source import draw
from prerl_spec.engine.processes.streams import Streams
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.testing.tiny import tiny_loaded

SPEC = """
spec = 1
run = { name = "documents", streams = "STREAMS" }
optimizer = { use = "adamw", lr = 1e-3 }
[model]
use = "from_scratch"
tokenizer = "data:corpus"
config = { model_type = "qwen3", hidden_size = 16, num_hidden_layers = 1, num_attention_heads = 1, head_dim = 16 }
[data]
corpus = { use = "arithmetic_chains", part = "corpus" }
more = { use = "arithmetic_chains", part = "corpus" }
"""
PHASE = """
[[phases]]
id = "first"
data = { corpus = 0.5, more = 0.5 }
documents_per_step = 8
objective = "next_token"
schedule = { use = "fixed_steps", steps = 4 }
"""


def documents(
    folder: Path,
    rows: list[dict[str, str]],
    longest: int,
    *,
    drawn: Sequence[int] = (),
    whole: bool = False,
    **settings: Any,
) -> list[int]:
    file = folder / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    data = Jsonl(path=str(file), **{"document": "text", **settings}).open("corpus")
    return list(check_documents("corpus", data, tiny_loaded().codec, longest=longest, whole=whole, drawn=drawn))


def test_documents_longer_than_the_model_are_left_out_where_the_data_set_says_so(tmp_path: Path) -> None:
    rows = [{"text": "a" * length} for length in (1, 14, 15, 30)]
    # A prefix before and EOS behind: 14 bytes make 16 tokens.
    assert documents(tmp_path, rows, 16, over_long="drop") == [0, 1]


def test_a_document_with_its_context_trained_has_a_prefix_before_it(tmp_path: Path) -> None:
    rows = [{"question": "q" * 7, "text": "a" * 8}]
    # With EOS 16 tokens, and 17 behind the prefix that the first of them is predicted from.
    assert documents(tmp_path, rows, 16, chat="off", over_long="drop") == [0]
    assert documents(tmp_path, rows, 16, chat="off", over_long="drop", whole=True) == []


def test_a_document_that_is_drawn_and_does_not_fit_is_named_with_its_length(tmp_path: Path) -> None:
    rows = [{"text": "a" * length} for length in (1, 30, 31)]
    with pytest.raises(EnvironmentUnmet, match=r"1 document is longer .* of 16 tokens\n  .*rows\.jsonl:3: 33 tokens$"):
        documents(tmp_path, rows, 16, drawn=[0, 2])


def test_a_data_set_without_documents_cannot_be_pretrained_on(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnmet, match=r"rows\.jsonl:1 has no document to train on"):
        documents(tmp_path, [{"question": "2+2?", "answer": "4"}], 16, document="off")


def graph_of(folder: Path, *phases: str, streams: str = "global") -> Graph:
    file = folder / "spec.toml"
    file.write_text(SPEC.replace("STREAMS", streams) + "".join(phases))
    return compile_spec(file).graph


ALONE = PHASE.replace("{ corpus = 0.5, more = 0.5 }", '"corpus"')


@pytest.mark.parametrize("streams", ["global", "phase"])
def test_the_documents_that_count_as_drawn_are_those_that_the_steps_draw(tmp_path: Path, streams: str) -> None:
    graph, size = graph_of(tmp_path, ALONE, ALONE.replace("first", "second"), streams=streams), 80
    opened = {
        "corpus": OpenDataSet("corpus", ChainRows("corpus", 0, (1, 1), ""), None, range(size), tiny_loaded().codec)
    }
    cursor, drawn, global_step = Cursor.start(), set[int](), 0
    for phase in graph.phases:
        for step in range(1, 5):
            global_step += 1
            of_step = Streams(graph.run.seed, graph.run.streams).of_step(phase.id, step, global_step)
            found, cursor = draw(phase, opened, 8, cursor, of_step, 0)
            drawn |= {place for _, place in found}
        cursor = Cursor.start() if phase.restart_data else cursor
    assert drawn_documents(graph, "corpus", size) == sorted(drawn)
    assert len(drawn) == 64 if streams == "global" else 32 < len(drawn) < 64


@pytest.mark.parametrize("streams", ["global", "phase"])
def test_of_a_mixture_those_documents_count_as_drawn_that_its_steps_draw(tmp_path: Path, streams: str) -> None:
    rare = PHASE.replace("corpus = 0.5, more = 0.5", "corpus = 0.2, more = 0.8")
    graph, size = graph_of(tmp_path, rare, streams=streams), 80
    rows = ChainRows("corpus", 0, (1, 1), "")
    opened = {name: OpenDataSet(name, rows, None, range(size), tiny_loaded().codec) for name in ("corpus", "more")}
    cursor, drawn = Cursor.start(), set[tuple[str, int]]()
    for step in range(1, 5):
        of_step = Streams(graph.run.seed, graph.run.streams).of_step("first", step, step)
        found, cursor = draw(graph.phases[0], opened, 8, cursor, of_step, 0)
        drawn |= set(found)
    assert {(name, place) for name in opened for place in drawn_documents(graph, name, size)} == drawn
    assert 0 < sum(name == "corpus" for name, _ in drawn) < 16


def test_a_mixture_behind_a_phase_that_may_end_sooner_counts_what_it_may_draw(tmp_path: Path) -> None:
    begun = ALONE.replace('"corpus"', '"more"').replace("steps = 4", "steps = 2")
    graph = graph_of(tmp_path, begun, PHASE.replace("first", "second"))
    rows = ChainRows("corpus", 0, (1, 1), "")
    opened = {name: OpenDataSet(name, rows, None, range(80), tiny_loaded().codec) for name in ("corpus", "more")}
    most = 0
    for earlier in range(3):
        cursor, drawn = Cursor.start(), set[int]()
        for step in range(1, 5):
            of_step = Streams(graph.run.seed, graph.run.streams).of_step("second", step, earlier + step)
            found, cursor = draw(graph.phases[1], opened, 8, cursor, of_step, 0)
            drawn |= {place for name, place in found if name == "corpus"}
        assert drawn <= set(drawn_documents(graph, "corpus", 80))
        most = max(most, len(drawn))
    assert len(drawn_documents(graph, "corpus", 80)) == most < 32


def test_every_document_counts_as_drawn_where_only_the_run_knows_which_is_the_first(tmp_path: Path) -> None:
    anew = graph_of(tmp_path, ALONE.replace("4 }", '4, data = "restart" }'), ALONE.replace("first", "second"))
    assert len(drawn_documents(anew, "corpus", 40)) == 32
    assert len(drawn_documents(graph_of(tmp_path, ALONE, ALONE.replace("first", "second")), "corpus", 40)) == 40
    started = replace(anew, plan={**anew.plan, "start": {"from": "another@end"}})
    assert len(drawn_documents(started, "corpus", 40)) == 40
    sampled, documents = anew.phases
    sampled = replace(sampled, sampler=Named("transformers", Transformers()), restart_data=False)
    assert len(drawn_documents(replace(anew, phases=(sampled, documents)), "corpus", 40)) == 40
