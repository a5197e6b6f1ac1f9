"""Writes the policy's weights as files for an inference engine, shard by shard, so that no rank holds a second full copy
of the weights."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from prerl_spec.sdk import LoadedModel

SHARD_BYTES = 2 << 30


def write_weights(folder: Path, tensors: Iterable[tuple[str, Tensor]], *, writes: bool) -> list[Path]:
    """Writes `model-00001.safetensors` …, at most 2 GiB (or one tensor) each; no index, since readers load every file.

    Every rank iterates over the tensors (gathering one is a collective call); only a rank with `writes=True` stores them.
    """
    files: list[Path] = []
    shard: dict[str, Tensor] = {}
    size = 0

    def flush() -> None:
        nonlocal shard, size
        if shard:
            files.append(folder / f"model-{len(files) + 1:05d}.safetensors")
            save_file(shard, files[-1], metadata={"format": "pt"})
        shard, size = {}, 0

    for name, tensor in tensors:
        if not writes:
            continue
        if size and size + tensor.nbytes > SHARD_BYTES:
            flush()
        shard[name] = tensor.detach().cpu().contiguous()
        size += tensor.nbytes
    flush()
    return files


def write_shell(folder: Path, loaded: LoadedModel) -> None:
    """Writes all that an engine reads besides the weights: config.json with the architecture's name, and the tokenizer."""
    module: Any = loaded.module
    # fully_shard replaces a module's class by a generated subclass, which no engine knows.
    names = [kind.__name__ for kind in type(module).__mro__ if not kind.__name__.startswith("FSDP")]
    config = type(module.config).from_dict({**module.config.to_dict(), "architectures": names[:1]})
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
