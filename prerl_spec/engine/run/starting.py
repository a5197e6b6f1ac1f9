"""Loads the checkpoint of another run that a run begins from: `start.from`. Every byte is checked before it is used."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from transformers import AutoConfig

from prerl_spec.compiler.past_runs.start_point import initial_model, source_plan
from prerl_spec.compiler.plan import ComponentPlan, Plan, StartPlan, StartPoint
from prerl_spec.compiler.planning.start_plan import misfits
from prerl_spec.engine.policy.reference import Reference
from prerl_spec.engine.policy.weights import load_transformers
from prerl_spec.engine.record import checkpoint
from prerl_spec.engine.record.artefacts import read_manifest
from prerl_spec.engine.run.session import Session
from prerl_spec.errors import Damaged, Drift, EnvironmentUnmet, RunFailed
from prerl_spec.registry.kinds.model import LoadedModel
from prerl_spec.storage.checkpoint_files import read_listed
from prerl_spec.storage.run_events import read_run_events

TOLD = ("run", "phase", "ended", "checkpoint", "content", "step", "global_step", "generated_tokens", "trained_tokens")
"""What the manifest and the `start` event keep of a start."""
_NOT_COMPUTED_WITH = frozenset({"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version"})
"""Keys of a transformers configuration that say where and how it was stored."""
_OWN_MODEL = "start from a run with this run's model and tokenizer"


def started_from(start: StartPlan, point: StartPoint, scores: Mapping[str, float]) -> dict[str, Any]:
    """`from` as written, and what it was, for the manifest and the `start` event; with what had been scored there, if anything
    had."""
    found = asdict(point)
    return {
        "from": start.origin,
        **{name: found[name] for name in TOLD},
        **({"scores": dict(scores)} if scores else {}),
    }


def scored_there(plan: Plan, point: StartPoint) -> dict[str, float]:
    """What the other run has scored at its end, "task/metric" -> value, with evaluators that this run has as well: the schedule
    of the first phase sees it in its first step, as that of a next phase of the other run would have. Raises Damaged."""
    run = Path(point.run)
    source = source_plan(run)
    found: dict[str, float] = {}
    for event in read_run_events(run).entries:
        if event["event"] != "evaluate" or event["global_step"] != point.global_step:
            continue
        one = next(iter(source.evaluators[event["evaluator"] :]), None)
        if one is not None and any(
            _scores_alike(one.component, own.component, source, plan) for own in plan.evaluators
        ):
            found |= {f"{score['task']}/{score['metric']}": float(score["value"]) for score in event["scores"]}
    return found


def _scores_alike(theirs: ComponentPlan, ours: ComponentPlan, source: Plan, plan: Plan) -> bool:
    """Whether two evaluators differ in nothing but what one of them has written out of its defaults."""
    if (theirs.use, theirs.distribution, theirs.version) != (ours.use, ours.distribution, ours.version):
        return False
    before, now = ({**one.settings, "seed": one.settings.get("seed")} for one in (theirs, ours))
    seeds = [run.seed if found["seed"] is None else found["seed"] for run, found in ((source, before), (plan, now))]
    return seeds[0] == seeds[1] and all(
        found is None or found == now.get(key) for key, found in before.items() if key != "seed"
    )


def open_start(session: Session, point: StartPoint) -> checkpoint.Saved:
    """The checkpoint of a start, whole and of this run's model. Raises Damaged, EnvironmentUnmet, Drift."""
    folder = Path(point.checkpoint)
    saved = _whole(folder)
    loaded = session.policy.loaded
    for misfit in misfits(point, Plan.from_json(session.graph.plan), session.policy.codec):
        raise EnvironmentUnmet(misfit.message, hint=misfit.help)  # the plan was made where the other run was not
    _refuse_another_architecture(loaded, point, folder)
    if loaded.adapter is not None:
        _refuse_another_base(loaded, point)
    return saved


def load_start(session: Session, saved: checkpoint.Saved) -> None:
    """Loads a start's weights into the policy, in place. Raises EnvironmentUnmet for those of another model."""
    try:
        load_transformers(session.policy.loaded, saved.folder)
    except (RunFailed, RuntimeError, KeyError, OSError) as error:
        name = session.policy.loaded.source.get("name", "this run")
        raise EnvironmentUnmet(
            f"{saved.folder} holds other weights than the model of this run, {name}, has: {error}", hint=_OWN_MODEL
        ) from error


def load_reference(session: Session, reference: Reference, point: StartPoint, plan: Plan) -> None:
    """Loads the reference model that the phase before the start has kept, if it has; the policy's weights are then
    another's, and must be loaded afterwards.

    Raises Damaged, EnvironmentUnmet if it is the initial model of the other run and this run's is another.
    """
    if point.reference == "resync":
        return
    if point.kept_reference is None:
        if session.policy.loaded.adapter is None and point.initial_model != initial_model(plan):
            raise EnvironmentUnmet(
                f"phase `{point.phase}` keeps its reference model, the initial model of the run in {point.run}, and this "
                "run begins with another model or seed",
                hint="start from a phase whose schedule resyncs the reference, or use that run's model and seed",
            )
        return
    where = Path(point.kept_reference)
    if where.is_dir():
        load_start(session, _whole(where))
        reference.resync()
        return
    _whole(where.parent.parent)
    reference.load(load_file(where))


def is_base(session: Session, start: StartPlan) -> bool:
    """Whether the reference model after the start is the frozen base below an adapter: nothing has to be loaded."""
    point = start.found
    is_kept = point is not None and point.reference == "keep" and point.kept_reference is None
    return session.policy.loaded.adapter is not None and is_kept


def _whole(folder: Path) -> checkpoint.Saved:
    if not folder.is_dir():
        raise EnvironmentUnmet(f"the checkpoint {folder} is gone", hint="restore it from a copy")
    if found := checkpoint.problems(folder):
        raise Damaged(
            f"{folder}: {found[0]}",
            file=folder,
            hint="restore it from a copy, or start from another checkpoint; `prerl-spec fsck RUN` lists what is damaged",
        )
    state = read_listed(folder).state
    return checkpoint.Saved(folder, int(state["global_step"]), state)


def _refuse_another_architecture(loaded: LoadedModel, point: StartPoint, folder: Path) -> None:
    if not (folder / "config.json").is_file():
        return  # an adapter alone, whose base is compared by its weights
    module: Any = loaded.module
    ours, theirs = _computed_with(module.config), _computed_with(AutoConfig.from_pretrained(folder))
    differing = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    if differing:
        key = differing[0]
        raise EnvironmentUnmet(
            f"the weights do not fit: `{key}` of this run's model is {ours.get(key)}, of the run in {point.run} "
            f"{theirs.get(key)}",
            hint=_OWN_MODEL,
        )


def _computed_with(config: Any) -> Mapping[str, Any]:
    return {key: value for key, value in config.to_dict().items() if key not in _NOT_COMPUTED_WITH}


def _refuse_another_base(loaded: LoadedModel, point: StartPoint) -> None:
    recorded = read_manifest(Path(point.run)) or {}
    was, now = recorded.get("model", {}).get("base"), loaded.source.get("base")
    if was is not None and was != now:
        raise Drift(
            f"the frozen weights of {loaded.source['name']} differ from those that the adapter of {point.run} was trained on",
            hint="use that run's model and, for a model from scratch, its seed",
        )
