"""The server-side extension, mixed into each of vLLM's workers by `--worker-extension-cls`.

Called through the server's /collective_rpc, which passes strings in and dictionaries out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from prerl_components.samplers.server.protocol import PROTOCOL, ServerState, identity, packed
from prerl_components.samplers.shared.row_hashes import digest
from prerl_components.samplers.vllm_engine.engine_rows import engine_rows
from prerl_components.samplers.vllm_engine.load_weights import load_into_worker


class ServerExtension:
    """Loads weights from a folder and keeps their version; the version is None until the first load."""

    vllm_config: Any
    prerl_version: str | None = None

    def prerl_state(self) -> dict[str, Any]:
        """This worker's ServerState as a dictionary: weight version, dtype, model."""
        model = self.vllm_config.model_config
        return ServerState(
            protocol=PROTOCOL,
            version=self.prerl_version,
            dtype=str(model.dtype).removeprefix("torch."),
            logprobs_mode=str(model.logprobs_mode),
            max_length=int(model.max_model_len),
            model=identity(model.hf_text_config),
        )._asdict()

    def prerl_load(self, folder: str, version: str) -> dict[str, Any]:
        """Replaces the weights by those of a folder; the caller must reset the prefix cache.

        Propagates the engine's exceptions; the version is then None.
        """
        self.prerl_forget()
        load_into_worker(self, stored_tensors(Path(folder)))
        self.prerl_hold(version)
        return self.prerl_state()

    def prerl_rows(self) -> dict[str, str]:
        """The row hashes of the weights that this worker computes with, packed as text."""
        return {name: packed(rows) for name, rows in engine_rows(self).items()}

    def prerl_digests(self) -> dict[str, int]:
        """The digest of each."""
        return {name: digest(rows) for name, rows in engine_rows(self).items()}

    def prerl_forget(self) -> None:
        """Clears the version: the weights then match no version of a trainer."""
        self.prerl_version = None

    def prerl_hold(self, version: str) -> None:
        """Sets the version of the weights just loaded or transferred."""
        self.prerl_version = version


def stored_tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a folder's safetensors files, one at a time. Raises FileNotFoundError if there are no files."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"no weights in {folder}: is the trainer's push_dir mounted on this machine?")
    for file in files:
        with safe_open(file, framework="pt") as shard:
            names: list[str] = list(shard.keys())
            for name in names:
                yield name, shard.get_tensor(name)
