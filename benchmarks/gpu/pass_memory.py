"""Peak memory of a training pass at Qwen3's shapes, without a GPU: every tensor is a fake one, of which only the size exists.

    python benchmarks/gpu/pass_memory.py [--shape 1.7B 4B] [--tokens 16384] [--recompute]

One pass of the trainer's own forward in bfloat16 under autocast, its loss and its backward, over packed samples of 1,024
tokens; the storages alive at each operation are counted as a caching allocator would have to hold them, without its rounding
and fragmentation. Beside the peak of the pass stand the bytes that lie there all along: float32 weights, gradients, and
AdamW's two moments.
"""

import argparse
import json
import weakref
from typing import Any

import torch
from shapes import SHAPES
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import Qwen3Config, Qwen3ForCausalLM

from prerl_spec.engine.policy.decoder_layers import recompute_activations
from prerl_spec.engine.policy.flat_attention import FlatRow, flat_row_of
from prerl_spec.engine.policy.forward import Scoring
from prerl_spec.engine.policy.rows import Stem

SAMPLE = 1024
CONTEXT = 128


class PeakOfStorages(TorchDispatchMode):
    """Bytes of the storages that operations have made and that are still referenced, and their largest sum so far."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage())
        self.peak = max(self.peak, self.alive)
        return found

    def known(self, tensor: torch.Tensor) -> None:
        """A tensor that was there before: its storage counts nowhere."""
        self._known.add(tensor.untyped_storage()._cdata)

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.alive += size
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.alive -= size


def peak_of_pass(shape: dict[str, Any], tokens: int, *, recompute: bool = False) -> dict[str, float]:
    """Bytes: `model` (weights, gradients, moments) and `pass` (the peak on top of them, without the gradients)."""
    with FakeTensorMode():
        config = Qwen3Config(
            **shape, tie_word_embeddings=True, max_position_embeddings=32768, attn_implementation="sdpa"
        )
        module = Qwen3ForCausalLM(config).eval()
        if recompute:
            recompute_activations(module)
        scoring = Scoring(module)
        weights = sum(p.numel() * p.element_size() for p in module.parameters())
        for parameter in module.parameters():
            parameter.grad = torch.zeros_like(parameter)
        ids = torch.zeros(1, tokens, dtype=torch.long)
        positions = torch.arange(SAMPLE).repeat(-(-tokens // SAMPLE))[None, :tokens]
        at = torch.cat([torch.arange(int(s) + CONTEXT, min(int(s) + SAMPLE, tokens)) for s in range(0, tokens, SAMPLE)])
        counted = PeakOfStorages()
        for tensor in (*module.parameters(), *module.buffers(), *(p.grad for p in module.parameters())):
            if tensor is not None:
                counted.known(tensor)
        with counted:
            row = FlatRow([Stem(min(SAMPLE, tokens - start)) for start in range(0, tokens, SAMPLE)])
            with torch.autocast("cpu", dtype=torch.bfloat16), flat_row_of(module, row):
                found = scoring(ids, positions, at, torch.zeros_like(at))
            found.logp_n.sum().backward()
    return {"model": 4.0 * weights, "pass": float(counted.peak)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", nargs="+", choices=SHAPES, default=["1.7B", "4B"])
    parser.add_argument("--tokens", type=int, default=16384)
    parser.add_argument("--recompute", action="store_true", help="activation checkpointing")
    arguments = parser.parse_args()
    for name in arguments.shape:
        found = peak_of_pass(SHAPES[name], arguments.tokens, recompute=arguments.recompute)
        gib = {key: round(value / 2**30, 1) for key, value in found.items()}
        print(json.dumps({"shape": name, "tokens": arguments.tokens, "recompute": arguments.recompute, "GiB": gib}))


if __name__ == "__main__":
    main()
