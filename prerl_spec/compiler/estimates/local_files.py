"""Finds a model's files on this machine without network access: in a folder, the hub cache, or a data set.

A model component names its files by the settings `name`, `revision`, `tokenizer` and `config`, as the built-in ones do;
for a component without these settings the plan reads "unknown".
"""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prerl_spec.compiler.estimates.unknown import NotKnown
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.text import Codec

FROM_DATA = "data:"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors")


def cached_file(name: str, file: str, revision: str | None = None, *, kind: str = "model") -> Path | None:
    """Path of a hub repository's file in the local cache, None if it is not cached."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, file, revision=revision or "main", repo_type=kind)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def is_hub_name(name: str) -> bool:
    """Whether a text can name a repository of the hub: `acme/tiny`, not `/models/tiny`."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return False
    return True


def has_cached_weights(name: str, revision: str | None = None) -> bool:
    """Whether weights that a run loads lie in the hub cache for this revision."""
    return any(cached_file(name, file, revision) is not None for file in WEIGHTS)


def cached_commit(name: str, revision: str | None = None, *, kind: str = "model") -> str | None:
    """The commit of a revision in the local hub cache, None if it is not cached.

    `datasets` caches rows by commit without recording the branch: a run then reads the only cached commit.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    wanted = revision or "main"
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type=kind)
    reference = folder / "refs" / wanted
    if os.path.isfile(reference):
        return reference.read_text(encoding="utf-8").strip()
    snapshots = [snapshot.name for snapshot in folder.glob("snapshots/*")]
    if wanted in snapshots:
        return wanted
    return snapshots[0] if kind == "dataset" and wanted == "main" and len(snapshots) == 1 else None


def is_prepared(name: str) -> bool:
    """Whether a data set of the hub lies in the cache of `datasets`, which offline is read without its files of the hub."""
    from huggingface_hub import constants

    place = os.environ.get("HF_DATASETS_CACHE") or os.path.join(constants.HF_HOME, "datasets")
    return os.path.isdir(os.path.join(os.path.expanduser(place), name.replace("/", "___")))


def model_config(settings: Mapping[str, Any], vocab_size: int | None) -> Mapping[str, Any]:
    """The transformers configuration of a model, from its own settings, its folder or the hub's cache.

    Raises NotKnown. `vocab_size` is the default for a configuration written in the spec.
    """
    written = settings.get("config")
    if isinstance(written, Mapping):
        return written if vocab_size is None else {"vocab_size": vocab_size, **written}
    name = settings.get("name")
    if not isinstance(name, str):
        raise NotKnown("the model component has no setting for its configuration")
    folder = Path(name)
    file = folder / "config.json" if os.path.isdir(folder) else cached_file(name, "config.json", _revision(settings))
    if file is None or not os.path.isfile(file):
        raise NotKnown(f"config.json of {name} is not on this machine")
    try:
        loaded = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise NotKnown(f"{file} is not JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise NotKnown(f"{file} is not a JSON object")
    return loaded


def model_codec(settings: Mapping[str, Any], tokenizers: Mapping[str, Mapping[str, str] | None]) -> Codec:
    """The tokenizer of the model; `tokenizers` are the tokenizer files that data sets provide. Raises NotKnown."""
    source = settings.get("tokenizer") or settings.get("name")
    if not isinstance(source, str):
        raise NotKnown("the model component has no setting for its tokenizer")
    if source.startswith(FROM_DATA):
        return _codec_of_files(source.removeprefix(FROM_DATA), tokenizers)
    folder = Path(source)
    if not os.path.isdir(folder):
        revision = _revision(settings) if source == settings.get("name") else None
        file = cached_file(source, "tokenizer.json", revision)
        if file is None:
            raise NotKnown(f"the tokenizer of {source} is not on this machine")
        folder = file.parent
    try:
        return Codec.from_folder(folder)
    except EnvironmentUnmet as error:
        raise NotKnown(error.message) from error


def _codec_of_files(data: str, tokenizers: Mapping[str, Mapping[str, str] | None]) -> Codec:
    files = tokenizers.get(data)
    if files is None:
        raise NotKnown(f"the data set `{data}` provides no tokenizer")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_text(content, encoding="utf-8")
        return Codec.from_folder(Path(folder))


def _revision(settings: Mapping[str, Any]) -> str | None:
    revision = settings.get("revision")
    return revision if isinstance(revision, str) else None
