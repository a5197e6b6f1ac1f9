"""Pushes an adapter to vLLM as a LoRA adapter, through a folder; the base weights never change."""

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import safe_open

from prerl_spec.sdk import EnvironmentUnmet, PolicyAccess

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM accepts as `max_lora_rank`."""


class PushedAdapter:
    """The latest adapter, with a new name and id for each push: vLLM caches adapters by id."""

    def __init__(self, policy: PolicyAccess, folder: Path) -> None:
        self._policy = policy
        self._folder = folder
        self._number = 0
        self.request: Any = None
        """The `LoRARequest` to sample with, None before the first push."""
        self.scale = 0.0
        """α/rank (α/√rank if rank-stabilised), by which vLLM multiplies B."""
        self.arguments = self._arguments()

    def push(self, llm: Any) -> None:
        """Writes the adapter on rank 0, loads it into every rank's engine, removes the folder. A collective call."""
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
        """Engine arguments needed at start: the largest rank of a layer, and the names of the adapted layers (otherwise
        vLLM would wrap all others too, including the head)."""
        where = self._save()
        config = json.loads((where / "adapter_config.json").read_text(encoding="utf-8"))
        with safe_open(where / "adapter_model.safetensors", framework="pt") as tensors:
            names: list[str] = tensors.keys()
        layers = {name.partition(".lora_")[0].rpartition(".")[2] for name in names}
        self._remove(where)
        self.scale = config["lora_alpha"] / (config["r"] ** (0.5 if config.get("use_rslora") else 1.0))
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
            f"the adapter has rank {rank}, vLLM supports at most {RANKS[-1]}",
            hint='set a lower rank, merge = true, or sampler = "transformers"',
        )
    return fitting[0]
