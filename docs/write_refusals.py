"""Writes docs/refusals.md from the table in tests/refusals, and the table of cards in docs/planning.md.

`python docs/write_refusals.py` brings both up to date; tests/refusals/test_pages.py fails while they are not.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "refusals.md"
PLANNING = ROOT / "docs" / "planning.md"
BEGIN, END = "<!-- cards -->\n", "<!-- /cards -->"
HEAD = """# What `run` refuses before its first step

Written by `python docs/write_refusals.py` from the table in [tests/refusals](../tests/refusals/table.py); the test there
bends a spec that could start by each row, and runs `plan --here` and `run`: both end with the same exit code and say the
same, the page of `plan` does not say that a run can start, and not a file is left behind.

{number} refusals. The words are those that both commands contain: of a diagnostic, with its code, or of an unmet need, which
`plan` lists as `NOT MET`.

| refused | exit | in the words of both |
|---|---|---|
"""
TAIL = """
Plain `plan` says the same but for what it does not ask: whether a server answers, and rows behind the first 64 of a data set
(their lengths, questions, documents and gold answers). It then says "a run can start here if …".

Documents are refused only where the steps draw them. A phase that may end sooner counts with all steps that it may take, and
every document counts where only the run knows where it begins: behind another run's checkpoint, a phase without a maximum of
steps, or sampling from the same rows.

## What only a run finds

- **Loading a model**: values of a configuration that its class rejects (keys that it does not have are found), weights that
  are not those of the architecture (comparing names takes the model's class: seconds), weights in 16 bits where float32 is
  trained, a layout that `activation_checkpointing` or `fsdp2` finds no decoder layers in. Of a model on the hub also keys of
  `load`, and a type of model that the installed transformers does not have.
- **Loading a task of lm-eval**: its own code, what that makes of its rows, and a column that its local rows, or some of them,
  lack where a template does not print it of every row as it is: in a branch, a loop, a list, an argument, behind a filter.
- **A benchmark's question that does not fit beside its response**: its prompt is written by lm-eval. (That the response alone
  fills the context is found.)
- **A metric of `until_plateau` that a component could give and does not**: one of a plugin that says no `metric_names`, or one
  that is not measured in `patience` steps. It ends the run with exit code 5, and the folder stays.
- **A machine that changes**: memory that is taken, a disk that fills, a server that ends between `plan` and `run`.

Such a run ends with the exit code of its class (1 to 4), and leaves nothing either, unless it has computed something by then:
a response, an event, a checkpoint. Scoring the model as `base` is computing.

## Where a refusal comes from

A component tells what it refuses of its files and names by [`refusals()`](reference.md), beside `prerequisites()`: `plan` and
`run` ask it before anything heavy is loaded, a plugin's like a built-in one's; of settings that it hands to another library, by
[`mistakes()`](reference.md), which become errors of the spec. Lengths, vocabularies and prefixes that do not
fit the model are found by [planning/fits.py](../prerl_spec/compiler/planning/fits.py), metrics that nothing gives by
[rules/metric_rules.py](../prerl_spec/compiler/rules/metric_rules.py), rows by
[data_check/foreseen.py](../prerl_spec/engine/data_check/foreseen.py) with the run's own checks.
"""


def refusals_page() -> str:
    from tests.refusals.table import TABLE

    rows = "".join(f"| {row.what} | {row.code} | {_cell(row.says)} |\n" for row in TABLE)
    return HEAD.format(number=len(TABLE)) + rows + TAIL


def _cell(text: str) -> str:
    """As code, which may hold backticks itself."""
    fence = "``" if "`" in text else "`"
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text.replace('|', chr(92) + '|')}{pad}{fence}"


def planning_page() -> str:
    from prerl_spec.compiler.estimates.cards import CARDS

    head, _, rest = PLANNING.read_text(encoding="utf-8").partition(BEGIN)
    tail = rest.partition(END)[2]
    rows = "".join(
        f"| {name} | {card.memory_gib:g} | {f'{card.bf16_tflops:,.0f}' if card.bf16_tflops else '–'} | "
        f"{card.bandwidth_gb_s:,.0f} |\n"
        for name, card in CARDS.items()
    )
    table = f"| card | memory, GiB | bfloat16, TFLOP/s | bandwidth, GB/s |\n|---|---|---|---|\n{rows}"
    return f"{head}{BEGIN}{table}{END}{tail}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(refusals_page(), encoding="utf-8")
    PLANNING.write_text(planning_page(), encoding="utf-8")
