"""Notes on surprising consequences of a plan, one sentence each."""

from collections.abc import Iterator
from typing import Any

from prerl_spec.compiler.estimates.disk_bytes import journal_step_bytes
from prerl_spec.compiler.estimates.estimate import Shape
from prerl_spec.compiler.estimates.lanes import lane_notes
from prerl_spec.compiler.estimates.unknown import Unknown
from prerl_spec.compiler.hardware import Hardware
from prerl_spec.compiler.past_runs.model_files import model_folders
from prerl_spec.compiler.plan import ComponentPlan, PhasePlan, Plan
from prerl_spec.compiler.planning.fits import end_notes
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.language.spec import DistributedSpec, RunSpec, Spec, StudySpec
from prerl_spec.text import Codec

LONG_STEP = 6 * 3600.0
"""Seconds of a step, and samples of a prompt, from which on a plan asks whether they are meant."""
LARGE_GROUP = 4096


def spec_notes(spec: Spec, here: Hardware, codec: Codec | Unknown, shape: Shape | Unknown) -> Iterator[str]:
    """What follows from the spec, the model's files and the machine."""
    yield from _unknowns(codec, shape, spec.study)
    yield from end_notes(codec)
    yield from _determinism(spec.distributed)
    yield from _streams(spec.run)
    yield from _idle_gpus(here, spec.distributed)


def model_notes(plan: Plan) -> Iterator[str]:
    """The local folders whose content is recorded when the run starts."""
    for folder, weights in model_folders(plan).items():
        what = "weights, tokenizer and chat template" if weights else "tokenizer and chat template"
        yield f"{what} in {folder} are hashed when the run starts; a resume with other content is refused"


def local_code_notes(resolved: Resolved) -> Iterator[str]:
    """What `--local-code` lets in."""
    for file in resolved.plugin_files:
        yield f"--local-code: {file} is imported"
    for path, built in resolved.built.items():
        for code in built.component.local_code():
            yield f"--local-code: {path}.{code.setting}: {code.what}"


def phase_notes(phase: PhasePlan, following: PhasePlan | None) -> Iterator[str]:
    """Notes on one phase and its hand-over."""
    if phase.example is not None and phase.example.template == "no chat template":
        yield "the tokenizer has no chat template: the model sees the bare question (or the row's template)"
    if phase.dropped_rows:
        yield f"the last {phase.dropped_rows} rows of an epoch fill no batch and are dropped; each epoch is reshuffled"
    if phase.uses_rollouts and phase.updates_per_batch == 1 and _bounds_ratios(phase.objective):
        yield "one update per batch: the ratio to the old policy is 1, so clipping has no effect"
    yield from _long_steps(phase)
    terms = frozenset(_uses(phase.objective))
    yield from _unlike(phase.objective, terms, off_policy=phase.updates_per_batch > 1)
    if following is not None and phase.carry_optimizer:
        yield from _carried_moments(phase, following)


def _long_steps(phase: PhasePlan) -> Iterator[str]:
    """Where a single step may take hours, or has thousands of samples of one prompt: rarely meant."""
    seconds = 0.0 if phase.cost is None else phase.cost.seconds_per_step
    if not phase.uses_rollouts or (seconds < LONG_STEP and phase.group_size < LARGE_GROUP):
        return
    bound = "" if phase.cost is None else f", at most about {seconds / 3600:,.1f} hours a step"
    held = journal_step_bytes(phase.attempts_per_step, phase.max_new_tokens) / 2**30
    yield (
        f"a step has {phase.attempts_per_step:,} samples (group_size {phase.group_size:,} x {phase.units_per_step:,} prompts)"
        f"{bound}; all of them are held until it has trained, at most {held:,.1f} GiB: lower group_size or prompts_per_step if "
        "this is not meant"
    )


def _bounds_ratios(objective: ComponentPlan) -> bool:
    """Whether it, or a component in its slots, puts a bound on the ratio to the old policy."""
    return bool(objective.ratio_settings) or any(map(_bounds_ratios, objective.inner))


def _uses(component: ComponentPlan) -> Iterator[str]:
    yield component.use
    for inner in component.inner:
        yield from _uses(inner)


def _unlike(component: ComponentPlan, terms: frozenset[str], *, off_policy: bool) -> Iterator[str]:
    """One sentence a component on where its defaults differ from elsewhere, as far as they can act. A lack of `kl` is not
    told where `kl` is one of the terms."""
    idle = terms if off_policy else terms.union(component.ratio_settings)
    if words := [said for setting, said in component.unlike.items() if setting not in idle]:
        yield f"{component.use}: {'; '.join(words)}"
    for inner in component.inner:
        yield from _unlike(inner, terms, off_policy=off_policy)


def _carried_moments(phase: PhasePlan, following: PhasePlan) -> Iterator[str]:
    """Adam's second moment retains the old gradient scale for about 1/(1 - beta2) updates."""
    before, after = (_coefficient(p.objective.settings) for p in (phase, following))
    if before is None or after is None or before == after or "betas" not in phase.optimizer.settings:
        return
    yield (
        f"moments carry into `{following.id}` while the coefficient goes from {before:g} to {after:g}: its first updates are "
        + (
            "1.6 to 1.9 times their later size (measured from 0.01 to 1)"
            if after > before
            else "smaller than later ones"
        )
    )


def _coefficient(settings: Any) -> float | None:
    value = settings.get("coefficient")
    return float(value) if isinstance(value, int | float) else None


def _streams(run: RunSpec) -> Iterator[str]:
    if run.streams == "phase":
        yield (
            'streams = "phase": the seeds of a step hang on its number in the phase, and each phase begins its data anew, '
            "in an order of its own"
        )


def _idle_gpus(hardware: Hardware, asked: DistributedSpec) -> Iterator[str]:
    """Of a machine that is only named: elsewhere `--processes` is decided when the run starts."""
    idle = len(hardware.gpus) - asked.processes
    if hardware.is_named and idle > 0:
        yield (
            f"{asked.processes} of {len(hardware.gpus)} GPUs are used: each process has one, and distributed.processes is "
            f"{asked.processes}"
        )
    elif hardware.is_named and idle < 0:
        yield f"{asked.processes} processes need one GPU each, and that machine has {len(hardware.gpus)}: a run is refused"


def _determinism(asked: DistributedSpec) -> Iterator[str]:
    if asked.determinism == "invariant":
        yield from lane_notes(asked.processes)


def _unknowns(codec: Codec | Unknown, shape: Shape | Unknown, study: StudySpec | None) -> Iterator[str]:
    if study is not None:
        arms, seeds = tuple(study.arms), len(study.seeds)
        yield (
            f"a single run of the spec: `prerl-spec study` has {len(arms) * seeds} cells, arms ({len(arms)}: "
            f"{', '.join(arms)}) x seeds ({seeds}), and says what they share, where they end and what it can detect"
        )
    if isinstance(codec, Unknown):
        yield f"prompts and prefix are unknown: {codec.why}"
    if isinstance(shape, Unknown):
        yield f"memory and time are unknown: {shape.why}"
