"""Entry points of the compiler: check a spec, or compile a spec or a plan file into plan and graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from prerl_spec.compiler.build_graph import build_graph, require_local_code_allowed, require_same_data
from prerl_spec.compiler.estimates.prerequisites import check_again
from prerl_spec.compiler.graph import Graph
from prerl_spec.compiler.hardware import Hardware, detect_hardware
from prerl_spec.compiler.past_runs.model_files import require_same_model_files
from prerl_spec.compiler.past_runs.run_folder import has_begun, require_run_folder
from prerl_spec.compiler.plan import Plan, PrerequisitePlan
from prerl_spec.compiler.planning.digest import digest_of_plan
from prerl_spec.compiler.planning.disk import disk_need
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.planning.refusals import refusals_now
from prerl_spec.compiler.planning.start_plan import start_need_now
from prerl_spec.compiler.resolve.resolve import resolve
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import Damaged, Diagnostic, EnvironmentUnmet, SpecInvalid, UsageError
from prerl_spec.storage.sealed import read_object


@dataclass(frozen=True)
class Compiled:
    """A spec without errors: its plan, its graph, and the `warnings` found on the way, which quote `sources`."""

    plan: Plan
    graph: Graph
    warnings: tuple[Diagnostic, ...]
    sources: Mapping[str, str]

    def require_prerequisites(self, folder: Path | None = None) -> None:
        """Raises EnvironmentUnmet, or UsageError for unknown tasks alone, with every prerequisite known to be unmet on this
        machine, each with a hint. `folder` is the run folder, where it is not below the plan's output folder."""
        require_met(self.plan, folder)


def check_spec(
    file: Path,
    sets: Sequence[str] = (),
    unsets: Sequence[str] = (),
    overlays: Sequence[Path] = (),
    local_code: bool = False,
) -> tuple[Resolved, tuple[Diagnostic, ...]]:
    """Resolves and checks a spec without reading data; returns the resolved spec and its warnings.

    Raises SpecInvalid with every diagnostic, UsageError for a file that does not exist.
    """
    return require_valid(resolve(file, sets=sets, unsets=unsets, overlays=overlays, local_code=local_code))


def require_valid(resolved: Resolved) -> tuple[Resolved, tuple[Diagnostic, ...]]:
    """The resolved spec and its warnings. Raises SpecInvalid with every diagnostic if one is an error."""
    diagnostics = diagnose(resolved)
    if any(d.severity == "error" for d in diagnostics):
        raise SpecInvalid(diagnostics, resolved.sources)
    return resolved, diagnostics


def compile_spec(
    file: Path,
    sets: Sequence[str] = (),
    unsets: Sequence[str] = (),
    overlays: Sequence[Path] = (),
    local_code: bool = False,
    hardware: Hardware | None = None,
) -> Compiled:
    """Resolves, checks, plans and builds, without heavy imports; a plan.json is used unchanged. `hardware` is the machine to
    plan for; None: this one.

    Raises what `check_spec` raises, and EnvironmentUnmet for local data that cannot be read.
    """
    if file.suffix == ".json":
        if sets or unsets or overlays:
            raise UsageError(
                "a plan file runs unchanged: overrides need a spec", hint="change the spec, and plan again"
            )
        if hardware is not None:
            raise UsageError("a plan file is of the machine that planned it: --on needs a spec", hint="name the spec")
        return _compile_plan(read_plan(file), local_code)
    resolved = resolve(file, sets=sets, unsets=unsets, overlays=overlays, local_code=local_code)
    return compile_resolved(resolved, hardware)


def compile_resolved(resolved: Resolved, hardware: Hardware | None = None) -> Compiled:
    """Checks, plans and builds a resolved spec. Raises what `compile_spec` raises."""
    resolved, warnings = require_valid(resolved)
    plan = make_plan(resolved, hardware)
    return Compiled(plan, build_graph(plan, plan.spec_text), warnings, resolved.sources)


def read_plan(file: Path) -> Plan:
    """Reads a plan file and computes its digest anew. Raises UsageError for a file that is not a plan of this version,
    Damaged for a plan that was changed."""
    try:
        plan = Plan.from_json(read_object(file))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", hint="name a plan or a spec") from error
    except Damaged as error:
        if error.has_check or has_begun(file.parent):
            raise
        raise _not_a_plan(file) from error
    except (ValueError, ValidationError) as error:
        raise _not_a_plan(file) from error
    if digest_of_plan(plan) != plan.digest:
        raise Damaged(
            f"{file}: its digest is not that of its content",
            file=file,
            hint=f"it was changed, or written by another version (by {plan.prerl_spec}): plan again",
        )
    return plan


def read_run_plan(folder: Path, *, local_code: bool) -> Plan:
    """The plan of a run, ready to be built here: its Python files allowed, its needs met, its data unchanged.

    Raises UsageError for a folder that is no run, EnvironmentUnmet, Drift, Damaged.
    """
    require_run_folder(folder)
    plan = read_plan(folder / "plan.json")
    require_local_code_allowed(plan, local_code)
    require_met(plan, folder)
    require_same_data(plan)
    return plan


def _not_a_plan(file: Path) -> UsageError:
    return UsageError(f"{file} is not a plan file of this version", hint="prerl-spec plan SPEC --out plan.json")


def _compile_plan(plan: Plan, local_code: bool) -> Compiled:
    require_local_code_allowed(plan, local_code)
    require_same_data(plan)
    return Compiled(plan, build_graph(plan, plan.spec_text), (), {})


def require_met(plan: Plan, folder: Path | None = None) -> None:
    """Checks every prerequisite again on this machine; raises EnvironmentUnmet listing the unmet ones with hints, UsageError
    where only tasks are unknown, Drift where files of a model have changed since the run in `folder` began."""
    unmet = [
        prerequisite for prerequisite in check_again(plan.prerequisites, detect_hardware()) if prerequisite.met is False
    ]
    refused = list(refusals_now(plan))
    if folder is not None and any(need.what == "folder" for need in refused):
        # Of a run that has begun it matters first that its files have changed.
        require_same_model_files(folder, plan)
    unmet += refused
    unmet += start_need_now(plan, folder)
    if (disk := disk_need(plan, folder)) is not None:
        unmet.append(disk)
    if not unmet:
        return
    raise unmet_error(unmet)


def unmet_error(unmet: Sequence[PrerequisitePlan]) -> EnvironmentUnmet | UsageError:
    """The error of a run that cannot start: every unmet need with its hint. Where all of them are tasks that nobody defines,
    it is the error of a command that names one."""
    lines = [f"{n.what} {n.name} (for {', '.join(n.by)}): {n.found}\n    = help: {n.hint}" for n in unmet]
    count = "a need is" if len(lines) == 1 else f"{len(lines)} needs are"
    kind = UsageError if all(need.what == "task" for need in unmet) else EnvironmentUnmet
    return kind("\n  ".join([f"{count} not met on this machine", *lines]))
