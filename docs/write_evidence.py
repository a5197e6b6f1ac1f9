"""Writes docs/evidence.md from the studies that docs/evidence keeps: what was asked, and what came out.

`PYTHONPATH=.:components python docs/write_evidence.py` brings the page up to date; tests/test_evidence.py fails while it is
not. `… docs/write_evidence.py --keep STUDY NAME` packs what `compare` and this page read of a study's folder.
"""

import argparse
import lzma
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import NamedTuple

from prerl_spec.comparison.compare import compare
from prerl_spec.comparison.findings import Comparison, Difference, Estimate, Table
from prerl_spec.comparison.scored_run import AXES, AXIS_WORDS, Axis
from prerl_spec.report.tables.run_tables import RunRecord, read_run
from prerl_spec.statistics.intervals import Interval
from prerl_spec.statistics.seeds import ALPHA, holm, seed_interval

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "evidence"
PAGE = ROOT / "docs" / "evidence.md"
KEPT = ("study.json", "state.jsonl", "spec.toml")
KEPT_OF_A_CELL = ("plan.json", "events.jsonl", "scores.json", "manifest.json", "evaluation/questions/*.jsonl")

MARGIN = 0.02
PRIMARY = "arithmetic_chains_easy/avg@16"
CURVE = "curve/avg@2"
TASKS = (
    "arithmetic_chains_easy/avg@16",
    "arithmetic_chains_easy/pass@16",
    "arithmetic_chains_hard/avg@16",
    "arithmetic_chains_hard/pass@16",
)
BASELINE, NULL, QUESTION = "grpo", "null", "dsrl"
WARMED = ("dsrl", "centred")
LAST_STEPS = 10
IN_TRAINING = {
    "response_length": "tokens a response",
    "entropy": "entropy, nats",
    "thoughts_transition": "transitions a response",
    "thoughts_reflection": "reflections a response",
}


class Study(NamedTuple):
    """A kept study: name of its archive, and what its base is."""

    name: str
    base: str


STUDIES = (
    Study("core-question", "a base of seed 0"),
    Study("core-question-first", "a base of seed 0, in the first run"),
    Study("core-question-1", "a base of seed 1"),
)

HEAD = """# Evidence: does optimising log P(y) help before GRPO?

On `arithmetic_chains`, a small transformer from scratch (304,992 parameters), pre-trained on chains with a systematic mistake.
The arms, seeds, the margin of ± 2 points and the rule below were written down in [log.md](log.md) ("pre-registered") before any
run; the specs are [base.toml](../specs/paper/base.toml) and [core-question.toml](../specs/paper/core-question.toml). This says
something about one tiny task and a model of this size. About models of billions of parameters it says nothing.

`docs/write_evidence.py` writes this page from the studies' own events, scores and results of single questions, kept in
[evidence](evidence); after `tar -xJf docs/evidence/NAME.tar.xz` any other view of them is `prerl-spec compare NAME`. Machines
differ in the last digits, so that a study of one's own will not repeat the figures, only what they say.

- **grpo**: 60 steps of GRPO, 16 prompts × 8 responses each. **dsrl**: 12 steps of raw NSR-PreRL on log P(y), then GRPO.
  **null**: 12 steps that sample and take no update, then GRPO: the same steps thrown away. **centred**: 12 steps of NSR-PreRL
  whose weights sum to zero in each group, then GRPO.
- All arms of a seed meet the same prompts and sample streams at the same step of a phase, and end at the generated tokens that
  grpo took with that seed.
- The unit is the seed. Differences are paired, in points of the score (1 point = .01), with 95 % t intervals over seeds; p
  after Holm in each family: dsrl, null and centred against grpo; dsrl and centred against null.
- **helps**, **hurts**: p after Holm is below 5 %, and the sign is the same at equal generated tokens, updates and seconds.
  **by more than the margin**: the whole interval lies beyond ± 2 points. **no relevant difference**: it lies within ± 2. Else
  **undecided**.
- Equal updates and seconds are read on the curve of a held-out set (64 questions × 2, every 6 steps), where the ends differ.
  Where two runs of a pair differ so much in seconds that no scores of the curve are near enough, the difference at equal
  seconds is not known, and by the rule nothing is claimed then.
- The 80 cells from the base of seed 0 were run twice. The first run shared its cores with other work whose load changed by a
  factor of 3, which left equal seconds unknown. It was therefore repeated whole, one cell at a time, on another machine with
  (nearly always) a core to itself. The last digits of two machines differ, from pre-training on, so that the second run is
  also another sample of everything, and both stand here. What they do not agree in is not claimed.
- The runs of null and grpo are the same at equal updates, to the last bit: the same prompts, streams and weights.
"""


