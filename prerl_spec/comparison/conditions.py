"""Under which conditions scores were taken, and the refusal of those that cannot be compared: the field and both values."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from prerl_spec.errors import UsageError
from prerl_spec.report.page.scores import Protocol
from prerl_spec.types import Score

TOLD = ("harness",)
"""Fields that may differ: told, not refused. What decides a score is in the hashes."""
OF_THE_PAIR = ("seed",)
"""Fields that are compared within a pair alone: unwritten, the evaluation's seed is the run's."""
HASH_DIGITS = 12
ALLOWED = {"template": "template_hash"}
"""What may differ where the reader says so, as `--allow` names it: how a question becomes tokens."""
WORDS = {
    "questions": "number of questions (limit)",
    "samples_per_question": "samples a question",
    "task_version": "task version",
    "task_hash": "task hash",
    "template_hash": "template hash",
    "decoding": "decoding",
}


class Scored(NamedTuple):
    """A series of scores of one run under one protocol, by global step."""

    protocol: Protocol
    scores: tuple[Score, ...]

    def of(self, metric: str) -> list[Score]:
        """One score a global step, ascending."""
        at = {score.global_step: score for score in self.scores if score.metric == metric}
        return [at[step] for step in sorted(at)]


@dataclass(frozen=True)
class Condition:
    """A protocol without what may differ: two scores can be compared where theirs are equal."""

    values: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, protocol: Protocol, allowed: Collection[str] = ()) -> "Condition":
        left_out = (*TOLD, *OF_THE_PAIR, *(ALLOWED[name] for name in allowed))
        return cls(tuple((f.name, getattr(protocol, f.name)) for f in fields(protocol) if f.name not in left_out))

    def apart_from(self, others: Sequence["Condition"]) -> str:
        """What tells it from these in words: `samples a question 16`."""
        differing = [
            f"{WORDS.get(field, field)} {_shown(field, value)}"
            for place, (field, value) in enumerate(self.values)
            if len({other.values[place][1] for other in others}) > 1
        ]
        return "; ".join(differing)


def series_of(scores: Sequence[Score], task: str, allowed: Collection[str] = ()) -> dict[Condition, Scored]:
    """The scores of a task by condition, in the order in which they were taken. Raises UsageError where those of one condition
    differ in the evaluation's seed, or in what is `allowed` to differ between models: which of them is meant is not known."""
    found: dict[Condition, Scored] = {}
    for score in scores:
        if score.task != task:
            continue
        protocol = Protocol.of(score)
        condition = Condition.of(protocol, allowed)
        known = found.get(condition)
        if known is not None and known.protocol.seed != protocol.seed:
            raise UsageError(
                f"{task} was scored with seed {known.protocol.seed} and with seed {protocol.seed} in one folder",
                hint="score each seed into a folder of its own",
            )
        if known is not None and known.protocol.template_hash != protocol.template_hash:
            raise UsageError(
                f"{task} was scored under two templates in one folder: which one is compared is not known",
                hint="score each template into a folder of its own",
            )
        found[condition] = Scored(protocol, (*(known.scores if known else ()), score))
    return found


def shared_conditions(task: str, of_run: Mapping[str, Mapping[Condition, Scored]]) -> list[Condition]:
    """The conditions under which every run was scored on a task. Raises UsageError with the field and both values where
    there is none."""
    names = list(of_run)
    shared = [c for c in of_run[names[0]] if all(c in series for series in of_run.values())]
    if shared:
        return shared
    first = next(iter(of_run[names[0]]))
    for name in names[1:]:
        if first not in of_run[name]:
            raise _refused(task, names[0], first, name, next(iter(of_run[name])))
    other = next(name for name in names[1:] if len(of_run[name]) < len(of_run[names[0]]))
    raise UsageError(f"{task}: {names[0]} and {other} share no condition with the other runs")


def require_same_seed(task: str, first: tuple[str, Scored], second: tuple[str, Scored]) -> None:
    """Raises UsageError for a pair whose evaluations have drawn from other seeds."""
    (name_a, a), (name_b, b) = first, second
    if a.protocol.seed != b.protocol.seed:
        found = _differs(task, "seed of the evaluation", name_a, a.protocol.seed, name_b, b.protocol.seed)
        raise UsageError(found.message, hint=f"a run scores with its run.seed: name runs of one seed, or {found.hint}")


def harness_notes(task: str, protocols: Mapping[str, Protocol]) -> list[str]:
    """A line where the runs were scored by other versions of a harness."""
    versions = dict.fromkeys(protocol.harness for protocol in protocols.values())
    return [f"{task} was scored by {' and '.join(versions)}"] if len(versions) > 1 else []


def template_notes(task: str, protocols: Mapping[str, Protocol]) -> list[str]:
    """A line where questions became other tokens in some of the runs: what a difference may come from then."""
    if len({protocol.template_hash for protocol in protocols.values()}) == 1:
        return []
    return [
        f"{task}: not the same template: the chat template, the system prompt, the few-shot examples or the tokenizer differ. "
        "Questions are paired by their rows, and a difference is one of model and template together"
    ]


def _refused(task: str, name_a: str, a: Condition, name_b: str, b: Condition) -> UsageError:
    for (field, value_a), (_, value_b) in zip(a.values, b.values, strict=True):
        if value_a != value_b:
            found = _differs(task, WORDS.get(field, field), name_a, value_a, name_b, value_b)
            way = next((name for name, allowed in ALLOWED.items() if allowed == field), None)
            if way is None:
                return found
            return UsageError(found.message, hint=f"{found.hint}; `--allow {way}` compares model and {way} together")
    raise AssertionError("two conditions that differ in no field")


def _differs(task: str, field: str, name_a: str, a: object, name_b: str, b: object) -> UsageError:
    return UsageError(
        f"{task} cannot be compared: {field} is {_shown(field, a)} in {name_a} and {_shown(field, b)} in {name_b}",
        hint="score both under the same conditions: `prerl-spec eval` scores a run's checkpoint again",
    )


def _shown(field: str, value: object) -> str:
    text = str(value)
    return text[:HASH_DIGITS] if field.endswith("hash") else text
