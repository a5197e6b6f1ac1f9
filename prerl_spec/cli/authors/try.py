"""`try FILE.py`: checks a component against the laws of its kind, previews it on one batch, and trains 30 updates."""  # noqa: N999

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.compiler.estimates.prerequisites import require_train
from prerl_spec.engine.inspect.trial_spec import SERVING, trial_spec
from prerl_spec.errors import Diagnostic, EnvironmentUnmet, SpecInvalid, UsageError
from prerl_spec.registry.component import Component, Slot
from prerl_spec.registry.entry_points import Entry, PluginFault, installed, load
from prerl_spec.registry.kind_names import Kind
from prerl_spec.registry.local import local_entries
from prerl_spec.report.terminal.progress import NO_UPDATE
from prerl_spec.types import StepRecord

if TYPE_CHECKING:
    from prerl_spec.compiler.resolve.resolved import Resolved
    from prerl_spec.testing.conformance.branches import Tried

BASELINES: Mapping[Kind, str] = {"verifier": "math_verify", "surrogate": "clip", "correction": "truncate"}
"""Kind -> the built-in that a component is compared with by itself."""

LINE_EVERY = 5
"""Steps between two progress lines."""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument(
        "file", type=file_path, metavar="FILE.py", help="a Python file that defines a component; it is executed"
    )
    parser.add_argument("--laws", action="store_true", help="check the laws of its kind only, and train nothing")
    parser.add_argument("--name", metavar="NAME", help="the component to try, or its class, if the file has several")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the component")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the model, the data and the rollouts; default: 0"
    )


@dataclass(frozen=True)
class Chosen:
    """The component of the command with its settings, in the spec that it is trained with."""

    entry: Entry
    sets: tuple[str, ...]
    resolved: "Resolved"
    component: Component | None
    """None where a required setting is neither given nor guessed."""
    open_slots: Mapping[str, str]
    """Required slots that `sets` does not fill -> a component that would do."""

    @property
    def words(self) -> str:
        return " ".join(f"--set {one}" for one in self.sets)

    @property
    def tried(self) -> "Tried | None":
        """What the laws test beside the branches of the settings; None without `--set`."""
        from prerl_spec.testing.conformance.branches import Tried

        if not self.sets or self.component is None:
            return None
        return Tried(self.component, words=self.words)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 if the laws hold, 3 if one is broken: then nothing is trained."""
    begun = time.monotonic()
    entry = _entry(arguments.file, arguments.name)
    require_train("`prerl-spec try`")
    chosen = _chosen(arguments.file, entry, tuple(arguments.set), arguments.seed)
    print(f"{entry.kind} {entry.name} {chosen.words}".rstrip())
    states = _laws(chosen)
    exit_code = 3 if "broken" in states.values() else 0
    if arguments.laws:
        return exit_code
    if (why := _not_trained(chosen, states)) is not None:
        print(f"\ntraining skipped: {why}")
        return exit_code
    _train(chosen)
    print(f"\n{time.monotonic() - begun:.0f} s in total")
    return exit_code


def _entry(file: Path, name: str | None) -> Entry:
    try:
        entries = local_entries(file.absolute())
    except PluginFault as fault:
        raise EnvironmentUnmet(f"{fault.code}: {fault.message}", hint=fault.help) from fault
    names = {e.name.removeprefix("local."): e for e in entries}
    if name is not None:
        of_class = {e.value.partition(":")[2]: e for e in entries}
        found = (names | of_class).get(name.removeprefix("local."))
        if found is None:
            raise UsageError(f"{file} defines no component `{name}`", hint=f"it defines: {', '.join(names)}")
        return found
    if len(entries) > 1:
        raise UsageError(
            f"{file} defines {len(entries)} components", hint=f"choose one with --name: {', '.join(names)}"
        )
    return entries[0]


def _chosen(file: Path, entry: Entry, sets: tuple[str, ...], seed: int) -> Chosen:
    """The component with the settings of `--set`, and examples of those that it requires beside them.

    Raises SpecInvalid for a mistake in `sets`, UsageError for one without a value; other faults of the component are for
    the laws to tell.
    """
    from prerl_spec.compiler.resolve.resolve import resolve_text
    from prerl_spec.compiler.rules.wire import diagnose

    given = {one.partition("=")[0].partition(".")[0].strip() for one in sets}
    if "use" in given:
        raise UsageError("--set use: the component is that of the file", hint="choose another one with --name")
    examples, slots = _examples(entry, given)
    text, place = trial_spec(file, entry.kind, entry.name, {**examples, **slots}, seed=seed)
    resolved = resolve_text(text, "try.toml", sets=sets, below=place, local_code=True)
    try:
        found: Sequence[Diagnostic] = diagnose(resolved)
    except Exception:  # the component's own code, which the rules ask: the laws tell its author where and why
        found = resolved.diagnostics
    mistakes = [d for d in found if d.span is not None and d.span.file.startswith("<--set")]
    if any(d.severity == "error" for d in mistakes):
        raise SpecInvalid(mistakes, resolved.sources)
    built = resolved.built.get(place)
    return Chosen(entry, sets, resolved, None if built is None else built.component, slots)


def _examples(entry: Entry, given: set[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Valid values of the required settings that are not given, and components for the required slots that are not."""
    from prerl_spec.testing.conformance.branches import Unguessable, built_in_name, example_settings

    try:
        cls = load(entry)
        values = example_settings(cls, without=given)
    except (PluginFault, Unguessable):
        return {}, {}
    slots = {
        key: cls.model_fields[key] for key in values if any(isinstance(m, Slot) for m in cls.model_fields[key].metadata)
    }
    return (
        {key: value for key, value in values.items() if key not in slots},
        {key: built_in_name(values[key]) for key in slots},
    )


