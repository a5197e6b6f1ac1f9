"""Documents that do not fit the model are found before a run's first step, among those that its steps draw."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prerl_components.data.chain_rows import ChainRows
from prerl_components.data.jsonl import Jsonl

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.graph import Graph
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


@pytest.mark.parametrize(("phase", "streams"), [(ALONE, "global"), (PHASE, "global"), (PHASE, "phase")])
def test_the_documents_that_count_as_drawn_are_those_that_the_steps_draw(
    tmp_path: Path, phase: str, streams: str
) -> None:
    graph, size = graph_of(tmp_path, phase, streams=streams), 40
    (built,), codec = graph.phases, tiny_loaded().codec
    opened = {
        name: OpenDataSet(name, ChainRows("corpus", 0, (1, 1), name), None, range(size), codec) for name in graph.data
    }
    cursor, drawn = Cursor.start(), set[int]()
    for step in range(1, 5):
        found, cursor = draw(
            built, opened, 8, cursor, Streams(graph.run.seed, graph.run.streams).of_step(built.id, step, step), 0
        )
        drawn |= {place for name, place in found if name == "corpus"}
    assert drawn_documents(graph, "corpus", size) == sorted(drawn)
    assert 0 < len(drawn) < size


def test_every_document_counts_as_drawn_where_only_the_run_knows_which_is_the_first(tmp_path: Path) -> None:
    goes_on = graph_of(tmp_path, ALONE, ALONE.replace("first", "second"))
    assert len(drawn_documents(goes_on, "corpus", 40)) == 40
    anew = graph_of(tmp_path, ALONE.replace("4 }", '4, data = "restart" }'), ALONE.replace("first", "second"))
    assert len(drawn_documents(anew, "corpus", 40)) == 32
    started = replace(anew, plan={**anew.plan, "start": {"from": "another@end"}})
    assert len(drawn_documents(started, "corpus", 40)) == 40
