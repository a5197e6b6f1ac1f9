"""A vLLM engine in this process: opened quietly with arguments that it knows, and closed so that another can follow."""

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch

from prerl_components.samplers.process_state import (
    logged_to,
    output_to,
    random_state_kept,
    thread_setting_kept,
)
from prerl_spec.sdk import EnvironmentUnmet

CPU_CACHE_BYTES = 1 << 30
"""Key-value cache on CPUs, where vLLM would otherwise take nine tenths of the memory."""


def check_arguments(engine: Mapping[str, Any]) -> None:
    """Raises EnvironmentUnmet for an argument that the installed vLLM does not have, with the nearest that it has."""
    from vllm import EngineArgs, __version__

    known = [field.name for field in fields(EngineArgs) if not field.name.startswith("_")]
    for name in engine:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise EnvironmentUnmet(
                f"vLLM {__version__} has no argument `{name}`, which the sampler's `engine` names",
                mend=f"did you mean `{near[0]}`?" if near else "vLLM's documentation of EngineArgs lists them",
            )


@contextmanager
def running_engine(arguments: Mapping[str, Any], log: Path) -> Iterator[Any]:
    """A `vllm.LLM` of these arguments; what it says goes to `log`. Every global random generator is left as it was.

    Raises EnvironmentUnmet where vLLM refuses: an unknown argument, a model or a value that it does not take, too little
    memory.
    """
    # Weights are handed over as tensors, which needs the engine in this very process.
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
    # A spec may say otherwise: these are defaults where there is no GPU, compiling takes minutes there.
    on_cpu = {"enforce_eager": True, "kv_cache_memory_bytes": CPU_CACHE_BYTES} if current_platform.is_cpu() else {}
    try:
        return LLM(**{**on_cpu, **arguments})
    # vLLM raises whatever its parts raise: pydantic's errors, ValueError, RuntimeError, AssertionError, OSError.
    except Exception as error:
        raise EnvironmentUnmet(
            f"vLLM does not open: {_first_lines(error)}",
            mend=f"{log} says more; arguments in the sampler's `engine` are handed on to vLLM",
        ) from error


def _close(llm: Any, *, alone: bool) -> None:
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    llm.llm_engine.engine_core.shutdown()
    # The engine's start froze the garbage collector's oldest objects: its weights would never be found again.
    gc.unfreeze()
    gc.collect()
    if alone:
        # Elsewhere the process group is the trainer's, which goes on.
        cleanup_dist_env_and_memory()


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:3])}"[:400]
