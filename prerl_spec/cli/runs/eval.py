"""`prerl-spec eval TARGET… --tasks A,B`: scores runs, model folders or hub models on lm-eval tasks, without a spec."""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

from prerl_spec.cli.shared.launcher import add_processes, launch, processes_to_start
from prerl_spec.cli.shared.option_values import assignment, date, engine_argument, file_path, names, positive, positives
from prerl_spec.cli.shared.ticker import Ticker
from prerl_spec.errors import UsageError
from prerl_spec.process.rank_environment import is_main, reports_findings

FORMATS = ("text", "csv", "markdown", "latex", "json")


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument(
        "targets",
        nargs="+",
        metavar="RUN|FOLDER|HUB-ID|SPEC",
        help="a run (its newest checkpoint is scored), a model, or a spec (the model that it begins with); several are scored "
        "one after the other, each into a subfolder of --out",
    )
    parser.add_argument(
        "--tasks",
        type=names,
        metavar="A,B",
        help="comma-separated names of tasks; needed without --like, whose run names them",
    )
    parser.add_argument(
        "--like",
        metavar="RUN",
        help="score as this run, or spec, scores: its evaluator's settings, seed, prompts and verifier, for every model; "
        "options override them",
    )
    _add_sampling(parser)
    parser.add_argument(
        "--data",
        type=assignment,
        action="append",
        metavar="TASK=FILE",
        help="local rows for a task, as JSON Lines; TASK:fewshot=FILE for those of its few-shot examples",
    )
    parser.add_argument("--include", action="append", metavar="DIR", help="a folder with further lm-eval YAML files")
    parser.add_argument("--limit", type=positive, metavar="N", help="score only the first N questions")
    parser.add_argument("--num-fewshot", type=int, metavar="N", help="few-shot examples; default: the task's")
    parser.add_argument("--system", metavar="TEXT", help="system prompt; default: the run's")
    parser.add_argument("--chat", choices=["off"], help="do not apply the chat template")
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
        "--out",
        type=file_path,
        metavar="DIR",
        help="output folder; default: RUN/eval, else ./eval-NAME, ./eval-models for several models. The same command goes on "
        "in it after an interrupt",
    )
    parser.add_argument(
        "--cut-off",
        type=date,
        metavar="DATE",
        help="until when the models' pre-training data was collected (2024-06): says which benchmarks were published before",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="form of the table on stdout; default: text")
    parser.add_argument(
        "--out-table",
        type=file_path,
        metavar="FILE",
        help="write the table as well, in the form of the file's ending: .txt, .csv, .md, .tex or .json",
    )


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--samples", type=positive, metavar="N", help="responses per question; default: 1")
    parser.add_argument(
        "--k", type=positives, metavar="K,K", help="report pass@k for each of these k ≤ N; default: 1 and N"
    )
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help="set decoding and samples as off, task, greedy, open-r1, prerl or qwen3-thinking has them; other options override "
        "it; default: off",
    )
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
    parser.add_argument("--seed", type=int, metavar="S", help="sampling seed; default: the run's, else 0")
    parser.add_argument(
        "--sampler",
        default="transformers",
        metavar="NAME",
        help="what draws the responses: transformers (default), vllm, vllm_server, or another that is installed",
    )
    parser.add_argument(
        "--url", action="append", default=[], metavar="URL", help="address of a server of --sampler vllm_server"
    )
    parser.add_argument(
        "--key-from",
        metavar="NAME",
        help="environment variable with the servers' API key; default: that of `serve` here",
    )
    parser.add_argument(
        "--engine",
        type=engine_argument,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an argument of the sampler's engine, passed through unchanged",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints the scores and writes them, with the responses, to the output folder."""
    from prerl_spec.compiler.estimates.prerequisites import require_train

    require_train("`prerl-spec eval`")
    from prerl_spec.cli.runs.eval_request import evaluator_of, require_tasks
    from prerl_spec.evaluation.like import like_run

    _require_table(arguments.out_table)
    like = (
        None if arguments.like is None else like_run(arguments.like, arguments.tasks, local_code=arguments.local_code)
    )
    evaluator = evaluator_of(arguments, like)
    require_tasks(evaluator)
    # Torch comes with the models, and takes seconds: what is mistyped is refused before.
    from prerl_spec.cli.runs.eval_models import models_of, require_room
    from prerl_spec.evaluation.model_folders import require_own
    from prerl_spec.evaluation.samplers import require_sampler
    from prerl_spec.situations import require_writable

    models = models_of(arguments, like)
    require_room(evaluator, models)
    if reports_findings():
        for model in models:
            for damaged in model.target.passed_over:
                print(f"warning: {damaged}: scoring step {model.target.global_step}", file=sys.stderr)
    require_sampler(models[0].sampler)
    if is_main():
        if len(models) > 1:
            require_own(models[0].folder.parent, {m.name: t for m, t in zip(models, arguments.targets, strict=True)})
        for model in models:
            require_writable(model.folder, "choose another folder with --out")
        _say_sampling(evaluator, models)
    if (processes := processes_to_start(arguments.processes, 1)) > 1:
        invariant = any(model.target.invariant for model in models)
        return launch(arguments.command_line, processes, leave_thread_count=invariant)
    return _score(arguments, models, evaluator)


def _score(arguments: argparse.Namespace, models: Any, evaluator: Any) -> int:
    from prerl_spec.cli.runs.eval_remarks import advice
    from prerl_spec.evaluation.contamination import Stamp, stamp_folder
    from prerl_spec.evaluation.score_target import score_targets
    from prerl_spec.evaluation.scores.written import write_scores
    from prerl_spec.evaluation.targets import Asked
    from prerl_spec.report.tables.score_tables import ScoredModel
    from prerl_spec.situations import writing
    from prerl_spec.types import Score

    done: list[ScoredModel] = []
    stamps: dict[str, list[Stamp]] = {}

    def tick(ticker: Ticker, model: Asked, stage: str, at: int, of: int) -> None:
        ticker.tick(f"{model.name}: {stage}" if len(models) > 1 else stage, at, of)

    def scored(model: Asked, scores: list[Score]) -> None:
        write_scores(model.folder / "scores.json", scores)
        with writing(model.folder, "choose another --out"):
            stamps[model.name] = stamp_folder(model.folder, evaluator, model.target, arguments.cut_off)
        done.append(ScoredModel(model.name, arguments.targets[len(done)], str(model.folder), tuple(scores)))

    if is_main() and len(models) > 1:
        _index(models, arguments.targets)
    with Ticker(enabled=is_main(), lines=True) as ticker:
        score_targets(models, evaluator, partial(tick, ticker), scored)
    if is_main():
        _print_table(done, arguments.format, arguments.out_table)
        beside = sys.stdout if arguments.format == "text" else sys.stderr
        if any(stamps.values()):
            own = [(f"{name}: " if len(models) > 1 else "", found) for name, found in stamps.items()]
            lines = (f"{name}{stamp.words()}" for name, found in own for stamp in found)
            print("\ncontamination:", *lines, sep="\n  ", file=beside)
        _print_places(done, beside)
        for line in advice(done):
            print(f"note: {line}", file=sys.stderr)
    return 0


def _say_sampling(evaluator: Any, models: Any) -> None:
    """Says on stderr how each task is sampled, and where its source samples otherwise; once for models sampled alike."""
    from prerl_spec.cli.runs.eval_remarks import equal_responses, noted, unlike_seeds
    from prerl_spec.compiler.planning.evaluation_plan import task_plan
    from prerl_spec.compiler.render.render_evaluation import render_tasks
    from prerl_spec.engine.batches.source import decoding_of

    alike: dict[str, list[str]] = {}
    warnings: dict[str, None] = {}
    for model in models:
        draws = evaluator.task_draws(decoding_of(model.sampler.component))
        warnings |= dict.fromkeys(equal_responses(draws))
        chat = model.target.rendering.chat if evaluator.chat is None else evaluator.chat
        told = [noted(draw, chat, model.target.model.settings()) for draw in draws]
        alike.setdefault("\n".join(render_tasks([task_plan(draw) for draw in told])), []).append(model.name)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for remark in unlike_seeds(evaluator, models):
        print(f"note: {remark}", file=sys.stderr)
    for words, of in alike.items():
        print(words if len(alike) == 1 else f"{', '.join(of)}:\n{words}", file=sys.stderr)


def _index(models: Any, targets: list[str]) -> None:
    from prerl_spec.evaluation.model_folders import INDEX, write_index
    from prerl_spec.situations import writing

    out = models[0].folder.parent
    with writing(out / INDEX, "choose another folder with --out"):
        write_index(out, {model.name: target for model, target in zip(models, targets, strict=True)})


def _require_table(file: Path | None) -> None:
    """Raises UsageError for a table's file whose form is not known, before anything is scored."""
    from prerl_spec.report.tables.score_tables import ENDINGS, form_of_file
    from prerl_spec.situations import require_writable

    if file is None:
        return
    if form_of_file(file) is None:
        raise UsageError(f"--out-table {file}: the ending names no form", hint=f"choose one of {', '.join(ENDINGS)}")
    require_writable(file.absolute().parent, "choose another --out-table")


def _print_table(models: Any, form: str, file: Path | None) -> None:
    from prerl_spec.cli.shared.diagnostics import print_results
    from prerl_spec.report.tables.score_tables import FORMS, form_of_file
    from prerl_spec.situations import writing
    from prerl_spec.storage.disk import write_whole

    print_results(FORMS[form](models))
    if file is not None:
        as_form = form_of_file(file)
        assert as_form is not None, "looked at before"
        with writing(file, "choose another --out-table"):
            write_whole(file, as_form(models).rstrip("\n") + "\n")


def _print_places(models: Any, stream: Any) -> None:
    """Where the scores are: on stdout below a table for people, else on stderr."""
    from prerl_spec.report.tables.score_tables import shown_scores

    folders = [Path(model.folder) for model in models]
    hidden = (score.metric for m in models for score in m.scores if score not in shown_scores(m.scores))
    left_out = dict.fromkeys(metric for metric in hidden if not metric.startswith("pass@1"))
    if len(folders) == 1:
        (out,) = folders
        words = f"scores: {out / 'scores.json'}\nresponses: {out / 'samples'}\nby question: {out / 'questions'}"
    else:
        words = f"scores, responses and questions: a folder a model in {folders[0].parent}"
    if left_out:
        words += f"\nalso in scores.json: {', '.join(left_out)}"
    print(f"\n{words}", file=stream)
