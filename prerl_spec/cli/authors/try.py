"""`try FILE.py`: checks a component against the laws of its kind, previews it on one batch, and trains 30 updates."""  # noqa: N999

import argparse
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.compiler.estimates.prerequisites import require_train
from prerl_spec.engine.inspect.trial_spec import SERVING, trial_spec
from prerl_spec.errors import EnvironmentUnmet, UsageError
from prerl_spec.registry.component import Slot
from prerl_spec.registry.entry_points import Entry, PluginFault, installed, load
from prerl_spec.registry.kind_names import Kind
from prerl_spec.registry.local import local_entries
from prerl_spec.types import StepRecord

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


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 if the laws hold, 3 if one is broken: then nothing is trained."""
    begun = time.monotonic()
    settings = _settings(arguments.set)
    entry = _chosen(arguments.file, arguments.name)
    require_train("`prerl-spec try`")
    print(f"{entry.kind} {entry.name}")
    states = _laws(entry)
    exit_code = 3 if "broken" in states.values() else 0
    if arguments.laws:
        return exit_code
    if (why := _not_trained(entry, states)) is not None:
        print(f"\ntraining skipped: {why}")
        return exit_code
    _train(arguments.file, entry, arguments.seed, settings)
    print(f"\n{time.monotonic() - begun:.0f} s in total")
    return exit_code


def _chosen(file: Path, name: str | None) -> Entry:
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


def _laws(entry: Entry) -> dict[str, str]:
    """Check -> its state; each finding is printed as it arrives."""
    from prerl_spec.testing.conformance.check import check_entry

    states: dict[str, str] = {}
    for finding in check_entry(entry):
        print(f"  {finding.state:<9}  {finding.check:<9}  {finding.detail}", flush=True)
        states[finding.check] = finding.state
    return states


def _not_trained(entry: Entry, states: Mapping[str, str]) -> str | None:
    """The reason to skip training, None if the component can be trained."""
    if entry.kind not in SERVING:
        article = "an" if entry.kind[0] in "aeiou" else "a"
        return f"{article} {entry.kind} is only checked against the laws of its kind"
    if any(states.get(check, "broken") == "broken" for check in ("settings", "protocol", "laws")):
        return "fix the broken checks above first"
    component: Any = load(entry)
    if entry.kind == "objective" and not component.uses_rollouts:
        return "the objective trains on documents, and `try` trains on rollouts only"
    if any(isinstance(m, Slot) for f in component.model_fields.values() if f.is_required() for m in f.metadata):
        return "it has a required component slot: run it from a spec"
    return None


def _settings(written: Sequence[str]) -> dict[str, Any]:
    """Parses KEY=VALUE with a TOML value; a value that is not TOML is read as a string. Raises UsageError."""
    settings: dict[str, Any] = {}
    for one in written:
        key, equals, value = one.partition("=")
        if not equals:
            raise UsageError(f"--set {one}: missing `=`", hint="write --set KEY=VALUE")
        try:
            settings[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            settings[key.strip()] = value.strip()
    return settings


def _train(file: Path, entry: Entry, seed: int, settings: Mapping[str, Any]) -> None:
    from prerl_spec.compiler.compile import compile_spec
    from prerl_spec.engine.inspect.try_component import try_out
    from prerl_spec.engine.training.token_terms import samples_worth_seeing
    from prerl_spec.report.terminal.trial import batch_page, reward_page
    from prerl_spec.testing.conformance.branches import example_settings

    whole = {**example_settings(load(entry)), **settings}
    with tempfile.TemporaryDirectory(prefix="prerl-try-") as folder:
        spec = Path(folder) / "try.toml"
        spec.write_text(trial_spec(file, entry.kind, entry.name, whole, seed=seed), encoding="utf-8")
        graph = compile_spec(spec, local_code=True).graph
        print("\npre-training a randomly initialised 2-layer transformer (width 96) on sums:")
        trial = try_out(graph, Path(folder), _show_progress)
    kind, default = entry.kind, BASELINES.get(entry.kind)
    baseline: Any = None if default is None else load(installed().providers(kind, default)[0])()
    component = load(entry).model_validate(whole)
    samples = samples_worth_seeing(trial.batch, 2)
    page = batch_page(kind, entry.name, component, graph.phases[1], trial, samples, baseline)
    if page:
        print(f"\n{page}")
    rewards = [r.metrics["reward_mean"] for r in trial.records if "reward_mean" in r.metrics]
    print(f"\n{reward_page(rewards)}")


def _show_progress(record: StepRecord, steps: int) -> None:
    every = LINE_EVERY if "reward_mean" in record.metrics else steps // 4
    if record.step % every == 0 or record.step == steps:
        reward = f"  reward {record.metrics['reward_mean']:.3f}" if "reward_mean" in record.metrics else ""
        loss = f"  loss {record.metrics['loss']:.3f}" if "loss" in record.metrics else ""
        print(f"  {record.phase} {record.step}/{steps}{loss}{reward}", file=sys.stderr, flush=True)
