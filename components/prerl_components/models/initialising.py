"""Builds a model from a configuration; its weights are a function of the site's seed alone."""

import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import GenerationConfig, PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from prerl_components.models.loading import AUTO_MODEL, complete, load_tokenizer
from prerl_components.models.seeded import private_random
from prerl_components.models.transformers_sources import ALSO_TAKEN
from prerl_spec.sdk import Code, Codec, Diagnostic, LoadedModel, ModelSite, SpecInvalid, padded_embeddings

SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def initialise(config_table: Mapping[str, Any], tokenizer_name: str, dtype: str, site: ModelSite) -> LoadedModel:
    """A model with random float32 weights; the vocabulary size defaults to the tokenizer's.

    `tokenizer_name` is a folder or a hub name. Raises SpecInvalid for a configuration that transformers rejects or that
    cannot run a forward pass, EnvironmentUnmet for a tokenizer that cannot be loaded.
    """
    tokenizer = load_tokenizer(tokenizer_name)
    codec = Codec.of_tokenizer(tokenizer)
    config = build_config(config_table, codec)
    try:
        with private_random(site.seed):
            module = AUTO_MODEL.from_config(config, dtype=torch.float32)
            draw_padding_rows(module)
            module.generation_config = GenerationConfig.from_model_config(config)
            # Inconsistent shapes (heads that do not divide, a window of 0) raise at the first forward only.
            with torch.no_grad():
                module.eval()(input_ids=torch.zeros((1, 2), dtype=torch.long), use_cache=False)
    except (RuntimeError, ValueError, IndexError, TypeError, KeyError, AttributeError, ZeroDivisionError) as error:
        raise SpecInvalid([_mistake(Code.CONSTRAINT_BROKEN, "", f"the model cannot be built: {error}")]) from error
    source = {"name": config.model_type, "revision": None, "seed": site.seed}
    return complete(module, tokenizer, dtype, site, source)


@torch.no_grad()
def draw_padding_rows(module: Any) -> None:
    """Draws the embedding rows of padding, which transformers sets to zero, as the model draws the other rows.

    After all other weights, so that no other weight depends on it. The row is that of a token like any other: a policy may
    sample it, and a prefix may name it.
    """
    for embedding in padded_embeddings(module):
        row = embedding.weight[embedding.padding_idx]
        if not row.any():
            one = torch.nn.Embedding(1, embedding.embedding_dim, dtype=embedding.weight.dtype)
            module._init_weights(one)
            row.copy_(one.weight[0])


def build_config(table: Mapping[str, Any], codec: Codec) -> PretrainedConfig:
    """The transformers configuration described by the table. Raises SpecInvalid listing every invalid key."""
    model_type = table["model_type"]
    if model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        nearest = _nearest(model_type, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
        message = f"transformers has no causal language model of type `{model_type}`"
        raise SpecInvalid([_mistake(Code.NOT_A_CHOICE, "model_type", message, nearest)])
    kind = CONFIG_MAPPING[model_type]
    known = known_keys(kind)
    unknown = [key for key in table if known and key not in known]
    if unknown:
        raise SpecInvalid(
            [
                _mistake(Code.UNKNOWN_KEY, key, f"unknown key `{key}` of {kind.__name__}", _nearest(key, known))
                for key in unknown
            ]
        )
    ids = {name: codec.token_id(codec.special.get(name.removesuffix("_id"), "")) for name in SPECIAL_IDS}
    written = {key: value for key, value in table.items() if key != "model_type"}
    try:
        config: PretrainedConfig = kind(**{"vocab_size": codec.vocab_size, **ids, **written})
    except (StrictDataclassError, TypeError, ValueError, KeyError, ZeroDivisionError) as error:
        reason = " ".join(line.strip() for line in str(error).splitlines())
        raise SpecInvalid(
            [_mistake(Code.CONSTRAINT_BROKEN, "", f"{kind.__name__} rejects the table: {reason}")]
        ) from error
    if config.vocab_size < codec.vocab_size:
        message = f"vocab_size = {config.vocab_size}, but the tokenizer has {codec.vocab_size} tokens"
        raise SpecInvalid([_mistake(Code.CONSTRAINT_BROKEN, "vocab_size", message)])
    return config


def known_keys(kind: type[PretrainedConfig]) -> frozenset[str]:
    """Every key that the configuration class accepts by name; empty if it declares none."""
    named = {n for n, p in inspect.signature(kind).parameters.items() if p.kind is not inspect.Parameter.VAR_KEYWORD}
    if not named:
        return frozenset()
    return frozenset(named | set(kind.attribute_map) | set(PretrainedConfig().to_dict()) | ALSO_TAKEN)


def _nearest(word: str, known: Iterable[str]) -> str | None:
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def _mistake(code: Code, key: str, message: str, nearest: str | None = None) -> Diagnostic:
    path = f"model.config.{key}" if key else "model.config"
    return Diagnostic(code, message, path=path, help=f"did you mean `{nearest}`?" if nearest else None)