def _laws(chosen: Chosen) -> dict[str, str]:
    """Check -> its state; each finding is printed as it arrives."""
    from prerl_spec.testing.conformance.check import check_entry

    states: dict[str, str] = {}
    for finding in check_entry(chosen.entry, chosen.tried):
        print("\n".join(finding.lines(9)), flush=True)
        states[finding.check] = finding.state
    return states


def _not_trained(chosen: Chosen, states: Mapping[str, str]) -> str | None:
    """The reason to skip training, None if the component can be trained."""
    entry = chosen.entry
    if entry.kind not in SERVING:
        article = "an" if entry.kind[0] in "aeiou" else "a"
        return f"{article} {entry.kind} is only checked against the laws of its kind"
    if any(states.get(check, "broken") == "broken" for check in ("settings", "protocol", "laws")):
        return "fix the broken checks above first; `--laws` checks them alone, in seconds"
    component: Any = load(entry)
    if entry.kind == "objective" and not component.uses_rollouts:
        return "the objective trains on documents, and `try` trains on rollouts only"
    if chosen.open_slots:
        filled = " ".join(f"--set {key}={name}" for key, name in chosen.open_slots.items())
        return f"it has a required component slot: choose what stands there, such as {filled}"
    return None


def _train(chosen: Chosen) -> None:
    from prerl_spec.compiler.compile import compile_resolved
    from prerl_spec.engine.inspect.try_component import try_out
    from prerl_spec.engine.inspect.warm_up import WarmUp
    from prerl_spec.report.terminal.trial import batch_page, reward_page, samples_to_show

    compiled = compile_resolved(chosen.resolved)
    entry, graph = chosen.entry, compiled.graph
    warm_up = WarmUp.of(compiled.plan, graph)
    if warm_up.file.exists():
        print(f"\npre-trained on sums in an earlier trial (remove it to train it again): {warm_up.file}")
    else:
        print(
            "\npre-training a randomly initialised 2-layer transformer (width 96) on sums, once for all trials:",
            flush=True,
        )
    with tempfile.TemporaryDirectory(prefix="prerl-try-") as folder:
        trial = try_out(graph, Path(folder), _show_progress, warm_up)
    kind, default = entry.kind, BASELINES.get(entry.kind)
    baseline: Any = None if default is None else load(installed().providers(kind, default)[0])()
    samples = samples_to_show(kind, trial, 2)
    page = batch_page(kind, entry.name, chosen.component, graph.phases[1], trial, samples, baseline)
    if page:
        print(f"\n{page}")
    print(f"\n{reward_page(trial.records)}")


def _show_progress(record: StepRecord, steps: int) -> None:
    every = LINE_EVERY if "reward_mean" in record.metrics else steps // 4
    if record.step % every == 0 or record.step == steps:
        reward = f"  reward {record.metrics['reward_mean']:.3f}" if "reward_mean" in record.metrics else ""
        loss = f"  loss {record.metrics['loss']:.3f}" if "loss" in record.metrics else ""
        none = f"  {NO_UPDATE}" if record.updates and not record.applied else ""
        print(f"  {record.phase} {record.step}/{steps}{none}{loss}{reward}", file=sys.stderr, flush=True)
