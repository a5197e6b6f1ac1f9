"""Translates decoding settings to vLLM's and reads its results, for both vLLM samplers; does not import vllm."""

from collections.abc import Sequence
from typing import Any, Literal

from prerl_spec.sdk import Decoding, RunFailed

LOWEST_TEMPERATURE = 0.01
"""vLLM samples at 0.01 if a lower temperature is requested, and reports it only in its log."""

HIGHEST_TEMPERATURE = 2.0

ENGINE_SHARE = 0.5
"""Default of `gpu_memory_utilization`: the rest is the trainer's; vLLM's own default of 0.92 leaves it too little."""


def temperature_fault(temperature: float) -> str | None:
    """The reason why vLLM cannot sample at this temperature, None if it can."""
    if temperature == 0 or LOWEST_TEMPERATURE <= temperature <= HIGHEST_TEMPERATURE:
        return None
    return (
        f"vLLM samples at temperature 0 and from {LOWEST_TEMPERATURE:g} to {HIGHEST_TEMPERATURE:g}, "
        f"not at {temperature:g}"
    )


def sampling_arguments(decoding: Decoding, seed: int, eos_ids: Sequence[int]) -> dict[str, Any]:
    """Arguments of `vllm.SamplingParams`, which are also keys of a /v1/completions body, for one sample.

    Only our EOS ids and stop strings end a sample, and their tokens are part of it; the model's generation config is
    ignored. Raises RunFailed for a temperature that vLLM would change.
    """
    if (fault := temperature_fault(decoding.temperature)) is not None:
        raise RunFailed(fault, hint='set such a temperature, or use sampler = "transformers"')
    return {
        "temperature": float(decoding.temperature),
        "top_p": float(decoding.top_p),
        "top_k": decoding.top_k,
        "max_tokens": decoding.max_new_tokens,
        # Engines keep seeds in signed 64 bits, and -1 means no seed.
        "seed": seed % (1 << 63),
        "logprobs": 0,
        "ignore_eos": True,
        "stop_token_ids": list(eos_ids),
        "stop": list(decoding.stop),
        "include_stop_str_in_output": True,
        # Stop strings are matched in the text with special tokens included.
        "skip_special_tokens": False,
    }


def stop_of(
    finish_reason: str | None, tokens: Sequence[int], eos_ids: Sequence[int]
) -> Literal["eos", "stop", "length"]:
    """Why a sample ended. vLLM reports "stop" for both an EOS id and a stop string; a token that is both counts as EOS.

    Raises RunFailed for a sample that vLLM aborted.
    """
    if finish_reason == "stop":
        return "eos" if tokens and tokens[-1] in eos_ids else "stop"
    if finish_reason == "length":
        return "length"
    raise RunFailed(
        f"vLLM ended a sample after {len(tokens)} tokens with finish_reason {finish_reason!r}",
        hint="see vLLM's log in the run folder",
    )
