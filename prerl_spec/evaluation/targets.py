"""Targets of `prerl-spec eval`: a run's newest checkpoint, the model that a spec begins with, a model folder, or a hub model.

Runs and specs provide system prompt, decoding and verifier, so that later scores are comparable with those of the run.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from prerl_spec.compiler.build_graph import registry_of
from prerl_spec.compiler.compile import compile_spec, read_plan
from prerl_spec.compiler.graph import Graph, Named
from prerl_spec.compiler.past_runs.model_files import require_same_model_files
from prerl_spec.compiler.past_runs.start_point import start_here
from prerl_spec.compiler.plan import StartPoint
from prerl_spec.engine.record import checkpoint
from prerl_spec.errors import Damaged, UsageError
from prerl_spec.evaluation.conditions import BEFORE_THE_FIRST, conditions_of, registry_for
from prerl_spec.evaluation.installed import component
from prerl_spec.language.suggest import nearest, one_of
from prerl_spec.registry import entry_points
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.storage.checkpoint_files import FOLDER as CHECKPOINTS
from prerl_spec.storage.checkpoint_files import MANIFEST, STATE, read_listed
from prerl_spec.storage.sealed import read_object
from prerl_spec.types import Rendering

UNKNOWN_PHASE = "unknown"
"""The phase of a copied checkpoint: what its number is called stands in the run's plan."""
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


@dataclass(frozen=True)
class Target:
    """A model to score, with its rendering, sampling settings and verifier.

    Example: `Target("dsrl", hf_causal(name="runs/dsrl/checkpoints/step-000020"), Path("runs/dsrl/eval"), phase="prune")`.
    """

    name: str
    model: Any
    out: Path
    phase: str = "base"
    global_step: int = 0
    generated_tokens: int = 0
    trained_tokens: int = 0
    seed: int = 0
    rendering: Rendering = field(default_factory=Rendering)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the sampler that this model was trained with; only those that every sampler has."""
    verifier: Verifier | None = None
    invariant: bool = False
    """Whether its scores must not depend on the number of processes."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Data sets of the spec; one of them may provide the model's tokenizer."""
    training: Callable[[], Mapping[str, Any]] | None = None
    """The data sets that a run has trained it on, or that a spec will; None where nothing is known of its training."""
    passed_over: tuple[str, ...] = ()
    """The run's newer checkpoints that are damaged, each with what is wrong with it."""


@dataclass(frozen=True)
class Asked:
    """A target to score, what it is sampled with, and the folder for its scores, responses and caches."""

    name: str
    target: Target
    sampler: Named[Any]
    folder: Path


def find_target(text: str, *, local_code: bool = False) -> Target:
    """The target named on the command line. Raises UsageError if there is no such target, EnvironmentUnmet if it has
    Python files and `local_code` does not allow them."""
    path = Path(text)
    if path.is_dir():
        if (path / "checkpoints").is_dir() or (path / "plan.json").is_file():
            return _run(path, local_code)
        if (path / "config.json").is_file():
            _refuse_changed_checkpoint(path)
            return _folder(path)
        raise UsageError(f"{path} is neither a run folder nor a model folder", hint="name a folder with config.json")
    if path.is_file() or path.suffix == ".toml":
        return _spec(path, local_code)
    near = _folders_nearby(path)
    # A name whose first part is a folder here is a path that was mistyped, not OWNER/NAME of the hub.
    if not _HUB_ID.fullmatch(text) or (len(path.parts) > 1 and path.parent.is_dir()):
        hint = "name a run folder, a model folder, a spec or a hub model"
        raise UsageError(f"{text} does not exist", hint=f"did you mean {one_of(near)}?" if near else hint)
    return Target(text, _hf_causal(text), Path(f"eval-{text.replace('/', '--')}"))


def _folders_nearby(path: Path) -> list[str]:
    """The folders beside a path that is not there whose names are near its own; none for a name without a folder, which may be
    a hub model's."""
    if len(path.parts) < 2 or not path.parent.is_dir():
        return []
    return [
        str(path.parent / name) for name in nearest(path.name, (f.name for f in path.parent.iterdir() if f.is_dir()))
    ]


def _refuse_changed_checkpoint(folder: Path) -> None:
    """Raises Damaged for a copy of a checkpoint in which a file was changed; files that were left out are not missed."""
    if not (folder / MANIFEST).is_file():
        return
    if changed := checkpoint.problems(folder, whole=False):
        raise Damaged(
            f"{folder} is a checkpoint, and {changed[0]}",
            file=folder,
            hint=f"restore the file; remove {MANIFEST} if you changed it on purpose",
        )


