"""What runs inside the server, mixed into each of vLLM's workers by `--worker-extension-cls`.

Called through the server's /collective_rpc, which hands text in and dictionaries out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from prerl_components.samplers.server.protocol import PROTOCOL, ServerState, identity
from prerl_components.samplers.vllm_engine.load_weights import load_into_worker


class ServerExtension:
    """Loads weights from a folder, and knows which ones it holds: none that count until the first were loaded."""

    vllm_config: Any
    prerl_version: str | None = None

    def prerl_state(self) -> dict[str, Any]:
        """Which weights this worker holds, and what it computes with."""
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
        """Takes the weights of a folder in place of its own; the prefix cache of the old ones is the caller's to drop.

        Raises what the engine raises, and then holds no weights that count.
        """
        self.prerl_forget()
        load_into_worker(self, stored_tensors(Path(folder)))
        self.prerl_hold(version)
        return self.prerl_state()

    def prerl_forget(self) -> None:
        """What it holds from now on counts as nobody's weights."""
        self.prerl_version = None

    def prerl_hold(self, version: str) -> None:
        """The weights that came, by whatever way, are this version."""
        self.prerl_version = version


def stored_tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a folder's safetensors files, one at a time. Raises FileNotFoundError where there is none."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"no weights in {folder}: does this machine see the trainer's push_dir?")
    for file in files:
        with safe_open(file, framework="pt") as shard:
            names: list[str] = list(shard.keys())
            for name in names:
                yield name, shard.get_tensor(name)
