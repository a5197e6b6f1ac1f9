"""No pickle is loaded from a file, whatever its name promises (G9). conftest.py watches all other tests for it too."""

import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from prerl_components.data.hf_dataset import HfDataset
from prerl_components.data.jsonl import Jsonl
from prerl_components.models.hf_causal import HfCausal

from prerl_spec.errors import PrerlError
from prerl_spec.sdk import ModelSite
from prerl_spec.testing.tiny import save_tiny
from tests.conftest import AUDIT


class Canary:
    """Creates `file` when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def write(file: Path, canary: Path) -> None:
    """An archive as torch.save makes it for the suffixes of torch, else a bare pickle."""
    if file.suffix in (".bin", ".pt", ".pth", ".ckpt"):
        torch.save(Canary(canary), file)
    else:
        file.write_bytes(pickle.dumps(Canary(canary)))


def test_the_watch_sees_a_pickle_in_a_child_process(tmp_path: Path) -> None:
    found = tmp_path / "found"
    environment = {**os.environ, "PYTHONPATH": str(AUDIT), "PRERL_SPEC_TEST_PICKLES": str(found)}
    data = pickle.dumps(OrderedDict(a=1))
    subprocess.run([sys.executable, "-c", f"import pickle; pickle.loads({data!r})"], env=environment, check=True)
    assert "collections.OrderedDict in <string>:1" in found.read_text()


@pytest.mark.parametrize(
    "names",
    [
        ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "special_tokens.pkl", "tokenizer.pkl"),
        ("adapter_model.bin",),
        ("pytorch_model.bin", "model.pt", "model.ckpt"),
        ("model.safetensors",),
        ("tokenizer.json",),
        ("config.json",),
        ("generation_config.json",),
    ],
    ids=lambda names: names[0],
)
def test_no_file_of_a_model_is_unpickled(names: tuple[str, ...], tmp_path: Path) -> None:
    folder, canary = save_tiny(tmp_path / "model"), tmp_path / "unpickled"
    for name in names:
        write(folder / name, canary)
    if "pytorch_model.bin" in names:
        (folder / "model.safetensors").unlink()
    if "adapter_model.bin" in names:
        (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"]}')
    with suppress(PrerlError):
        HfCausal(name=str(folder)).build(ModelSite(seed=0, device="cpu", tokenizer_folder=lambda name: folder))
    assert not canary.exists()


@pytest.mark.parametrize(
    "name", ["train.jsonl", "train.json", "train.parquet", "train.csv", "train.pkl", "train.arrow"]
)
def test_no_rows_are_unpickled(name: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / name, canary := tmp_path / "unpickled")
    for data in (Jsonl(path=str(tmp_path / "data" / name)), HfDataset(path=str(tmp_path / "data"))):
        with suppress(PrerlError):
            data.open("train")
    assert not canary.exists()
