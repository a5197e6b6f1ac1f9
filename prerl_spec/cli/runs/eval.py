"""`prerl-spec eval TARGET --tasks A,B`: scores a run, a model folder or a hub model on lm-eval tasks, without a spec."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from prerl_spec.cli.shared.launcher import add_processes, launch, processes_to_start
from prerl_spec.cli.shared.option_values import assignment, date, file_path, names, positive
from prerl_spec.cli.shared.ticker import Ticker
from prerl_spec.process.rank_environment import is_main, reports_findings


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument(
        "target",
        metavar="RUN|FOLDER|HUB-ID|SPEC",
        help="a run (its newest checkpoint is scored), a model, or a spec (the model that it begins with)",
    )
    parser.add_argument(
        "--tasks", required=True, type=names, metavar="A,B", help="comma-separated names of lm-eval tasks"
    )
    parser.add_argument("--samples", type=positive, metavar="K", help="responses per question; default: 1")
    parser.add_argument(
        "--data", type=assignment, action="append", metavar="TASK=FILE", help="local rows for a task, as JSON Lines"
    )
    parser.add_argument("--include", action="append", metavar="DIR", help="a folder with further lm-eval YAML files")
    parser.add_argument("--limit", type=positive, metavar="N", help="score only the first N questions")
    parser.add_argument(
        "--temperature", type=float, metavar="T", help="sampling temperature, 0 is greedy; default: the run's, else 1.0"
    )
    parser.add_argument("--top-p", type=float, metavar="P", help="nucleus sampling; default: the run's, else 1.0 (off)")
    parser.add_argument(
        "--max-new-tokens",
        type=positive,
        metavar="M",
        help="tokens per response at most; default: the run's, else 1024",
    )
    parser.add_argument("--num-fewshot", type=int, metavar="N", help="few-shot examples; default: the task's")
    parser.add_argument("--system", metavar="TEXT", help="system prompt; default: the run's")
    parser.add_argument("--chat", choices=["off"], help="do not apply the chat template")
    parser.add_argument("--seed", type=int, metavar="S", help="sampling seed; default: the run's, else 0")
    parser.add_argument(
        "--cut-off",
        type=date,
        metavar="DATE",
        help="when the model's own training data end, as YYYY-MM: tasks published by then may have been in them",
    )
    add_processes(parser)
    parser.add_argument(
        "--invariant",
        action="store_true",
        help="make scores independent of the number of processes; default: as in the run",
    )
    parser.add_argument(
        "--local-code",
        action="store_true",
        help="allow executing the Python files of [plugins], and those that the tasks of an include folder run",
    )
    parser.add_argument(
        "--out", type=file_path, metavar="DIR", help="output folder; default: RUN/eval, else ./eval-NAME"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints the scores and writes them, with the responses, to the output folder."""
    from prerl_spec.compiler.estimates.prerequisites import require_train

    require_train("`prerl-spec eval`")
    from prerl_spec.evaluation.harness.catalogue import check_names
    from prerl_spec.evaluation.targets import find_target
    from prerl_spec.situations import require_writable, writing

    evaluator = _evaluator(arguments)
    if not arguments.local_code:
        _refuse_code(evaluator)
    check_names(evaluator.tasks, [Path(folder) for folder in evaluator.include])
    target = find_target(arguments.target, local_code=arguments.local_code)
    if reports_findings():
        for damaged in target.passed_over:
            print(f"warning: {damaged}: scoring step {target.global_step}", file=sys.stderr)
    if arguments.invariant:
        target = replace(target, invariant=True)
    out = arguments.out if arguments.out is not None else target.out
    if is_main():
        require_writable(out, "choose another folder with --out")
    if (processes := processes_to_start(arguments.processes, 1)) > 1:
        return launch(arguments.command_line, processes, leave_thread_count=target.invariant)
    from prerl_spec.evaluation.contamination import stamp_folder
    from prerl_spec.evaluation.score_target import score_target
    from prerl_spec.evaluation.scores.written import score_table, write_scores

    with Ticker(enabled=is_main()) as ticker:
        scores = score_target(target, evaluator, out, ticker.tick)
    if is_main():
        write_scores(out / "scores.json", scores)
        print(score_table(scores))
        with writing(out, "choose another --out"):
            stamps = stamp_folder(out, evaluator, target, arguments.cut_off)
        if stamps:
            print("\ncontamination:", *(stamp.words() for stamp in stamps), sep="\n  ")
        print(f"\nscores: {out / 'scores.json'}\nresponses: {out / 'samples'}\nby question: {out / 'questions'}")
    return 0


def _refuse_code(evaluator: Any) -> None:
    """Raises EnvironmentUnmet for a folder of --include whose YAML files run code."""
    from prerl_spec.codes import Code
    from prerl_spec.errors import EnvironmentUnmet

    for code in evaluator.local_code():
        raise EnvironmentUnmet(f"{Code.PLUGIN_IMPORT_FAILED}: --include: {code.what}", hint="--local-code allows it")


def _evaluator(arguments: argparse.Namespace) -> Any:
    """The `lm_eval` component with the settings of the command line. Raises UsageError for an invalid setting."""
    from pydantic import ValidationError

    from prerl_spec.errors import UsageError
    from prerl_spec.evaluation.targets import component

    sampling = ("samples", "limit", "temperature", "top_p", "max_new_tokens", "seed")
    settings = {name: getattr(arguments, name) for name in ("tasks", *sampling, "num_fewshot", "system", "chat")}
    settings["include"] = arguments.include and [os.path.expanduser(folder) for folder in arguments.include]
    settings["data"] = dict(arguments.data) if arguments.data else None
    try:
        evaluator = component("evaluator", "lm_eval", {k: v for k, v in settings.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"--{option}: {first['msg']}", hint="prerl-spec eval --help") from error
    if unasked := sorted(set(evaluator.data) - set(evaluator.tasks)):
        raise UsageError(f"--data names task `{unasked[0]}`, which is not in --tasks", hint="add it to --tasks")
    return evaluator
