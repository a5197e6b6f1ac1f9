"""What a plan means but for its seeds: equal for the runs of one arm."""

import json
from pathlib import Path

from prerl_spec.compiler.compile import read_plan
from prerl_spec.compiler.past_runs.start_point import may_hold
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.digest import meaning
from prerl_spec.storage.sealed import read_object
from prerl_spec.storage.study_files import DEPTH_IN_STUDY, SHARED, STUDY

FRESH = "from_scratch"
"""The model whose weights are drawn, from `run.seed` where it has no seed of its own."""
PLAN = "plan.json"


def without_seeds(folder: Path, plan: Plan) -> str:
    """What a plan means, but for its name, `run.seed` and `model.seed`: equal for the seeds of one arm.

    A start is what it means in the same way, where its run is here; else its content. A cut at what the first arm of a study
    has taken with each seed is that, and not the amount. Raises Damaged for the study's file.
    """
    whole = meaning(plan)
    whole["run"] = {key: value for key, value in whole["run"].items() if key not in ("name", "seed")}
    settings = {key: value for key, value in whole["model"]["settings"].items() if key != "seed"}
    whole["model"] = {**whole["model"], "settings": settings}
    if plan.cut is not None and (study := _cut_by(folder)) is not None:
        whole["cut"] = [plan.cut.match, study]
    source = source_of(folder, plan)
    if source is not None and plan.start is not None and plan.start.found is not None:
        behind = without_seeds(source, read_plan(source / PLAN))
        whole["start"] = [behind, plan.start.found.phase, plan.start.found.step]
    return json.dumps(whole, sort_keys=True)


def _cut_by(folder: Path) -> str | None:
    """The study that ends this run where its first arm has ended; None for a written budget, and outside of studies."""
    above = folder.resolve().parents[:DEPTH_IN_STUDY]
    root = next((place for place in above if (place / STUDY).is_file()), None)
    return None if root is None or read_object(root / STUDY).get("budget") is not None else str(root)


def model_seed(plan: Plan) -> int | None:
    """The seed of fresh weights, `run.seed` where none is written; None where weights are loaded."""
    if plan.start is not None:
        return None
    written = plan.model.settings.get("seed")
    if written is not None:
        return int(written)
    return plan.seed if plan.model.use == FRESH else None


def source_of(folder: Path, plan: Plan) -> Path | None:
    """The run that the one in this folder was started from, if it is here; a study's folder may have been moved as a whole.

    A run of another content may lie there by now. Raises Damaged.
    """
    start = None if plan.start is None else plan.start.found
    if start is None:
        return None
    run = Path(start.run)
    places = [run, *(above / SHARED / run.name for above in folder.resolve().parents[:DEPTH_IN_STUDY])]
    begun = (place for place in places if (place / "events.jsonl").is_file())
    return next((place for place in begun if may_hold(place, start)), None)
