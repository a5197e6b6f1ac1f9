"""A real language model that fits in a test: two transformer layers and a byte-level tokenizer, built in milliseconds.

Shapes are those of Qwen3, Llama, GPT-2 and OPT; weights are random, the same for a seed. Nothing is downloaded.
"""

from pathlib import Path
from typing import Any, Literal, get_args

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    OPTConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from prerl_spec.registry.kinds.model import LoadedModel
from prerl_spec.text import Codec

Shape = Literal["qwen3", "llama", "gpt2", "opt"]
SHAPES: tuple[Shape, ...] = get_args(Shape)

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML, as Qwen writes it: its first special token is the prefix "auto"."""


def byte_tokenizer(*, chat: bool = True) -> PreTrainedTokenizerFast:
    """One token a byte and three special ones, 259 in all; EOS is <|im_end|> with a chat template, else <|endoftext|>."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    untyped: Any = PreTrainedTokenizerFast
    tokenizer: PreTrainedTokenizerFast = untyped(
        tokenizer_object=backend,
        eos_token="<|im_end|>" if chat else "<|endoftext|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
    )
    if chat:
        tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def tiny_config(shape: Shape = "qwen3", *, vocab_size: int = 259, max_length: int = 512) -> PreTrainedConfig:
    """Two layers of width 32 with two heads; tied embeddings, no dropout."""
    common: dict[str, Any] = {"vocab_size": vocab_size, "tie_word_embeddings": True}
    # The default ids of the model families (50256) lie outside a byte vocabulary.
    common |= {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    if shape == "gpt2":
        return GPT2Config(
            **common, n_embd=32, n_layer=2, n_head=2, n_positions=max_length, attn_pdrop=0, embd_pdrop=0, resid_pdrop=0
        )
    common |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    common |= {"max_position_embeddings": max_length}
    if shape == "opt":
        return OPTConfig(**common, word_embed_proj_dim=32, ffn_dim=64, dropout=0.0)
    common |= {"num_key_value_heads": 1, "intermediate_size": 64}
    return Qwen3Config(**common, head_dim=16) if shape == "qwen3" else LlamaConfig(**common)


def tiny_model(shape: Shape = "qwen3", *, seed: int = 0, vocab_size: int = 259, max_length: int = 512) -> Any:
    """A causal model of transformers in float32 and train mode; does not change the global random generator.

    Its weights are drawn wide enough (std 0.2) that distributions differ visibly between contexts.
    """
    config = tiny_config(shape, vocab_size=vocab_size, max_length=max_length)
    config.initializer_range = config.init_std = 0.2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        untyped: Any = AutoModelForCausalLM
        return untyped.from_config(config, dtype=torch.float32).train()


def tiny_loaded(shape: Shape = "qwen3", *, seed: int = 0, chat: bool = True) -> LoadedModel:
    """Model, tokenizer and codec together, as a model component would load them."""
    tokenizer = byte_tokenizer(chat=chat)
    module = tiny_model(shape, seed=seed)
    return LoadedModel(
        module=module,
        tokenizer=tokenizer,
        codec=Codec.of_tokenizer(tokenizer),
        compute_dtype=torch.float32,
        source={"name": f"tiny-{shape}", "parameters": sum(p.numel() for p in module.parameters())},
    )


def save_tiny(folder: Path, shape: Shape = "qwen3", *, seed: int = 0, chat: bool = True) -> Path:
    """Writes model and tokenizer so that `hf_causal` with `name = folder` loads them; returns the folder."""
    loaded = tiny_loaded(shape, seed=seed, chat=chat)
    module: Any = loaded.module
    module.generation_config.eos_token_id = loaded.codec.eos_id
    module.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder
