"""Settings that transformers will refuse, told before it is imported: keys of a configuration, arguments of from_pretrained."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from prerl_components.models.transformers_sources import (
    causal_types,
    class_name,
    configuration_keys,
    loading_words,
    settable_properties,
)
from prerl_spec.sdk import Code, Mistake


def config_mistakes(table: Mapping[str, Any]) -> Iterator[Mistake]:
    """Of a configuration that a spec writes: a `model_type` without a causal language model, keys that it does not have."""
    model_type = table["model_type"]
    types = causal_types()
    if types and model_type not in types:
        message = f"transformers has no causal language model of type `{model_type}`"
        yield Mistake(Code.NOT_A_CHOICE, "config.model_type", message, _did_you_mean(model_type, types))
        return
    known = configuration_keys(model_type)
    for key in table if known else ():
        if key not in known:
            message = f"unknown key `{key}` of {class_name(model_type)}"
            yield Mistake(Code.UNKNOWN_KEY, f"config.{key}", message, _did_you_mean(key, known))


def load_mistakes(load: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[Mistake]:
    """Of a table `load`: keys that are neither an argument of from_pretrained nor, as it then would be set, one of the
    configuration."""
    model_type = str(config.get("model_type"))
    own = configuration_keys(model_type)
    arguments = loading_words()
    for key in load if own and arguments else ():
        if key not in arguments | own | settable_properties(model_type) and key not in config:
            message = (
                f"unknown key `{key}`: neither an argument of from_pretrained nor a key of the model's configuration"
            )
            yield Mistake(Code.UNKNOWN_KEY, f"load.{key}", message, _did_you_mean(key, {*arguments, *own}))


def _did_you_mean(word: str, known: Collection[str]) -> str | None:
    near = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else None
