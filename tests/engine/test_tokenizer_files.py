"""A data set's tokenizer becomes a folder that a model reads, or the user is told that there is none."""

from pathlib import Path

import pytest
from prerl_components.data.arithmetic_chains import ArithmeticChains
from prerl_components.data.jsonl import Jsonl
from transformers import AutoTokenizer

from prerl_spec.engine.policy.tokenizer_files import tokenizer_files, write_tokenizer
from prerl_spec.errors import EnvironmentUnmet


def test_what_is_written_reads_back_as_a_tokenizer(tmp_path: Path) -> None:
    write_tokenizer(tokenizer_files("train", ArithmeticChains()), tmp_path / "tokenizers" / "train")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tokenizers" / "train")
    assert tokenizer.decode(tokenizer("1 + 2 =").input_ids, skip_special_tokens=True) == "1 + 2 ="
    # Written whole or not at all: nothing half-written lies beside.
    assert {f.name for f in (tmp_path / "tokenizers" / "train").iterdir()} == set(ArithmeticChains().tokenizer_files())


def test_a_data_set_without_one_is_told_by_name() -> None:
    with pytest.raises(EnvironmentUnmet, match=r"data\.questions provides no tokenizer"):
        tokenizer_files("questions", Jsonl(path="questions.jsonl"))