def keep(study: Path, name: str) -> None:
    """Packs a study's folder: the same bytes for the same files, whenever and by whomever."""
    files = [study / kept for kept in KEPT]
    for cell in sorted(study.glob("cells/*/seed-*")):
        files += [found for pattern in KEPT_OF_A_CELL for found in sorted(cell.glob(pattern))]
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for file in files:
            content = file.read_bytes()
            entry = tarfile.TarInfo(f"{name}/{file.relative_to(study)}")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, BytesIO(content))
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.tar.xz").write_bytes(lzma.compress(packed.getvalue(), preset=9))


def page() -> str:
    """The page, from the archives alone."""
    with TemporaryDirectory() as where:
        folders = []
        for study in STUDIES:
            with tarfile.open(FOLDER / f"{study.name}.tar.xz") as archive:
                archive.extractall(where, filter="data")
            folders.append(Path(where) / study.name)
        parts = [HEAD, *_answers(folders)]
        for study, folder in zip(STUDIES, folders, strict=True):
            parts += _study(study, folder)
    return "\n".join(parts).rstrip("\n") + "\n"


class Family(NamedTuple):
    """The differences of some arms from one, on the primary, with Holm's p over them."""

    against: str
    differences: Mapping[str, Difference]
    adjusted: Mapping[str, float]

    def decision(self, arm: str) -> str:
        difference = self.differences[arm]
        assert difference.by_seeds is not None, "a study has several seeds"
        return decision(difference.by_seeds.interval, self.adjusted[arm], _signs(difference))


def decision(interval: Interval, adjusted_p: float, signs: Mapping[str, int | None]) -> str:
    """The pre-registered rule; `signs` are those of the difference at equal amounts, None where it is not known. Where Holm
    rejects and an amount forbids the claim, it is named."""
    sign = 1 if interval.value > 0 else -1
    words = []
    others = [f"{'not known' if it is None else 'not so'} at equal {axis}" for axis, it in signs.items() if it != sign]
    if adjusted_p < ALPHA and not others:
        words.append("helps" if sign > 0 else "hurts")
        if interval.low > MARGIN or interval.high < -MARGIN:
            words[-1] += " by more than the margin"
    if interval.low > -MARGIN and interval.high < MARGIN:
        words.append("no relevant difference")
    if not words:
        words = ["undecided" + (f": {', '.join(others)}" if adjusted_p < ALPHA else "")]
    return "; ".join(words)


def _signs(difference: Difference) -> dict[str, int | None]:
    """Of each axis that both arms spend something on."""
    amounts = {AXIS_WORDS[axis]: difference.axes[axis] for axis in AXES if difference.axes[axis].how != "unmoved"}
    return {
        words: None if at.difference is None else (at.difference > 0) - (at.difference < 0)
        for words, at in amounts.items()
    }


def _family(folder: Path, against: str, arms: Sequence[str]) -> Family:
    found = compare([folder], baseline=against, task=PRIMARY, curve=CURVE)
    differences = {d.arm: d for d in _table(found, PRIMARY).differences if d.arm in arms}
    p_values = [_by_seeds(d).p_value for d in differences.values()]
    return Family(against, differences, dict(zip(differences, holm(p_values), strict=True)))


def _families(folder: Path) -> tuple[Family, Family]:
    return _family(folder, BASELINE, (*WARMED, NULL)), _family(folder, NULL, WARMED)


def _answers(folders: Sequence[Path]) -> Iterator[str]:
    yield "## The answer\n"
    for study, folder in zip(STUDIES, folders, strict=True):
        for family in _families(folder):
            if QUESTION in family.differences:
                difference = family.differences[QUESTION]
                yield (
                    f"- From {study.base}, {QUESTION} against {family.against}: **{family.decision(QUESTION)}**, "
                    f"{_interval(_by_seeds(difference).interval)} points over {_by_seeds(difference).count} seeds."
                )