def _run(folder: Path, local_code: bool) -> Target:
    saved = checkpoint.newest(folder / "checkpoints")
    if saved is None:
        raise UsageError(
            f"{folder} has no valid checkpoint yet", hint="wait for the first checkpoint, or name a model folder"
        )
    if (saved.folder / "adapter_config.json").is_file():
        # Without the base's weights: they are loaded from where the run loaded them.
        require_same_model_files(folder, read_plan(folder / "plan.json"))
    plan = read_object(folder / "plan.json")
    on = registry_for(folder / "plan.json", plan, local_code)
    index = _trained_phase(saved.state)
    return Target(
        name=plan["name"],
        model=_hf_causal(str(saved.folder), plan["model"]["settings"].get("dtype", "float32")),
        out=folder / "eval",
        phase=plan["phases"][index]["id"],
        **_position(saved.state),
        passed_over=saved.passed_over,
        training=partial(_trained_on, plan, index, on),
        **conditions_of(plan, index, on),
    )


def _spec(file: Path, local_code: bool) -> Target:
    """The model that a spec begins with, under the conditions of its evaluators before the first phase.

    Raises EnvironmentUnmet for a start that is not here, Damaged.
    """
    compiled = compile_spec(file, local_code=local_code)
    graph = compiled.graph
    start = None if compiled.plan.start is None else start_here(compiled.plan.start)
    return Target(
        name=graph.run.name,
        model=graph.model.component if start is None else _started_model(start, graph),
        global_step=0 if start is None else start.global_step,
        generated_tokens=0 if start is None else start.generated_tokens,
        trained_tokens=0 if start is None else start.trained_tokens,
        out=Path(f"eval-{graph.run.name}"),
        data={name: named.component for name, named in graph.data.items()},
        training=lambda: {name: graph.data[name].component for phase in graph.phases for name in phase.data},
        **conditions_of(compiled.plan.as_json(), BEFORE_THE_FIRST, registry_of(compiled.plan)),
    )


def _started_model(start: StartPoint, graph: Graph) -> Any:
    """The checkpoint of another run that a spec begins from; an adapter's base is loaded from where that run loaded it."""
    folder = Path(start.checkpoint)
    _refuse_changed_checkpoint(folder)
    if (folder / "adapter_config.json").is_file():
        require_same_model_files(Path(start.run), read_plan(Path(start.run) / "plan.json"))
    return _hf_causal(str(folder), getattr(graph.model.component, "dtype", "float32"))


def _folder(folder: Path) -> Target:
    """A model folder; of a checkpoint, or a copy of one, with the step and the tokens that it was saved at."""
    name = folder.resolve().name
    target = Target(name, _hf_causal(str(folder)), Path(f"eval-{name}"))
    if not (folder / MANIFEST).is_file():
        return target
    if not (folder / STATE).is_file():
        # A copy without the trainer's state: trained, and no more is known.
        return replace(target, phase=UNKNOWN_PHASE)
    state, run = read_listed(folder).state, enclosing_run(folder)
    plan = None if run is None else read_object(run / "plan.json")
    phase = UNKNOWN_PHASE if plan is None else plan["phases"][_trained_phase(state)]["id"]
    return replace(target, phase=phase, **_position(state))


def enclosing_run(folder: Path) -> Path | None:
    """The run that a checkpoint's folder lies in; None for any other folder."""
    above = folder.resolve().parent
    return above.parent if above.name == CHECKPOINTS and (above.parent / "plan.json").is_file() else None


def _trained_phase(state: Mapping[str, Any]) -> int:
    """The phase that a checkpoint's weights come from: between two phases its position is the next one's first step."""
    phase, step = int(state["phase"]), int(state["step"])
    return phase - 1 if phase > 0 and step == 0 else phase


def _position(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: int(state[name]) for name in ("global_step", "generated_tokens", "trained_tokens")}


def _trained_on(plan: Mapping[str, Any], index: int, on: entry_points.Registry) -> dict[str, Any]:
    """The data sets of the phases up to this one. Raises EnvironmentUnmet, ValidationError for settings of another version."""
    names = dict.fromkeys(name for phase in plan["phases"][: index + 1] for name in phase["data"])
    found = {name: plan["data"][name]["component"] for name in names}
    return {name: component("data", one["use"], one["settings"], on) for name, one in found.items()}


def _hf_causal(name: str, dtype: str = "float32") -> Any:
    return component("model", "hf_causal", {"name": name, "dtype": dtype})
