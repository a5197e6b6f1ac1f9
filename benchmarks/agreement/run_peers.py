"""Runs TRL's and verl's own code on every stored batch and writes what it gives: losses, gradients, advantages.

    peers/bin/python benchmarks/agreement/run_peers.py STORED/batches.json STORED/peers.json

STORED is tests/components/agreement; `peers` is a virtual environment of its own, made as README.md beside this file
says. One thread, float32, CPU.
"""

import hashlib
import json
import os
import sys
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
import trl_cases
import trl_runner
import verl_cases
import verl_runner
from stored import read_batches


def peer(name: str, sources: tuple[str, ...]) -> dict[str, Any]:
    """The version, and the SHA-256 of each file whose mathematics runs."""
    files = {source: Path(str(distribution(name).locate_file(source))) for source in sources}
    return {
        "version": version(name),
        "sha256": {source: hashlib.sha256(file.read_bytes()).hexdigest() for source, file in files.items()},
    }


def main() -> None:
    torch.set_num_threads(1)
    batches = read_batches(Path(sys.argv[1]))
    peers = {"trl": peer("trl", trl_runner.SOURCES), "verl": peer("verl", verl_runner.SOURCES)}
    peers["torch"] = {"version": version("torch")}
    records: list[dict[str, Any]] = []
    for trl_case in trl_cases.CASES:
        shown = dict(trl_case.settings) | ({"use_vllm": True} if trl_case.vllm else {})
        shown |= {"steps_per_generation": trl_case.updates} if trl_case.updates > 1 else {}
        records += [{"peer": "trl", "settings": shown} | record for record in trl_runner.run(trl_case, batches)]
    for verl_case in verl_cases.CASES:
        records += [
            {"peer": "verl", "settings": verl_case.settings} | record for record in verl_runner.run(verl_case, batches)
        ]
    lines = ",\n".join(json.dumps(rounded(record)) for record in records)
    text = f'{{"peers": {json.dumps(peers, indent=1)},\n"records": [\n{lines}\n]}}\n'
    Path(sys.argv[2]).write_text(text, encoding="utf-8")
    print(f"{len(records)} records of {len(trl_cases.CASES) + len(verl_cases.CASES)} cases")


def rounded(value: Any) -> Any:
    """Nine significant digits say every float32 exactly; doubles written out in full would double the file."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return {key: rounded(entry) for key, entry in value.items()} if isinstance(value, dict) else value


if __name__ == "__main__":
    main()
