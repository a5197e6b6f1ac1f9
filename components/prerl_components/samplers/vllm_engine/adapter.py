"""An adapter handed to vLLM as an adapter, through a folder: the base that it lies on never changes."""

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import safe_open

from prerl_spec.sdk import EnvironmentUnmet, PolicyAccess

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as `max_lora_rank`."""


class PushedAdapter:
    """The newest adapter under a name and a number of its own: vLLM keeps what it knows under an old one."""

    def __init__(self, policy: PolicyAccess, folder: Path) -> None:
        self._policy = policy
        self._folder = folder
        self._number = 0
        self.request: Any = None
        """The `LoRARequest` that samples are drawn with, None before the first push."""
        self.arguments = self._arguments()

    def push(self, llm: Any) -> None:
        """A collective call: rank 0 writes, every rank's engine reads, then the folder goes."""
        from vllm.lora.request import LoRARequest

        self._number += 1
        where = self._save()
        before, self.request = self.request, LoRARequest(f"update-{self._number}", self._number, str(where))
        llm.llm_engine.add_lora(self.request)
        if before is not None:
            llm.llm_engine.remove_lora(before.lora_int_id)
        self._remove(where)

    def _save(self) -> Path:
        where = self._folder / f"adapter-{self._number}"
        self._policy.save_adapter(where)
        self._policy.barrier()
        return where

    def _remove(self, where: Path) -> None:
        self._policy.barrier()
        if self._policy.rank == 0:
            shutil.rmtree(where)

    def _arguments(self) -> dict[str, Any]:
        """What the engine must be told before it starts: the largest rank of a layer, and which layers have one (around
        all others, the head among them, vLLM would put layers too)."""
        where = self._save()
        config = json.loads((where / "adapter_config.json").read_text(encoding="utf-8"))
        with safe_open(where / "adapter_model.safetensors", framework="pt") as tensors:
            names: list[str] = tensors.keys()
        layers = {name.partition(".lora_")[0].rpartition(".")[2] for name in names}
        self._remove(where)
        rank = max(int(config["r"]), *(int(r) for r in (config.get("rank_pattern") or {}).values()), 1)
        return {
            "enable_lora": True,
            "max_loras": 1,
            "max_lora_rank": _allowed(rank),
            "lora_target_modules": sorted(layers),
        }


def _allowed(rank: int) -> int:
    fitting = [r for r in RANKS if r >= rank]
    if not fitting:
        raise EnvironmentUnmet(
            f"an adapter of rank {rank}: vLLM takes at most {RANKS[-1]}",
            hint='write a lower rank, merge = true, or sampler = "transformers"',
        )
    return fitting[0]
