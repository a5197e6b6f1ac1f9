"""What verdicts beside sampling save: steps of real sampling, real workers and a real journal, with a sampler that tells its
samples as they end and with the same one that does not, in turns.

`python -m benchmarks.verdict_overlap [--answers latex integers] [--workers 1 2] [--threads 1 2] [--beside N] [--turns 7]`

A random model samples 16 × 8 responses of at most 128 tokens (51 on average, 8 % cut off); what is judged by math_verify is an
answer chosen by each response's tokens: the work of a trained model, without one. Medians over the turns: seconds of sampling,
of the verdicts that are left then, and of both; CPU seconds of the trainer. The ratio is the median of those
within a turn.
"""

import argparse
import json
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.graph import Graph, Phase
from prerl_spec.engine.batches.cursor import Cursor
from prerl_spec.engine.batches.journal import Journal
from prerl_spec.engine.batches.source import Rollouts
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.processes.spare_cores import spare_cores
from prerl_spec.engine.processes.streams import Streams
from prerl_spec.engine.run.session import open_session
from prerl_spec.sdk import Codec, Decoding, Generation, OpenSampler, Request

FORMS = {
    "latex": (
        "\\frac{{{n}}}{{7}}",
        "\\sqrt{{2}} \\cdot {n}",
        "1+{n}x+x^2",
        "({n},\\infty)",
        "\\left({n},2\\right)",
        "{n}\\pi",
    ),
    "integers": ("{n}",),
}
SPEC = """
spec = 1
run = {{ name = "overlap", output_dir = "runs" }}
verifier = {{ use = "math_verify", workers = {workers} }}
optimizer = {{ use = "adamw", lr = 1e-3 }}

[model]
use = "from_scratch"
tokenizer = "data:corpus"

[model.config]
model_type = "qwen3"
hidden_size = 128
num_hidden_layers = 4
num_attention_heads = 4
num_key_value_heads = 2
head_dim = 32
intermediate_size = 384
max_position_embeddings = 512
tie_word_embeddings = true

[data]
corpus = {{ use = "arithmetic_chains", part = "corpus" }}
train = {{ use = "jsonl", path = "rows.jsonl" }}

[sampler]
use = "transformers"
group_size = 8
max_new_tokens = 128

[[phases]]
id = "refine"
prompts_per_step = 16
data = "train"
objective = "grpo"
schedule = {{ use = "fixed_steps", steps = 1 }}
"""


@dataclass(frozen=True)
class Turn:
    """Seconds of one step, and CPU seconds of the trainer."""

    sample: float
    verify: float
    trainer: float

    @property
    def both(self) -> float:
        return self.sample + self.verify


class Silent:
    """A sampler that does not tell what has ended."""

    def __init__(self, sampler: OpenSampler) -> None:
        self._sampler = sampler

    def generate(
        self, requests: Sequence[Request], decoding: Decoding, progress: Callable[[int, int], None] | None = None
    ) -> list[list[Generation]]:
        return self._sampler.generate(requests, decoding, progress)

    def sync(self, version: int) -> None:
        self._sampler.sync(version)


class Answering:
    """A codec whose responses are answers, chosen by their tokens; each turn has its own, since math_verify remembers what it
    has parsed."""

    def __init__(self, codec: Codec, forms: Sequence[str]) -> None:
        self._codec = codec
        self._forms = forms
        self.turn = 0

    def decode(self, tokens: Sequence[int]) -> str:
        # Decoding is a part of the work as well.
        number = zlib.crc32(self._codec.decode(tokens).encode())
        answer = self._forms[number % len(self._forms)].format(n=1000 * self.turn + number % 997)
        return f"So it is \\boxed{{{answer}}}."

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codec, name)


class Quiet:
    """A listener that says nothing."""

    def begin(self, graph: Graph) -> None: ...
    def event(self, event: Mapping[str, Any]) -> None: ...
    def tick(self, stage: str, done: int, total: int) -> None: ...
    def end(self, message: str) -> None: ...
    def close(self) -> None: ...


