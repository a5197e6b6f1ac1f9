"""The policy's weights outside the loop: to a transformers folder and back, and their hash."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from prerl_spec.errors import RunFailed
from prerl_spec.registry.kinds import LoadedModel


def save_transformers(loaded: LoadedModel, folder: Path) -> None:
    """Config, safetensors (fp32), generation config and tokenizer: what `from_pretrained` wants."""
    module: Any = loaded.module
    module.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)


def load_transformers(loaded: LoadedModel, folder: Path) -> None:
    """Puts a folder's weights into the policy, in place, bit for bit. Raises RunFailed where the parts differ."""
    saved = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    try:
        loaded.module.load_state_dict(saved.state_dict())
    except RuntimeError as error:
        raise RunFailed(f"{folder.name} holds another model: {error}", mend="resume the run that wrote it") from error


@torch.no_grad()
def whole_tensors(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Every parameter under its name in a transformers checkpoint, tied ones once; a collective call."""
    for name, parameter in module.named_parameters():
        yield name, parameter.detach()


@torch.no_grad()
def weights_hash(module: torch.nn.Module) -> str:
    """SHA-256 over names, shapes and bytes of all parameters and persistent buffers."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