def _study(study: Study, folder: Path) -> Iterator[str]:
    whole = compare([folder], baseline=BASELINE, curve=CURVE)
    seeds = len(_table(whole, PRIMARY).baseline_values)
    yield f"## From {study.base}: {seeds} seeds\n"
    yield "Primary: easy chains, avg@16 (pass@1), 128 held-out questions.\n"
    yield (
        "| difference | points, 95 % over seeds | p after Holm | at equal "
        + " | ".join(AXIS_WORDS[a] for a in AXES)
        + " | decision |"
    )
    yield "|" + " --- |" * (4 + len(AXES))
    for family in _families(folder):
        for arm, difference in family.differences.items():
            axes = " | ".join(_at(difference, axis) for axis in AXES)
            interval = _interval(_by_seeds(difference).interval)
            yield (
                f"| {arm} − {family.against} | {interval} | {_p(family.adjusted[arm])} | {axes} | {family.decision(arm)} |"
            )
    yield "\nExploratory, never claimed: mean over seeds at the cut, and the difference from grpo in points.\n"
    names = [BASELINE, *(d.arm for d in _table(whole, PRIMARY).differences)]
    yield "| score | " + " | ".join(names) + " |"
    yield "|" + " --- |" * (1 + len(names))
    for task in TASKS:
        table = _table(whole, task)
        cells = [f"{fmean(table.baseline_values.values()):.3f}"]
        cells += [f"{fmean(d.values.values()):.3f} ({_interval(_by_seeds(d).interval)})" for d in table.differences]
        yield f"| {task} | " + " | ".join(cells) + " |"
    runs = {arm: [read_run(cell) for cell in sorted((folder / "cells" / arm).iterdir())] for arm in names}
    for metric, words in IN_TRAINING.items():
        yield f"| {words} | " + " | ".join(_in_training(runs, arm, metric) for arm in names) + " |"
    yield f"\nThe last four rows: mean over the last {LAST_STEPS} steps, in training.\n"
    yield "Spent behind the base's 650 steps of pre-training, mean over seeds:\n"
    yield "| arm | generated tokens | trained tokens | steps | updates | seconds of steps |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for arm in names:
        generated, trained, steps, updates, seconds = _spent(runs[arm])
        yield f"| {arm} | {generated:,.0f} | {trained:,.0f} | {steps:.1f} | {updates:.1f} | {seconds:.1f} |"
    for what, why in whole.left_out:
        yield f"\nNot compared: {what}: {why}."


def _spent(runs: Sequence[RunRecord]) -> tuple[float, ...]:
    """Generated tokens, trained tokens, steps, updates and seconds of a run's own steps, mean over runs: the base's run is
    not kept, and on a machine that has it `compare` would count it as well."""
    of_steps = [
        [(s.generated_tokens, s.trained_tokens, 1, s.applied, s.seconds.get("total", 0.0)) for s in run.steps]
        for run in runs
    ]
    return tuple(
        map(fmean, zip(*([sum(column) for column in zip(*steps, strict=True)] for steps in of_steps), strict=True))
    )


def _in_training(runs: Mapping[str, Sequence[RunRecord]], arm: str, metric: str) -> str:
    """The metric at the end of an arm's runs, and its difference from the baseline over seeds."""

    def last(run: RunRecord) -> float:
        return fmean(step.metrics[metric] for step in run.steps[-LAST_STEPS:])

    own = [last(run) for run in runs[arm]]
    if arm == BASELINE:
        return f"{fmean(own):.3g}"
    interval = seed_interval([mine - other for mine, other in zip(own, map(last, runs[BASELINE]), strict=True)])
    return f"{fmean(own):.3g} ({interval.value:+.2g}, {interval.low:+.2g} to {interval.high:+.2g})"


def _table(comparison: Comparison, name: str) -> Table:
    return next(table for table in comparison.tables if f"{table.task}/{table.metric}" == name)


def _by_seeds(difference: Difference) -> Estimate:
    assert difference.by_seeds is not None, "a study has several seeds"
    return difference.by_seeds


def _at(difference: Difference, axis: Axis) -> str:
    at = difference.axes[axis]
    if at.difference is None:
        return "not known" if at.how == "unknown" else at.how
    return f"{100 * at.difference:+.1f}"


def _interval(interval: Interval) -> str:
    return f"{100 * interval.value:+.2f} ({100 * interval.low:+.2f} to {100 * interval.high:+.2f})"


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", nargs=2, metavar=("STUDY", "NAME"))
    if kept := parser.parse_args().keep:
        keep(Path(kept[0]), kept[1])
    else:
        PAGE.write_text(page(), encoding="utf-8")
