"""The vLLM servers of a spec as processes: command lines, environments, ports and GPUs."""

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prerl_components.samplers.server.api_key import key_file, key_of, server_folder, write_new_key
from prerl_components.samplers.server.protocol import EXTENSION, GUARD, KEY_VARIABLE, LOGPROBS_MODE
from prerl_components.samplers.shared.weight_files import write_shell
from prerl_components.samplers.vllm_engine.engine import check_arguments, cpu_arguments
from prerl_components.samplers.vllm_engine.process_state import output_to
from prerl_spec.sdk import EnvironmentUnmet, ServedModel, ServerProcess

LOOPBACK = ("127.0.0.1", "localhost", "::1")

START = {"VLLM_ENGINE_READY_TIMEOUT_S": "1800"}
"""As long as `prerl-spec serve` waits: vLLM's server gives up its own engine after 600 s. The user's environment wins."""


def server_processes(
    urls: Sequence[str], key: str | None, engine: Mapping[str, Any], model: ServedModel
) -> tuple[ServerProcess, ...]:
    """One process for each URL with an address of this machine; the rest are for `prerl-spec serve` on other machines.

    Raises EnvironmentUnmet if no address belongs to this machine or one is in use, for an argument that vLLM does not
    have, and if the processes need more GPUs than are visible.
    """
    here = [url for url in urls if _is_free_here(url)]
    if not here:
        raise EnvironmentUnmet(
            f"none of the urls is an address of this machine: {', '.join(urls)}",
            hint="run `prerl-spec serve` on the machines with these addresses",
        )
    folder = server_folder(here[0])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Importing vLLM prints messages.
    with output_to(folder / "serve.log"):
        check_arguments(engine)
        gpus = _dealt_gpus(len(here), engine)
        arguments = [*_model_arguments(model, folder), *_fixed_arguments(engine)]
    return tuple(_process(url, key, arguments, devices) for url, devices in zip(here, gpus, strict=True))


def _process(url: str, key: str | None, arguments: Sequence[str], devices: str | None) -> ServerProcess:
    host, port = _place(url)
    notes = []
    left: tuple[Path, ...] = ()
    if (secret := key_of(key, url) if key is not None else None) is None:
        secret, left = write_new_key(url), (key_file(url),)
        notes.append(f"the key is in {key_file(url)}, where runs of this user find it")
    if host not in LOOPBACK:
        notes.append(
            f"{host} may be reachable from other machines: anyone with the key can read the model and replace its weights, "
            "and key and samples are sent unencrypted. Use it only in a trusted network"
        )
    environment = {
        KEY_VARIABLE: secret,
        # Enables /collective_rpc, which replaces weights; KeyGuard requires the key there too.
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        **{name: value for name, value in START.items() if name not in os.environ},
        **({} if devices is None else {"CUDA_VISIBLE_DEVICES": devices}),
    }
    command = (*_program(), "--host", host, "--port", str(port), *arguments)
    return ServerProcess(url, command, environment, server_folder(url) / "server.log", left, tuple(notes))


def _program() -> tuple[str, ...]:
    """The command of `vllm serve`, which fails in the CPU distribution because of its other name."""
    try:
        metadata.version("vllm")
    except metadata.PackageNotFoundError:
        return sys.executable, "-m", "vllm.entrypoints.launchers.api_server.entry"
    return sys.executable, "-m", "vllm.entrypoints.cli.main", "serve"


def _model_arguments(model: ServedModel, folder: Path) -> Iterator[str]:
    """A published model by name, any other by files written here; weights come with the first push."""
    declared: Any = model.declared
    if isinstance(name := getattr(declared, "name", None), str):
        yield from ("--model", name)
        if not Path(name).is_dir():
            yield from ("--revision", declared.revision)
        yield from ("--tokenizer", declared.tokenizer)
        if declared.remote_code != "off":
            yield from ("--trust-remote-code", "--code-revision", declared.remote_code)
    else:
        write_shell(folder / "model", model.load())
        yield from ("--model", str(folder / "model"))
    yield from ("--dtype", str(declared.dtype), "--load-format", "dummy")


def _fixed_arguments(engine: Mapping[str, Any]) -> Iterator[str]:
    from vllm.platforms import current_platform

    yield from ("--worker-extension-cls", EXTENSION, "--middleware", GUARD)
    yield from ("--logprobs-mode", LOGPROBS_MODE, "--generation-config", "vllm", "--disable-uvicorn-access-log")
    defaults = cpu_arguments(engine) if current_platform.is_cpu() else {}
    # The maximum sequence length is the model's here, and vLLM derives the tokens per forward from it.
    defaults.pop("max_num_batched_tokens", None)
    for name, value in {**defaults, **engine}.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            yield f"--{option}" if value else f"--no-{option}"
        elif isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
            yield from (f"--{option}", *map(str, value))
        else:
            yield from (f"--{option}", json.dumps(value) if isinstance(value, dict | list) else str(value))


def _dealt_gpus(num_servers: int, engine: Mapping[str, Any]) -> list[str | None]:
    """CUDA_VISIBLE_DEVICES of each server, disjoint; None on a machine without GPUs."""
    import torch

    if not torch.cuda.is_available():
        return [None] * num_servers
    each = int(engine.get("tensor_parallel_size", 1)) * int(engine.get("pipeline_parallel_size", 1))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(torch.cuda.device_count())))).split(",")
    if len(visible) < num_servers * each:
        raise EnvironmentUnmet(
            f"{num_servers} servers with {each} GPUs each: only {len(visible)} GPUs are visible",
            hint="use fewer `urls`, or change CUDA_VISIBLE_DEVICES",
        )
    return [",".join(visible[i * each : (i + 1) * each]) for i in range(num_servers)]


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.port is None or parts.path.rstrip("/"):
        raise EnvironmentUnmet(
            f"{url} is not of the form http://ADDRESS:PORT, which a server started here can bind",
            hint="use http://ADDRESS:PORT; for https or a path, start vLLM yourself behind a proxy",
        )
    return parts.hostname or "", parts.port


def _is_free_here(url: str) -> bool:
    """Whether the address belongs to this machine. Raises EnvironmentUnmet if it does and the port is in use."""
    host, port = _place(url)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EnvironmentUnmet(
                f"{url} is in use: {error.strerror}", hint="stop the process there, or use another port in `urls`"
            ) from error
    return True
