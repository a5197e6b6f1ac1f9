"""What a seed for every sample costs vLLM: tokens a second with one each, as the samplers ask, and with none.

    python -m benchmarks.vllm_seeds                          # rows 64, 256, 512; vocabularies 259 and 32,768

Needs vLLM's CPU build (docs/vllm.md). Its model runner draws the seeds of a step one by one; GPUs use another one unless told
otherwise. One engine a vocabulary, turns alternate; CPU seconds of this process, medians.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prerl_components.samplers.shared.vllm_parameters import sampling_arguments
from prerl_components.samplers.shared.weight_files import write_shell
from prerl_components.samplers.vllm_engine.calls import _run
from prerl_components.samplers.vllm_engine.engine import running_engine
from prerl_components.samplers.vllm_engine.sampler import engine_arguments

from prerl_spec.sdk import Decoding, SamplerSite
from tests.components.vllm_models import vllm_model

NEW_TOKENS = 64


def seconds(llm: Any, rows: int, *, seeded: bool, first: int) -> float:
    """CPU seconds for `rows` samples of NEW_TOKENS tokens each."""
    from vllm import SamplingParams

    parameters = [
        {**sampling_arguments(Decoding(max_new_tokens=NEW_TOKENS), first + row, ()), "flat_logprobs": True}
        for row in range(rows)
    ]
    asked = [SamplingParams(**(p if seeded else {**p, "seed": None}), detokenize=False) for p in parameters]
    begin = time.process_time()
    outputs = _run(llm, [(5, 6, 7)] * rows, asked, None, None)
    spent = time.process_time() - begin
    assert all(len(one.outputs[0].token_ids) == NEW_TOKENS for one in outputs)
    return spent


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[64, 256, 512])
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[259, 32768])
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args(arguments)
    print("| vocabulary | rows | tokens/s, seeds | tokens/s, none | ratio | ms of a token step for the seeds |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for vocabulary in chosen.vocabularies:
        loaded = vllm_model(vocab_size=vocabulary)
        with TemporaryDirectory() as folder:
            write_shell(Path(folder), loaded)
            site = SamplerSite(loaded, "cpu", 512)
            own = {**engine_arguments(site, Path(folder), None), "max_num_seqs": max(chosen.rows)}
            with running_engine(own, Path(folder) / "log") as llm:
                for rows in chosen.rows:
                    seconds(llm, rows, seeded=True, first=0)
                    spent: dict[bool, list[float]] = {True: [], False: []}
                    for turn in range(chosen.rounds):
                        for seeded in (True, False):
                            spent[seeded].append(seconds(llm, rows, seeded=seeded, first=1000 * turn))
                    with_seeds, without = (statistics.median(spent[seeded]) for seeded in (True, False))
                    rates = [rows * NEW_TOKENS / one for one in (with_seeds, without)]
                    step = 1000 * (with_seeds - without) / NEW_TOKENS
                    print(
                        f"| {vocabulary:,} | {rows} | {rates[0]:,.0f} | {rates[1]:,.0f} | {with_seeds / without:.3f} "
                        f"| {step:.2f} |",
                        flush=True,
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
