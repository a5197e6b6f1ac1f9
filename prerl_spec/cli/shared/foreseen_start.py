"""What would keep a run of a plan from starting on this machine, besides the needs that the plan itself lists."""

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from prerl_spec.compiler.compile import Compiled
from prerl_spec.compiler.estimates.prerequisites import check_again, has_train, is_refusal
from prerl_spec.compiler.hardware import detect_hardware
from prerl_spec.compiler.past_runs.model_files import require_same_model_files
from prerl_spec.compiler.past_runs.run_folder import foreseen_run_folder, has_locks, require_locks
from prerl_spec.compiler.plan import Plan, PrerequisitePlan
from prerl_spec.compiler.planning.first_prompt import LOOKED_AT


def needs_of_rows(compiled: Compiled, *, all_rows: bool) -> tuple[PrerequisitePlan, ...]:
    """Unmet needs of rows that a run would refuse: of all rows, or of the first ones. Nothing where no run could start: without
    the extra that runs need, or without file locks.

    Raises SpecInvalid for a template that fails, EnvironmentUnmet for a verifier that cannot be started.
    """
    if not has_train() or not has_locks():
        return ()
    from prerl_spec.cli.shared.ticker import Ticker
    from prerl_spec.engine.data_check.foreseen import row_needs
    from prerl_spec.engine.verification.verifier_pools import VerifierPools

    with ExitStack() as stack:
        ticker = stack.enter_context(Ticker(enabled=all_rows))
        pools = VerifierPools(stack, partial(ticker.tick, "verify"))
        most = None if all_rows else LOOKED_AT
        return tuple(row_needs(compiled.graph, compiled.plan, pools.check_golds, most=most, tick=ticker.tick))


def checked_now(plan: Plan) -> Plan:
    """The plan with its needs as they are here and now, for showing it: servers are asked whether they answer."""
    later = tuple(need for need in plan.prerequisites if need.what == "start" or is_refusal(need))
    return replace(plan, prerequisites=(*check_again(plan.prerequisites, detect_hardware()), *later))


def require_start(plan: Plan, *, hashes: bool = True) -> tuple[Path, bool]:
    """The folder that a run would take here, and whether it would go on there.

    Raises what `run` raises before it loads anything: UsageError for a live run, EnvironmentUnmet for a folder that cannot be
    written and for more processes than GPUs, Drift for local model files that have changed since that run began, which are
    hashed for it with `hashes`.
    """
    require_locks()
    from prerl_spec.cli.shared.launcher import processes_to_start

    processes_to_start(None, plan.distributed["processes"])
    folder, resumes = foreseen_run_folder(Path(plan.output_dir), plan.name, plan.digest)
    if resumes and hashes:
        require_same_model_files(folder, plan)
    return folder, resumes
