"""Writes docs/harness-agreement.md from what benchmarks/harness_agreement.py has measured.

`PYTHONPATH=.:components python docs/write_harness_agreement.py` brings the page up to date; a test fails while it is not.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.evaluation.agreement.kinds import ALL, GROUP, GROUPED, KINDS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "harness-agreement.md"
MEASURED = ROOT / "tests" / "evaluation" / "agreement" / "measured.json"
HEAD = """# Agreement with `lm_eval --model hf`

{kinds} tasks of the kinds that lm-eval {lm_eval} has go through the stock harness (`lm_eval --model hf`, transformers
{transformers}, batch size 1, `softmax_dtype=float64`) and through `prerl-spec eval --temperature 0`, on the same rows, greedy,
in float32 on CPU. Compared are every request's answer (a response's text; the log-likelihood of a choice, and whether greedy
decoding would write it; the log-likelihood of a page), every question's value of every metric, and every score; differences
are the largest, in nats, and relative for scores above 1. The log-likelihood of a page has the rounding of each of its
tokens, up to 1e-6 nats in a float32 forward: it is held at that times its length.
[The tasks](../tests/evaluation/agreement/kinds.py) are modelled on those named in the table, with rows of their own.

`benchmarks/harness_agreement.py` measures, `docs/write_harness_agreement.py` writes this page, and a test holds four of
the kinds at 1e-4 nats (the slow suite all of them).

"""
TABLE = """
## {model}

"""
TASKS = ("task", "like", "kind")
HEADING = (
    *("task", "responses equal", "greedy flags equal", "log-likelihoods differ by", "rolling ones by"),
    *("values of questions equal", "scores differ by"),
)
OF_GROUP = ("mmlu", f"a group: {' and '.join(f'`{name}`' for name in GROUPED)} once more, asked for by one name")
TAIL = """
## What is the same by construction

- A question without a context is scored behind BOS, and behind EOS where the tokenizer has no BOS; so is the first window of a
  rolling log-likelihood. A continuation that begins with that token is scored from its second token on.
- Rolling windows are as long as the model's context, and do not overlap but for one token of context.
- A tokenizer's own BOS is put in front of a plain text once.
- Few-shot examples are drawn with lm-eval's seed, 1234 (`drawn_examples`); the other tasks of the tables take the first rows.

## Where we differ on purpose

- Nothing is truncated. `HFLM` cuts a prompt that is too long from the left and warns; here the evaluation ends with the
  task, the question and both lengths.
- `HFLM` puts a tokenizer's own BOS in front of a text that a chat template has rendered without it; here such a text is what
  the template rendered, as in training.
- Without `--protocol task`, decoding is that of the command line or of the run, not that of a task's `generation_kwargs`; of
  these only `until` counts.
- Of a group its tasks are scored, not the group's own mean.
- Scores have intervals over questions, and a task may be sampled any number of times: avg@n and pass@k of its own metrics,
  where lm-eval's default filter keeps the first response.
"""


def page() -> str:
    """The whole page, as it should stand in docs/harness-agreement.md."""
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    versions = {name.replace("-", "_"): text for name, text in measured["versions"].items()}
    told = {name: (kind.like, kind.what) for name, kind in KINDS.items()} | {GROUP: OF_GROUP}
    text = HEAD.format(kinds=len(ALL), **versions)
    text += _table(TASKS, ((f"`{name}`", *told[name]) for name in ALL))
    for model, found in measured["models"].items():
        text += TABLE.format(model=model) + _table(HEADING, map(_cells, found["tasks"])) + _sum(found["tasks"])
    return text + TAIL


def _cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        *(f"`{one['task']}`", _share(one["texts"]), _share(one["greedy"])),
        *(_gap(one["logp_gap"]), _gap(one["rolling_gap"])),
        *(_share(one["values"]), _gap(one["score_gap"])),
    )


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_line(heading), _line("---" for _ in heading), *map(_line, rows)]
    return "".join(f"{line}\n" for line in lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _sum(tasks: Sequence[Mapping[str, Any]]) -> str:
    texts, greedy, values = (_total(one[name] for one in tasks) for name in ("texts", "greedy", "values"))
    return f"\nTogether: {texts} responses, {greedy} flags, {values} values are equal.\n"


def _total(pairs: Iterable[Sequence[int]]) -> str:
    found = list(pairs)
    return f"{sum(equal for equal, _ in found)} of {sum(of for _, of in found)}"


def _share(pair: Sequence[int]) -> str:
    return f"{pair[0]} of {pair[1]}" if pair[1] else "–"


def _gap(gap: float | None) -> str:
    """A bound with one digit: 3.1e-6 is `≤ 4e-06`."""
    if gap is None:
        return "–"
    if gap == 0:
        return "0"
    digit, exponent = f"{gap:.6e}".split("e")
    leading = int(float(digit)) + (float(digit) > int(float(digit)))
    return f"≤ {leading}e{int(exponent):d}" if leading < 10 else f"≤ 1e{int(exponent) + 1:d}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
