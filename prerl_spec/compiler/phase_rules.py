"""Rules of a phase that belong to no component: how much a step takes, and what a phase must say (E0204, E0701)."""

from collections.abc import Iterator
from typing import cast

from prerl_spec.compiler.objective_needs import reads_from
from prerl_spec.compiler.places import at_last_written, use_place
from prerl_spec.compiler.resolve import Resolved
from prerl_spec.compiler.serving import Site, nested
from prerl_spec.errors import Diagnostic
from prerl_spec.registry.kinds import Objective


def step_size(resolved: Resolved, site: Site) -> Iterator[Diagnostic]:
    """prompts_per_step where the phase samples, documents_per_step where it does not, a multiple of the updates."""
    if site.samples is None:
        return
    wanted, other = ("prompts_per_step", "documents_per_step")[:: 1 if site.samples else -1]
    if getattr(site.spec, other) is not None:
        assert site.objective.built is not None
        does = "samples: it counts prompts" if site.samples else "samples nothing: it counts documents"
        yield Diagnostic(
            "error",
            "E0701",
            f"{site.title} {does}, not {other.split('_')[0]}",
            resolved.key_span(f"{site.path}.{other}"),
            path=f"{site.path}.{other}",
            help=f"write {wanted}",
            notes=(f"its objective is `{site.objective.built.use}`",),
        )
    units = getattr(site.spec, wanted)
    if units is None and getattr(site.spec, other) is None and f"{site.path}.{wanted}" not in resolved.poisoned:
        yield Diagnostic(
            "error",
            "E0204",
            f"{site.title} has no `{wanted}`",
            resolved.header_span(site.path),
            path=f"{site.path}.{wanted}",
            help=f"write how many {wanted.split('_')[0]} a step takes",
        )


def whole_updates(resolved: Resolved, site: Site) -> Iterator[Diagnostic]:
    """A step splits evenly into its updates; whoever trains on it has no say."""
    misplaced = {True: "documents_per_step", False: "prompts_per_step", None: None}[site.samples]
    for key in ("prompts_per_step", "documents_per_step"):
        units = getattr(site.spec, key)
        if key != misplaced and units is not None and units % site.spec.updates_per_batch:
            yield Diagnostic(
                "error",
                "E0701",
                f"{key} = {units} is not a multiple of updates_per_batch = {site.spec.updates_per_batch}",
                resolved.key_span(f"{site.path}.{key}"),
                path=f"{site.path}.{key}",
                help="whole groups are split evenly into the updates of a batch",
            )


def group_baseline(resolved: Resolved, site: Site) -> Iterator[Diagnostic]:
    """The objective says how many attempts its baseline needs."""
    objective = site.objective.component
    sampler = None if site.sampler is None else site.sampler.component
    if objective is None or sampler is None or not site.samples or sampler.group_size >= objective.min_group:
        return
    assert site.sampler is not None
    yield at_last_written(
        resolved,
        "E0701",
        f"the objective needs at least {objective.min_group} attempts a prompt, and group_size is {sampler.group_size}",
        [
            (f"{site.sampler.path}.group_size", sampler.group_size),
            (use_place(resolved, site.objective.path), None),
        ],
    )


def truncated_sampling(resolved: Resolved, site: Site) -> Iterator[Diagnostic]:
    """A truncating sampler draws from another distribution than the one whose ratios are taken."""
    objective = site.objective.component
    sampler = None if site.sampler is None else site.sampler.component
    if objective is None or sampler is None or not site.samples:
        return
    assert site.sampler is not None
    off = {"top_p": 1.0, "top_k": 0}
    truncating = [
        (f"{site.sampler.path}.{key}", getattr(sampler, key)) for key in off if getattr(sampler, key) != off[key]
    ]
    ratios: list[tuple[str, object]] = []
    if site.spec.updates_per_batch > 1 and objective.uses_ratio:
        ratios.append((f"{site.path}.updates_per_batch", site.spec.updates_per_batch))
    if reads_from(objective, "sampler"):
        ratios.append((use_place(resolved, site.objective.path), None))
    if truncating and ratios:
        names = " and ".join(path.rsplit(".", 1)[1] for path, _ in truncating)
        yield at_last_written(
            resolved,
            "E0701",
            f"{names} of the sampler biases the objective's probability ratios",
            [*truncating, *ratios],
            help="train with top_p = 1.0 and top_k = 0; an evaluator may truncate as it likes",
        )


def reference_switched_off(resolved: Resolved, site: Site) -> Iterator[Diagnostic]:
    """A term that compares with a reference, in a spec that has none."""
    objective = site.objective.component
    if objective is None or resolved.spec.reference != "off":
        return
    if not reads_from(objective, "reference"):
        return
    terms = [
        path
        for path, built in nested(site.objective)
        if not built.slots and reads_from(cast(Objective, built.component), "reference")
    ]
    for path in terms or [site.objective.path]:
        yield at_last_written(
            resolved,
            "E0701",
            f'the objective of {site.title} compares with a reference, and reference = "off"',
            [("reference", "off"), (use_place(resolved, path), None)],
            help='leave `reference` out, or write reference = "initial"',
        )


def steps_that_are_not_known(resolved: Resolved, site: Site) -> Iterator[Diagnostic]:
    """A learning rate that falls over the steps of a phase needs to know how many there are."""
    schedule = site.schedule.component
    optimizer = None if site.optimizer is None else site.optimizer.component
    if schedule is None or optimizer is None or schedule.max_steps is not None:
        return
    assert site.optimizer is not None
    falling = getattr(optimizer, "lr_schedule", "constant")
    if falling == "constant":
        return
    budget = f"{site.schedule.path}.tokens"
    end = budget if resolved.is_written(budget) else use_place(resolved, site.schedule.path)
    yield at_last_written(
        resolved,
        "E0701",
        f'lr_schedule = "{falling}" runs over the steps of the phase, and a token budget has no number of steps',
        [(f"{site.optimizer.path}.lr_schedule", falling), (end, None)],
        help='give the phase `steps`, or take lr_schedule = "constant"',
    )


def inherited_moments(resolved: Resolved, site: Site, following: Site | None) -> Iterator[Diagnostic]:
    """A written `carry` needs the same optimizer in the next phase."""
    schedule = site.schedule.component
    if schedule is None or following is None or getattr(schedule, "optimizer", None) != "carry":
        return
    ours, theirs = site.optimizer, following.optimizer
    if ours is None or theirs is None or ours.built is None or theirs.built is None:
        return
    if (ours.built.use, ours.built.distribution) != (theirs.built.use, theirs.built.distribution):
        yield at_last_written(
            resolved,
            "E0701",
            f'optimizer = "carry", but `{theirs.built.use}` cannot take over the moments of `{ours.built.use}`',
            [(f"{site.schedule.path}.optimizer", "carry")],
            help='write optimizer = "reset", or leave it out, or give both phases the same optimizer',
        )
