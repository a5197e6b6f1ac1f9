"""Reads a plain decoder's weights from the layers of a transformers model.

Only models whose parts are exactly those of Llama's layout (also Qwen2, Qwen3, Mistral and others) or of GPT-2's are read;
that they compute what those compute is for `check_parity` to measure.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from prerl_components.samplers.embedded.decoder_weights import DecoderLayer, DecoderWeights, HeadNorm, Norm, Product
from prerl_components.samplers.embedded.expected import BEYOND_A_CHECK

MAX_JOINED_BYTES = 64 << 20
"""Weights of products with the same input are joined if copies of all fit in here: small products cost their calls, large
ones the memory of a copy."""


class NotPlain(Exception):
    """The model has other parts than a plain decoder."""


def read_decoder(module: nn.Module, dtype: torch.dtype | None) -> DecoderWeights | None:
    """The current weights, products cast to `dtype` (None: as they are); None for a model of another layout.

    Casting copies a weight: the result serves one call of `generate`, since an update changes the weights.
    """
    base = module.base_model
    assert isinstance(base, nn.Module)
    reader = _Reader(dtype, sum(p.nbytes for p in base.parameters()))
    config: Any = module.config
    try:
        for name, value in config.to_dict().items():
            _require(not value or not any(word in name for word in BEYOND_A_CHECK))
        return reader.llama(module, base) if hasattr(base, "embed_tokens") else reader.gpt2(module, base)
    except (NotPlain, AttributeError):
        return None


def _require(holds: object) -> None:
    if not holds:
        raise NotPlain


def _consists_of(part: nn.Module, names: Iterable[str], optional: Iterable[str] = ()) -> bool:
    """Whether these are all parts of a module, and no parameter is its own."""
    found = {name for name, _ in part.named_children()}
    return found - set(optional) == set(names) and not any(True for _ in part.parameters(recurse=False))


class _Reader:
    """Casts products to `dtype`, and joins those with the same input if they are few or must be copied anyway."""

    def __init__(self, dtype: torch.dtype | None, num_bytes: int) -> None:
        self._dtype = dtype
        self._joins = num_bytes <= MAX_JOINED_BYTES

    def llama(self, module: Any, base: Any) -> DecoderWeights:
        _require(_consists_of(module, ("model", "lm_head")) and module.model is base)
        _require(_consists_of(base, ("embed_tokens", "layers", "norm", "rotary_emb")))
        head = self._product(module.lm_head)
        return DecoderWeights(
            embedding=_embedding(base.embed_tokens),
            position_embedding=None,
            rotary=base.rotary_emb,
            layers=tuple(self._llama_layer(layer) for layer in base.layers),
            norm=_norm(base.norm),
            head=head,
            dtype=head.parts[0][0].dtype,
        )

    def _llama_layer(self, layer: Any) -> DecoderLayer:
        _require(_consists_of(layer, ("self_attn", "mlp", "input_layernorm", "post_attention_layernorm")))
        attention, feed = layer.self_attn, layer.mlp
        projections = ("q_proj", "k_proj", "v_proj", "o_proj")
        normed = hasattr(attention, "q_norm")
        _require(_consists_of(attention, (*projections, *(("q_norm", "k_norm") if normed else ()))))
        _require(_consists_of(feed, ("gate_proj", "up_proj", "down_proj"), optional=("act_fn",)))
        _require(getattr(attention, "sliding_window", None) is None)
        num_heads = attention.q_proj.out_features // attention.head_dim
        num_kv_heads = attention.k_proj.out_features // attention.head_dim
        return DecoderLayer(
            attention_norm=_norm(layer.input_layernorm),
            query_key_value=self._product(attention.q_proj, attention.k_proj, attention.v_proj),
            head_norm=_head_norm(attention, num_heads, num_kv_heads) if normed else None,
            attention_output=self._product(attention.o_proj),
            feed_norm=_norm(layer.post_attention_layernorm),
            up=self._product(feed.gate_proj, feed.up_proj),
            gated=True,
            activation=feed.act_fn,
            down=self._product(feed.down_proj),
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            head_dim=attention.head_dim,
            scale=attention.scaling,
        )

    def gpt2(self, module: Any, base: Any) -> DecoderWeights:
        _require(_consists_of(module, ("transformer", "lm_head")) and module.transformer is base)
        _require(_consists_of(base, ("wte", "wpe", "drop", "h", "ln_f")))
        head = self._product(module.lm_head)
        return DecoderWeights(
            embedding=_embedding(base.wte),
            position_embedding=_embedding(base.wpe),
            rotary=None,
            layers=tuple(self._gpt2_layer(layer) for layer in base.h),
            norm=_norm(base.ln_f),
            head=head,
            dtype=head.parts[0][0].dtype,
        )

    def _gpt2_layer(self, layer: Any) -> DecoderLayer:
        _require(_consists_of(layer, ("ln_1", "attn", "ln_2", "mlp")))
        attention, feed = layer.attn, layer.mlp
        _require(_consists_of(attention, ("c_attn", "c_proj"), optional=("attn_dropout", "resid_dropout")))
        _require(_consists_of(feed, ("c_fc", "c_proj"), optional=("act", "dropout")))
        return DecoderLayer(
            attention_norm=_norm(layer.ln_1),
            query_key_value=self._product(attention.c_attn),
            head_norm=None,
            attention_output=self._product(attention.c_proj),
            feed_norm=_norm(layer.ln_2),
            up=self._product(feed.c_fc),
            gated=False,
            activation=feed.act,
            down=self._product(feed.c_proj),
            num_heads=attention.num_heads,
            num_kv_heads=attention.num_heads,
            head_dim=attention.head_dim,
            scale=attention.scaling,
        )

    def _product(self, *linears: nn.Module) -> Product:
        """Layers of nn.Linear and Conv1D themselves only: an adapter's computes more than x Wᵀ + b."""
        _require(all(type(linear) in (nn.Linear, Conv1D) for linear in linears))
        weights: list[Any] = [part.weight.t() if isinstance(part, Conv1D) else part.weight for part in linears]
        biases: list[Any] = [part.bias for part in linears]
        cast = [self._cast(weight) for weight in weights]
        if len(linears) > 1 and (self._joins or cast[0] is not weights[0]):
            has_bias = any(bias is not None for bias in biases)
            joined = torch.cat([w.new_zeros(len(w)) if b is None else b for w, b in zip(weights, biases, strict=True)])
            return Product(((torch.cat(cast), self._cast(joined) if has_bias else None),))
        return Product(tuple((w, None if b is None else self._cast(b)) for w, b in zip(cast, biases, strict=True)))

    def _cast(self, weight: Tensor) -> Tensor:
        return weight if self._dtype is None else weight.to(self._dtype)


def _embedding(part: Any) -> Tensor:
    _require(type(part) is nn.Embedding and part.max_norm is None)
    weight: Tensor = part.weight
    return weight


def _norm(part: Any) -> Norm:
    """A layer norm, or any other norm with a weight only, taken for an RMS norm."""
    names = {name for name, _ in part.named_parameters()}
    if type(part) is nn.LayerNorm:
        _require("weight" in names and len(part.normalized_shape) == 1)
        return Norm(part.weight, part.bias, part.eps, centred=True)
    _require(names == {"weight"})
    eps = part.variance_epsilon if hasattr(part, "variance_epsilon") else part.eps
    return Norm(part.weight, None, eps, centred=False)


def _head_norm(attention: Any, num_heads: int, num_kv_heads: int) -> HeadNorm:
    """Raises NotPlain for norms over all heads together."""
    query, key = _norm(attention.q_norm), _norm(attention.k_norm)
    size = (attention.head_dim,)
    _require(query.weight.shape == key.weight.shape == size and query.eps == key.eps)
    _require(not query.centred and not key.centred)
    return HeadNorm(torch.cat([query.weight.expand(num_heads, -1), key.weight.expand(num_kv_heads, -1)]), query.eps)
