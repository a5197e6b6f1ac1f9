"""`prerl-spec eval TARGET --tasks A,B`: scores a run, a model folder or a hub model by lm-eval tasks, without a spec."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from prerl_spec.cli.shared.launcher import add_processes, launch, processes_to_start
from prerl_spec.cli.shared.option_values import assignment, names, positive
from prerl_spec.cli.shared.rank_environment import is_main
from prerl_spec.cli.shared.ticker import Ticker


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("target", metavar="RUN|FOLDER|HUB-ID|SPEC", help="a run's newest checkpoint, or a model")
    parser.add_argument("--tasks", required=True, type=names, metavar="A,B", help="names of lm-eval tasks")
    parser.add_argument("--samples", type=positive, metavar="K", help="responses to each question; default: 1")
    parser.add_argument("--data", type=assignment, action="append", metavar="TASK=FILE", help="local rows of a task")
    parser.add_argument("--include", action="append", metavar="DIR", help="a folder of lm-eval YAML files")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N questions")
    parser.add_argument("--temperature", type=float, metavar="T", help="default: the run's; else 1.0; 0 is greedy")
    parser.add_argument("--top-p", type=float, metavar="P", help="default: the run's; else 1.0, off")
    parser.add_argument("--max-new-tokens", type=positive, metavar="M", help="default: the run's; else 1024")
    parser.add_argument("--num-fewshot", type=int, metavar="N", help="worked examples; default: what the task says")
    parser.add_argument("--system", metavar="TEXT", help="system prompt; default: the run's")
    parser.add_argument("--chat", choices=["off"], help="ask without the chat template")
    parser.add_argument("--seed", type=int, metavar="S", help="seed of the responses; default: the run's; else 0")
    add_processes(parser)
    parser.add_argument(
        "--invariant", action="store_true", help="equal scores on any number of processes; default: as the run"
    )
    parser.add_argument(
        "--local-code", action="store_true", help="allow the Python files of a spec's or run's [plugins]"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: RUN/eval, else ./eval-NAME")


def run(arguments: argparse.Namespace) -> int:
    """Prints the scores and writes them with some of the responses."""
    from prerl_spec.compiler.estimates.prerequisites import require_train

    require_train("`prerl-spec eval`")
    from prerl_spec.evaluation.harness.catalogue import check_names
    from prerl_spec.evaluation.targets import find_target

    evaluator = _evaluator(arguments)
    check_names(evaluator.tasks, [Path(folder) for folder in evaluator.include])
    target = find_target(arguments.target, local_code=arguments.local_code)
    if arguments.invariant:
        target = replace(target, invariant=True)
    out = arguments.out if arguments.out is not None else target.out
    if (processes := processes_to_start(arguments.processes, 1)) > 1:
        return launch(arguments.command_line, processes, leave_thread_count=target.invariant)
    from prerl_spec.evaluation.score_target import score_target
    from prerl_spec.evaluation.scores.written import score_table, write_scores

    with Ticker(enabled=is_main()) as ticker:
        scores = score_target(target, evaluator, out, ticker.tick)
    if is_main():
        write_scores(out / "scores.json", scores)
        print(score_table(scores))
        print(f"\nscores: {out / 'scores.json'}\nresponses: {out / 'samples'}")
    return 0


def _evaluator(arguments: argparse.Namespace) -> Any:
    """The `lm_eval` component with what the command line writes. Raises UsageError for a setting that it refuses."""
    from pydantic import ValidationError

    from prerl_spec.errors import UsageError
    from prerl_spec.evaluation.targets import component

    drawn = ("samples", "limit", "temperature", "top_p", "max_new_tokens", "seed")
    settings = {name: getattr(arguments, name) for name in ("tasks", *drawn, "num_fewshot", "system", "chat")}
    settings["include"] = arguments.include
    settings["data"] = dict(arguments.data) if arguments.data else None
    try:
        evaluator = component("evaluator", "lm_eval", {k: v for k, v in settings.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"--{option}: {first['msg']}", hint="prerl-spec eval --help") from error
    if unasked := sorted(set(evaluator.data) - set(evaluator.tasks)):
        raise UsageError(
            f"--data gives rows for `{unasked[0]}`, which --tasks does not name", hint="name it in --tasks"
        )
    return evaluator
