"""What a folder of a saved model lacks that loading it needs, found by looking at its files alone.

Whether weights and configuration belong together is only known when they are loaded.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prerl_spec.sdk import Refusal

CONFIG, WEIGHTS, INDEX, ADAPTER = "config.json", "*.safetensors", "model.safetensors.index.json", "adapter_config.json"
PICKLES = ("*.bin", "*.pt", "*.pth")
TOKENIZERS = (
    *("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model"),
    *("*.tiktoken", "tekken.json"),
)
"""Any one of these holds a vocabulary that transformers can read."""
SAVE = "save the model there with save_pretrained, or name another folder"
SAVE_TOKENIZER = "save the tokenizer there with save_pretrained, or set `tokenizer` to a folder that has one"


def model_refusals(name: str, *, with_tokenizer: bool) -> Iterator[Refusal]:
    """Why the model in the folder cannot be loaded, and, `with_tokenizer`, its tokenizer."""
    folder = Path(name)
    if (folder / ADAPTER).is_file():
        yield from _adapter(folder)
    else:
        yield from (Refusal("folder", name, why, SAVE) for why in _of_config(folder))
        yield from (Refusal("folder", name, why, SAVE) for why in _of_weights(folder))
    if with_tokenizer:
        yield from tokenizer_refusals(name)


def tokenizer_refusals(name: str) -> Iterator[Refusal]:
    """Why the tokenizer in the folder cannot be loaded."""
    folder = Path(name)
    if not any(True for pattern in TOKENIZERS for _ in folder.glob(pattern)):
        yield Refusal("folder", name, "it has no tokenizer (no tokenizer.json)", SAVE_TOKENIZER)
    elif (folder / "tokenizer.json").is_file() and (why := _unreadable(folder / "tokenizer.json")) is not None:
        yield Refusal("folder", name, why, SAVE_TOKENIZER)


def _of_config(folder: Path) -> Iterator[str]:
    if not (folder / CONFIG).is_file():
        yield f"it has no {CONFIG}"
    elif (why := _unreadable(folder / CONFIG)) is not None:
        yield why


def _of_weights(folder: Path) -> Iterator[str]:
    if (folder / INDEX).is_file():
        listed = _read(folder / INDEX)
        files = sorted(set(listed.get("weight_map", {}).values())) if isinstance(listed, dict) else []
        absent = [file for file in files if not (folder / file).is_file()]
        if absent:
            yield f"{INDEX} names {absent[0]}, which is not there"
    elif not any(folder.glob(WEIGHTS)):
        pickled = any(True for pattern in PICKLES for _ in folder.glob(pattern))
        yield f"it has no {WEIGHTS}" + (": its weights are pickles, which are never loaded" if pickled else "")


def _adapter(folder: Path) -> Iterator[Refusal]:
    """An adapter alone is loaded over the model that it names."""
    settings = _read(folder / ADAPTER)
    if not isinstance(settings, dict):
        yield Refusal("folder", str(folder), f"{ADAPTER} is not a JSON object", SAVE)
        return
    base = settings.get("base_model_name_or_path")
    if isinstance(base, str) and os.path.isabs(base) and not os.path.isdir(base):
        yield Refusal(
            "folder",
            str(folder),
            f"it holds an adapter of the model in {base}, which is not there",
            f"restore that folder, or change base_model_name_or_path in {ADAPTER}",
        )


def _unreadable(file: Path) -> str | None:
    return None if isinstance(_read(file), dict) else f"{file.name} is not a JSON object"


def _read(file: Path) -> Any:
    """Its JSON value; None for a file that cannot be read or is no JSON."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
