"""A vLLM engine in this process: opened with checked arguments and redirected output, closed so that another can start."""

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch

from prerl_components.samplers.vllm_engine.process_state import (
    logged_to,
    output_to,
    random_state_kept,
    thread_setting_kept,
)
from prerl_spec.sdk import EnvironmentUnmet, PrerlError

CPU_CACHE_BYTES = 1 << 30
"""Size of the key-value cache on CPUs, where vLLM would otherwise use nine tenths of the memory."""

CPU_BATCHED_TOKENS = 4096
"""Tokens per forward on CPUs, vLLM's own default; prompts are not chunked, so the longest must fit."""


def check_arguments(engine: Mapping[str, Any]) -> None:
    """Raises EnvironmentUnmet for an argument that the installed vLLM does not have, and suggests the nearest one."""
    from vllm import EngineArgs, __version__

    known = [field.name for field in fields(EngineArgs) if not field.name.startswith("_")]
    for name in engine:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise EnvironmentUnmet(
                f"`{name}` in the sampler's `engine` is not an argument of vLLM {__version__}",
                hint=f"did you mean `{near[0]}`?" if near else "see EngineArgs in vLLM's documentation",
            )


@contextmanager
def running_engine(arguments: Mapping[str, Any], log: Path) -> Iterator[Any]:
    """A `vllm.LLM` with these arguments; its output goes to `log`. The state of global random generators is preserved.

    Raises EnvironmentUnmet if vLLM does not start: an unknown argument, an unsupported model or value, too little memory.
    """
    # Weights are pushed as tensors, which requires the engine to run in this process.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_CONFIGURE_LOGGING", "0")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    connected = torch.distributed.is_initialized()
    with ExitStack() as stack:
        stack.enter_context(logged_to("vllm", log))
        with random_state_kept(), thread_setting_kept(), output_to(log):
            llm = _open(arguments, log)
        try:
            yield llm
        finally:
            _close(llm, alone=not connected)


def _open(arguments: Mapping[str, Any], log: Path) -> Any:
    from vllm import LLM
    from vllm.platforms import current_platform

    check_arguments(arguments)
    defaults = cpu_arguments(arguments) if current_platform.is_cpu() else {}
    with as_run_failure("vLLM cannot start", log):
        return LLM(**{**defaults, **arguments})


def cpu_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Default engine arguments on CPUs; the spec's `engine` overrides them."""
    return {
        # Compiling takes minutes.
        "enforce_eager": True,
        "kv_cache_memory_bytes": CPU_CACHE_BYTES,
        # A seeded sample whose prompt is chunked fails on CPUs (0.32: "CPU Generator does not use offset").
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(CPU_BATCHED_TOKENS, int(arguments.get("max_model_len") or 0)),
    }


def _close(llm: Any, *, alone: bool) -> None:
    core = llm.llm_engine.engine_core
    if alone:
        core.shutdown()
    else:
        # The full shutdown, which a finalizer would call too, destroys the process group: the trainer's, or another
        # engine's.
        if (finalizer := getattr(core, "_finalizer", None)) is not None:
            finalizer.detach()
        core.engine_core.model_executor.shutdown()
    # The engine's start froze the garbage collector's oldest generation: without this its weights would never be freed.
    gc.unfreeze()
    gc.collect()


@contextmanager
def as_run_failure(what: str, log: Path) -> Iterator[None]:
    """Converts any exception of vLLM's start into EnvironmentUnmet with vLLM's message.

    vLLM raises pydantic's errors, ValueError, RuntimeError, AssertionError and OSError among others.
    """
    try:
        yield
    except PrerlError:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise EnvironmentUnmet(
            f"{what}: {type(error).__name__}: {' '.join(lines[:3])[:400]}",
            hint=f"see {log} for details; arguments in the sampler's `engine` are passed through to vLLM",
        ) from error
