"""How a draw is asked of vLLM and its answer read, the same in process and over HTTP. No vllm here."""

from collections.abc import Sequence
from typing import Any, Literal

from prerl_spec.sdk import Decoding, RunFailed

LOWEST_TEMPERATURE = 0.01
"""vLLM draws at 0.01 where less is asked for, and tells nobody but its log."""

HIGHEST_TEMPERATURE = 2.0

ENGINE_SHARE = 0.5
"""`gpu_memory_utilization` where a spec says none: the rest is the trainer's, to which vLLM's own 0.92 leaves too little."""


def temperature_fault(temperature: float) -> str | None:
    """Why vLLM cannot draw at this temperature, None where it can."""
    if temperature == 0 or LOWEST_TEMPERATURE <= temperature <= HIGHEST_TEMPERATURE:
        return None
    return f"vLLM draws at temperature 0 and from {LOWEST_TEMPERATURE:g} to {HIGHEST_TEMPERATURE:g}, not at {temperature:g}"


def sampling_arguments(decoding: Decoding, seed: int, eos_ids: Sequence[int]) -> dict[str, Any]:
    """Arguments of `vllm.SamplingParams`, and names of a /v1/completions body, for one sample.

    Only our own EOS ids and stop strings end a sample: what a model's generation config says is left out. The tokens of
    either belong to it. Raises RunFailed for a temperature that vLLM would change.
    """
    if (fault := temperature_fault(decoding.temperature)) is not None:
        raise RunFailed(fault, hint='write such a temperature, or sampler = "transformers"')
    return {
        "temperature": float(decoding.temperature),
        "top_p": float(decoding.top_p),
        "top_k": decoding.top_k,
        "max_tokens": decoding.max_new_tokens,
        # Engines keep seeds in signed 64 bits, and -1 means none.
        "seed": seed % (1 << 63),
        "logprobs": 0,
        "ignore_eos": True,
        "stop_token_ids": list(eos_ids),
        "stop": list(decoding.stop),
        "include_stop_str_in_output": True,
        # Stop strings are looked for in the text with special tokens spelled out.
        "skip_special_tokens": False,
    }


def stop_of(
    finish_reason: str | None, tokens: Sequence[int], eos_ids: Sequence[int]
) -> Literal["eos", "stop", "length"]:
    """Why a sample ended. vLLM says "stop" for an EOS id and for a stop string alike; where one token is both, it is EOS.

    Raises RunFailed for a sample that vLLM gave up.
    """
    if finish_reason == "stop":
        return "eos" if tokens and tokens[-1] in eos_ids else "stop"
    if finish_reason == "length":
        return "length"
    raise RunFailed(
        f"vLLM ended a sample after {len(tokens)} tokens with finish_reason {finish_reason!r}",
        hint="look at vLLM's log in the run folder",
    )
