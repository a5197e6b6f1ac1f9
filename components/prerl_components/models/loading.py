"""Loads a model and a tokenizer of transformers: float32 weights, no pickles, remote code only from a pinned commit."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from prerl_components.models.hub_access import cache_alone_where_unreachable
from prerl_components.models.seeded import private_random
from prerl_spec.sdk import AttachedAdapter, Codec, EnvironmentUnmet, LoadedModel, ModelSite, eos_ids_of

# Untyped in transformers, or `from_pretrained` is typed as returning only the module.
AUTO_MODEL: Any = AutoModelForCausalLM
BARS: Any = logging

SMALLEST_VOCABULARY = 10
"""If tokenizer files are missing, transformers silently creates a tokenizer with special tokens only."""

COMPUTE = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_pretrained(
    name: str,
    *,
    revision: str,
    tokenizer: str,
    dtype: str,
    attention: str,
    remote_code: str,
    further: Mapping[str, Any],
    adapter: Any,
    site: ModelSite,
) -> LoadedModel:
    """The checkpoint in float32 on the site's device; with an adapter, or for a teacher, the frozen weights in `dtype`.

    `remote_code` is a commit or "off"; `further` are arguments of from_pretrained that no other setting controls;
    `adapter` is an adapter component, or None. Raises EnvironmentUnmet if model or tokenizer cannot be loaded, for a
    checkpoint that lacks weights of its architecture, and for one without safetensors.
    """
    try:
        with _from(name), private_random(site.seed), no_progress_bars():
            module, found = AUTO_MODEL.from_pretrained(
                name,
                revision=revision,
                dtype=torch.float32 if adapter is None and site.trained else COMPUTE[dtype],
                attn_implementation=attention,
                trust_remote_code=remote_code != "off",
                code_revision=None if remote_code == "off" else remote_code,
                use_safetensors=True,  # other formats are pickles
                output_loading_info=True,
                **further,
            )
    except (OSError, ValueError, RuntimeError, ImportError, TypeError, SafetensorError) as error:
        raise _unloadable("model", name, revision, error) from error
    if missing := sorted(found["missing_keys"]):
        raise EnvironmentUnmet(
            f"model {name} lacks {len(missing)} weights of {type(module).__name__}, the first is {missing[0]}",
            hint="use a checkpoint of the complete causal language model",
        )
    if getattr(module, "_hf_peft_config_loaded", False):
        # peft takes seconds to import, and most checkpoints contain no adapter.
        from prerl_components.adapters.low_rank import absorb

        absorb(module)
    own = tokenizer == name
    fast_tokenizer = load_tokenizer(tokenizer, revision if own else "main", remote_code=remote_code)
    source = {"name": name, "revision": _commit(module)}
    if adapter is None:
        return complete(module, fast_tokenizer, dtype, site, source)
    base = str(Path(name).resolve()) if os.path.isdir(name) else name
    return complete(
        module,
        fast_tokenizer,
        dtype,
        site,
        source,
        adapter.attach(module, base=base, revision=source["revision"], seed=site.seed),
    )


def load_tokenizer(name: str, revision: str = "main", *, remote_code: str = "off") -> Any:
    """A fast tokenizer from a folder or the hub. Raises EnvironmentUnmet, with the name, if it cannot be loaded."""
    try:
        with _from(name):
            tokenizer = AutoTokenizer.from_pretrained(
                name,
                revision=revision,
                trust_remote_code=remote_code != "off",
                code_revision=None if remote_code == "off" else remote_code,
            )
    except (OSError, ValueError, ImportError, TypeError) as error:
        raise _unloadable("tokenizer", name, revision, error) from error
    if tokenizer.vocab_size < SMALLEST_VOCABULARY:
        missing = FileNotFoundError("its vocabulary is empty, tokenizer.json is missing")
        raise _unloadable("tokenizer", name, revision, missing)
    return tokenizer


def complete(
    module: torch.nn.Module,
    tokenizer: Any,
    dtype: str,
    site: ModelSite,
    source: dict[str, Any],
    adapter: AttachedAdapter | None = None,
) -> LoadedModel:
    """The model on its device with its codec. Raises EnvironmentUnmet if tokens have no embedding, or if weights are
    neither float32 nor frozen ones in `dtype` (a quantised checkpoint)."""
    generation: Any = module.generation_config
    codec = Codec.of_tokenizer(tokenizer, eos_ids_of({"eos_token_id": generation.eos_token_id}))
    embeddings = module.get_input_embeddings().num_embeddings  # type: ignore[operator]
    if embeddings < codec.vocab_size:
        raise EnvironmentUnmet(
            f"the tokenizer has {codec.vocab_size} tokens, the model has {embeddings} embeddings",
            hint="use the tokenizer that the model was trained with, or raise vocab_size",
        )
    wanted = {torch.float32} if adapter is None and site.trained else {torch.float32, COMPUTE[dtype]}
    kinds = sorted(str(kind) for kind in {p.dtype for p in module.parameters()} - wanted)
    if kinds:
        raise EnvironmentUnmet(
            f"{source['name']} has {', '.join(kinds)} weights after loading; trained weights must be float32",
            hint="use a checkpoint that is not quantised",
        )
    trained = [] if adapter is None else list(adapter.parameters().values())
    added = sum(p.numel() for p in trained)
    facts = {
        "configuration": type(module.config).__name__,
        "parameters": sum(p.numel() for p in module.parameters()) - added,
    }
    if adapter is not None:
        facts["adapter_parameters"] = added
    return LoadedModel(module.to(site.device).eval(), tokenizer, codec, COMPUTE[dtype], {**source, **facts}, adapter)


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Hides transformers' progress bars, which would overwrite the run's own display."""
    shown = BARS.is_progress_bar_enabled()
    BARS.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            BARS.enable_progress_bar()


def _from(name: str) -> AbstractContextManager[None]:
    return nullcontext() if os.path.isdir(name) else cache_alone_where_unreachable()


def _unloadable(what: str, name: str, revision: str, error: Exception) -> EnvironmentUnmet:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if os.path.isdir(name):
        return EnvironmentUnmet(
            f"{what} in {name} cannot be loaded: {lines[0]}",
            hint="the folder needs config.json, *.safetensors and tokenizer files, as written by save_pretrained",
        )
    return EnvironmentUnmet(
        f"{what} {name} (at {revision}) cannot be loaded: {lines[0]}",
        hint="check the name; without a connection to the hub, download it to the hub's cache beforehand, or use a local "
        "folder written by save_pretrained",
    )


def _commit(module: Any) -> str | None:
    """The hub commit of the weights, None for a local folder."""
    commit = getattr(module.config, "_commit_hash", None)
    return commit if isinstance(commit, str) else None
