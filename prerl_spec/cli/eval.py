"""`prerl-spec eval TARGET --tasks A,B`: scores a run, a model folder or a hub model by lm-eval tasks, without a spec."""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prerl_spec.cli.launch import add_processes, launch, processes_to_start

if TYPE_CHECKING:
    from prerl_spec.evaluation.targets import Target
    from prerl_spec.types import Score


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    number = _positive
    parser.add_argument("target", metavar="RUN|FOLDER|HUB-ID|SPEC", help="a run's newest checkpoint, or a model")
    parser.add_argument("--tasks", required=True, type=_names, metavar="A,B", help="names of lm-eval tasks")
    parser.add_argument("--samples", type=number, metavar="K", help="responses to each question; default: 1")
    parser.add_argument("--data", type=_assignment, action="append", metavar="TASK=FILE", help="local rows of a task")
    parser.add_argument("--include", action="append", metavar="DIR", help="a folder of lm-eval YAML files")
    parser.add_argument("--limit", type=number, metavar="N", help="only the first N questions")
    parser.add_argument("--temperature", type=float, metavar="T", help="default: the run's; else 1.0; 0 is greedy")
    parser.add_argument("--top-p", type=float, metavar="P", help="default: the run's; else 1.0, off")
    parser.add_argument("--max-new-tokens", type=number, metavar="M", help="default: the run's; else 1024")
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
    from prerl_spec.compiler.requirements import require_train

    require_train("`prerl-spec eval`")
    from prerl_spec.evaluation.catalogue import check_names
    from prerl_spec.evaluation.targets import find_target

    evaluator = _evaluator(arguments)
    check_names(evaluator.tasks, [Path(folder) for folder in evaluator.include])
    target = find_target(arguments.target, local_code=arguments.local_code)
    if arguments.invariant:
        target = replace(target, invariant=True)
    out = arguments.out if arguments.out is not None else target.out
    if (processes := processes_to_start(arguments.processes, 1)) > 1:
        return launch(arguments.command_line, processes, one_thread=target.invariant)
    scores, is_main = _score(target, evaluator, out)
    if is_main:
        from prerl_spec.evaluation.written import score_table, write_scores

        write_scores(out / "scores.json", scores)
        print(score_table(scores))
        print(f"\nscores: {out / 'scores.json'}\nresponses: {out / 'samples'}")
    return 0


def _evaluator(arguments: argparse.Namespace) -> Any:
    """The `lm_eval` component with what the command line writes. Raises UsageError for a setting that it refuses."""
    from pydantic import ValidationError

    from prerl_spec.errors import UsageError
    from prerl_spec.evaluation.targets import component

    names = ("tasks", "samples", "limit", "temperature", "top_p", "max_new_tokens", "num_fewshot", "system", "chat")
    settings = {name: getattr(arguments, name) for name in (*names, "seed")}
    settings["include"] = arguments.include
    settings["data"] = dict(arguments.data) if arguments.data else None
    try:
        evaluator = component("evaluator", "lm_eval", {k: v for k, v in settings.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"--{option}: {first['msg']}", mend="prerl-spec eval --help") from error
    if unasked := sorted(set(evaluator.data) - set(evaluator.tasks)):
        raise UsageError(
            f"--data gives rows for `{unasked[0]}`, which --tasks does not name", mend="name it in --tasks"
        )
    return evaluator


def _score(target: "Target", evaluator: Any, out: Path) -> tuple[list["Score"], bool]:
    """The scores, and whether this process is the one that tells them."""
    from prerl_spec.cli.ticker import Ticker
    from prerl_spec.engine.division import fixed_threads
    from prerl_spec.engine.evaluation_site import build_site
    from prerl_spec.engine.policy import Policy
    from prerl_spec.engine.ranks import Ranks
    from prerl_spec.engine.source import decoding_of
    from prerl_spec.engine.weights import weights_hash
    from prerl_spec.evaluation.targets import component
    from prerl_spec.registry.kinds import ModelSite, SamplerSite

    ranks = Ranks.start(invariant=target.invariant)
    with ranks.losses_told(), ExitStack() as stack:
        if target.invariant:
            stack.enter_context(fixed_threads())
        site = ModelSite(seed=target.seed, device=str(ranks.device), tokenizer_folder=TokenizerFolder(target, out))
        loaded = target.model.build(site)
        policy = Policy(loaded, ranks.device)
        sampler = component("sampler", "transformers", target.sampling)
        ticker = stack.enter_context(Ticker(enabled=ranks.is_main))
        place = SamplerSite(loaded, str(ranks.device), policy.max_length, invariant=target.invariant)
        drawing = stack.enter_context(sampler.open(place))
        evaluation = build_site(
            policy,
            drawing,
            ranks=ranks,
            phase=target.phase,
            position=target,
            seed=target.seed,
            decoding=decoding_of(sampler),
            rendering=target.rendering,
            verifier=target.verifier,
            data={},
            data_verifier={},
            folder=out,
            weights_hash=weights_hash(policy.module),
            judge=Judges(stack),
            tick=ticker.tick,
        )
        return evaluator.score(evaluation), ranks.is_main


class Judges:
    """Worker pools of verifiers, each started when it is first asked."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._pools: dict[int, Any] = {}

    def __call__(self, verifier: Any, evidence: Sequence[tuple[str, str, bool]]) -> list[Any]:
        from prerl_spec.engine.verification import VerifierPool

        if not evidence:
            return []
        if id(verifier) not in self._pools:
            entry = f"{type(verifier).__module__}:{type(verifier).__qualname__}"
            self._pools[id(verifier)] = self._stack.enter_context(VerifierPool(verifier, entry_value=entry))
        return list(self._pools[id(verifier)].verify(evidence))


class TokenizerFolder:
    """Writes the tokenizer that a data set of the spec brings."""

    def __init__(self, target: "Target", out: Path) -> None:
        self._target = target
        self._out = out

    def __call__(self, name: str) -> Path:
        from prerl_spec.errors import EnvironmentUnmet
        from prerl_spec.evaluation.cache import write_whole

        brings = getattr(self._target.data.get(name), "tokenizer_files", lambda: None)
        files = brings()
        if files is None:
            raise EnvironmentUnmet(f"data.{name} brings no tokenizer", mend="name a folder or hub model as tokenizer")
        folder = self._out / "tokenizers" / name
        for file, content in files.items():
            write_whole(folder / file, content)
        return folder


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _assignment(text: str) -> tuple[str, str]:
    name, sign, file = text.partition("=")
    if not (name and sign and file):
        raise argparse.ArgumentTypeError(f"{text!r} is not TASK=FILE")
    return name, file


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)
