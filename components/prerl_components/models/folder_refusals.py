"""What a folder of a saved model lacks that loading it needs, found by looking at its files alone.

Whether weights and configuration belong together is only known when they are loaded.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from prerl_components.models.transformers_sources import causal_types
from prerl_spec.sdk import Refusal

CONFIG, ADAPTER = "config.json", "adapter_config.json"
WEIGHTS, ALONE, INDEX = "*.safetensors", "model.safetensors", "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth")
HEADER_LENGTH = 8
"""Bytes at the start of a file of safetensors that say how long its header is."""
TOKENIZERS = (
    *("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model"),
    *("*.tiktoken", "tekken.json"),
)
"""Any one of these holds a vocabulary that transformers can read."""
SAVE = "save the model there with save_pretrained, or name another folder"
SAVE_TOKENIZER = "save the tokenizer there with save_pretrained, or set `tokenizer` to a folder that has one"


def folder_config(name: str) -> Mapping[str, Any] | None:
    """The configuration of the model in a folder; None where there is none that can be read."""
    found = _read(Path(name) / CONFIG)
    return found if isinstance(found, dict) else None


def model_refusals(name: str, *, with_tokenizer: bool, own_code: bool) -> Iterator[Refusal]:
    """Why the model in the folder cannot be loaded, and, `with_tokenizer`, its tokenizer. `own_code`: the code that comes with
    it may be run."""
    folder = Path(name)
    if (folder / ADAPTER).is_file():
        yield from _adapter(folder)
    else:
        yield from (Refusal("folder", name, why, SAVE) for why in _of_config(folder))
        if not own_code:
            yield from _of_type(name)
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


def _of_type(name: str) -> Iterator[Refusal]:
    config, types = folder_config(name), causal_types()
    model_type = None if config is None else config.get("model_type")
    if config is None or not types or model_type in types:
        return
    if "AutoModelForCausalLM" in (config.get("auto_map") or {}):
        hint = "set remote_code to the commit of the code that may run, or use a model that transformers knows"
        yield Refusal("folder", name, f"{CONFIG}: `{model_type}` is loaded by code of its own, which is not run", hint)
    elif model_type is None:
        yield Refusal("folder", name, f"{CONFIG} has no model_type", SAVE)
    else:
        why = f"{CONFIG}: the installed transformers has no causal language model of type `{model_type}`"
        near = get_close_matches(str(model_type), sorted(types), n=1, cutoff=0.6)
        hint = f"did you mean `{near[0]}`?" if near else "install a transformers that has it, or use another model"
        yield Refusal("folder", name, why, hint)


def _of_weights(folder: Path) -> Iterator[str]:
    if (folder / INDEX).is_file():
        listed = _read(folder / INDEX)
        files = sorted(set(listed.get("weight_map", {}).values())) if isinstance(listed, dict) else []
        absent = [file for file in files if not (folder / file).is_file()]
        if absent:
            yield f"{INDEX} names {absent[0]}, which is not there"
        yield from _cut_short(folder / file for file in files if file not in absent)
    elif (folder / ALONE).is_file():
        yield from _cut_short([folder / ALONE])
    elif not any(folder.glob(WEIGHTS)):
        pickled = any(True for pattern in PICKLES for _ in folder.glob(pattern))
        yield f"it has no {WEIGHTS}" + (": its weights are pickles, which are never loaded" if pickled else "")


def _cut_short(files: Iterable[Path]) -> Iterator[str]:
    """Of a file of weights that does not have the length that its header says, such as one whose copy was interrupted."""
    for file in files:
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(HEADER_LENGTH), "little")
            if HEADER_LENGTH + length > size:
                yield f"{file.name} ends within its header"
                continue
            try:
                header = json.loads(opened.read(length))
                ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            except (ValueError, LookupError, TypeError, AttributeError):
                yield f"{file.name} has no header of safetensors"
                continue
        wanted = HEADER_LENGTH + length + max(ends, default=0)
        if wanted != size:
            yield f"{file.name} has {size:,} bytes instead of the {wanted:,} bytes by its header"


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
