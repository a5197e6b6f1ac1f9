"""What the scripts in this folder build alike: arguments for a trial on a CPU, and a model with random weights."""

import argparse
import os
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from prerl_spec.registry.kinds.model import LoadedModel
from prerl_spec.testing.tiny import byte_tokenizer
from prerl_spec.text import Codec


def add_trial(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tiny", action="store_true", help="a model of two layers, little work")
    parser.add_argument("--cpu", action="store_true", help="run on the CPU even if a GPU is available")


def device_of(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> torch.device:
    """The device asked for; ends the command if there is no GPU and the CPU was not asked for."""
    if arguments.cpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif not torch.cuda.is_available():
        parser.error("no GPU available; use --tiny --cpu to test the script")
    return torch.device("cpu" if arguments.cpu else "cuda")


def random_model(shape: dict[str, Any], device: torch.device, attention: str = "sdpa") -> LoadedModel:
    """Float32 weights, the same at each call, and forward passes in bfloat16; a byte tokenizer."""
    torch.manual_seed(0)
    settings = {
        **shape,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
        "attn_implementation": attention,
    }
    config = Qwen3Config(**settings)
    with device:
        module = Qwen3ForCausalLM(config)
    tokenizer = byte_tokenizer()
    return LoadedModel(module, tokenizer, Codec.of_tokenizer(tokenizer), torch.bfloat16, {})


def peak_gib(device: torch.device) -> float | None:
    return torch.cuda.max_memory_reserved(device) / 2**30 if device.type == "cuda" else None


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