class Bench:
    """Steps of one kind of answers with so many workers."""

    def __init__(self, stack: ExitStack, folder: Path, answers: str, workers: int, beside: int | None) -> None:
        folder.mkdir()
        forms = FORMS[answers]
        rows = [{"question": f"Question {n}?", "answer": forms[n % len(forms)].format(n=n)} for n in range(128)]
        (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        (folder / "spec.toml").write_text(SPEC.format(workers=workers))
        graph = compile_spec(folder / "spec.toml").graph
        self._phase: Phase = graph.phases[0]
        signals = stack.enter_context(Signals())
        session = stack.enter_context(open_session(graph, folder, Ranks.start(), Quiet(), signals))
        self._session = session
        self._codec: Any = Answering(session.policy.codec, forms)
        self._sampler = session.samplers.sampler(self._phase.sampler)
        self._folder = folder
        self._wanted = beside

    def _beside(self) -> int:
        return spare_cores(self._session.ranks.device) if self._wanted is None else self._wanted

    def turn(self, number: int, *, tells: bool) -> Turn:
        self._codec.turn += 1
        seconds = {"sample": 0.0, "verify": 0.0}

        @contextmanager
        def timed(stage: str) -> Iterator[None]:
            begin = time.perf_counter()
            yield
            seconds[stage] += time.perf_counter() - begin

        with tempfile.TemporaryDirectory(dir=self._folder) as journal:
            source = Rollouts(
                self._phase,
                self._session.datasets,
                self._codec,
                Streams(0),
                Journal(Path(journal), writes=True),
                Ranks.start(),
                self._sampler if tells else Silent(self._sampler),
                lambda: self._session.verifiers.asked(beside=self._beside()),
                lambda *_: None,
                nullcontext,
            )
            began = time.process_time()
            source.collect(1, number, Cursor.start(), timed)
            return Turn(**seconds, trainer=time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", nargs="+", choices=list(FORMS), default=list(FORMS))
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--beside", type=int, help="so many workers beside sampling, not one for each free core")
    parser.add_argument("--turns", type=int, default=7)
    arguments = parser.parse_args()
    print(
        f"{len(os.sched_getaffinity(0))} cores; seconds: sampling + verdicts left = both (CPU seconds of the trainer)"
    )
    with tempfile.TemporaryDirectory() as root:
        for answers in arguments.answers:
            for workers in arguments.workers:
                with ExitStack() as stack:
                    bench = Bench(stack, Path(root) / f"{answers}-{workers}", answers, workers, arguments.beside)
                    bench.turn(0, tells=True)
                    for threads in arguments.threads:
                        torch.set_num_threads(threads)
                        compare(bench, f"{answers}, {workers} workers, {threads} threads", arguments.turns)


def compare(bench: Bench, name: str, num_turns: int) -> None:
    """The same steps in both ways, in turns, each first in every second one."""
    turns: dict[bool, list[Turn]] = {True: [], False: []}
    for number in range(1, num_turns + 1):
        for tells in (number % 2 == 0, number % 2 == 1):
            turns[tells].append(bench.turn(number, tells=tells))
    for tells, title in ((False, "after"), (True, "beside")):
        found = {
            what: median(getattr(t, what) for t in turns[tells]) for what in ("sample", "verify", "both", "trainer")
        }
        print(
            f"{name}, {title:6}: {found['sample']:.2f} + {found['verify']:.2f} = {found['both']:.2f}"
            f" ({found['trainer']:.2f})"
        )
    ratios = sorted(a.both / b.both for a, b in zip(turns[True], turns[False], strict=True))
    print(f"{name}, beside / after: {median(ratios):.2f} ({ratios[0]:.2f} – {ratios[-1]:.2f})", flush=True)


if __name__ == "__main__":
    main()
