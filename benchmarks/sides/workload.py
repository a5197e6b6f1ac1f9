"""What all sides do: a Qwen3 model of four layers with random weights, eight prompts, eight responses to each.

One direction of the residual stream is set apart: no layer reads or writes it, every embedding has the same entry in it,
and that of end-of-text another one. So the weights alone decide how long responses are, for every side alike: to the limit
(end-of-text has probability e^-20), or as long as a probability of end-of-text at each token makes them, whatever the
vocabulary.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen3Config

NATURAL_END = 1 / 32
"""28 tokens on average under a limit of 64."""
SHARED = 0.3
"""Every embedding's entry in the direction that is set apart."""
SHAPE = {
    "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
    "intermediate_size": 384, "max_position_embeddings": 2048,
}  # fmt: skip


@dataclass(frozen=True)
class Workload:
    """`end` is the probability of end-of-text at each token, 0 for responses that all reach the limit."""

    vocabulary: int
    end: float = 0.0
    prompts: int = 8
    group: int = 8
    response: int = 64
    prompt: int = 16

    @property
    def name(self) -> str:
        return f"{self.vocabulary}-{'natural' if self.end else 'fixed'}"

    def write(self, folder: Path) -> dict[str, Any]:
        """Saves model, tokenizer and rows; returns where they lie, with the sizes."""
        folder.mkdir(parents=True, exist_ok=True)
        model = folder / "model"
        _tokenizer(self.vocabulary).save_pretrained(model)
        self._model().save_pretrained(model)
        numbers = np.random.default_rng(0)
        words = numbers.integers(2, self.vocabulary, (self.prompts, self.prompt)).tolist()
        questions = [" ".join(f"w{i}" for i in row) for row in words]
        rows = folder / "rows.jsonl"
        rows.write_text("".join(json.dumps({"question": q, "answer": "none"}) + "\n" for q in questions))
        return {**asdict(self), "model": str(model), "rows": str(rows), "questions": questions}

    def _model(self) -> Any:
        torch.manual_seed(0)
        config = Qwen3Config(
            vocab_size=self.vocabulary,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=0,
            # transformers gives the padding token no gradient as an input; here it may be sampled like any other.
            pad_token_id=None,
            **SHAPE,
        )
        untyped: Any = AutoModelForCausalLM
        module = untyped.from_config(config, dtype=torch.float32)
        module.generation_config.eos_token_id = 0
        _set_apart(module, math.log(self.vocabulary * self.end) if self.end else -20.0)
        return module


@torch.no_grad()
def _set_apart(module: Any, gap: float) -> None:
    """Sets the last direction apart and end-of-text's logit `gap` above the others', as measured on random tokens."""
    for name, weight in module.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weight[-1] = 0
        elif name.endswith("_proj.weight"):
            weight[:, -1] = 0
    embeddings = module.get_input_embeddings().weight
    embeddings[:, -1] = SHARED
    ids = torch.randint(2, len(embeddings), (8, 64), generator=torch.Generator().manual_seed(0))
    height = module.base_model(input_ids=ids, use_cache=False).last_hidden_state[..., -1].mean()
    embeddings[0, -1] = SHARED + gap / height


def _tokenizer(vocabulary: int) -> Any:
    """A token a word: end-of-text, padding, and w2, w3 …"""
    words = {"<eos>": 0, "<pad>": 1, **{f"w{i}": i for i in range(2, vocabulary)}}
    backend = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    untyped: Any = PreTrainedTokenizerFast
    return untyped(tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>")
