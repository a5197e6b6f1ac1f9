"""Tokens per second of the embedded sampler with Qwen3's shapes in bfloat16, every response of full length.

    python benchmarks/gpu/embedded_rate.py [--shape 0.6B] [--rows 64 512] [--response 256]
    python benchmarks/gpu/embedded_rate.py --tiny --cpu

Each number of rows is sampled twice, the first time does not count. Written for one GPU and not run on one yet.
"""

import argparse
import time

import numpy as np
import torch
from building import add_trial, device_of, peak_gib, random_model, wait
from facts import machine, show
from prerl_components.samplers.transformers import Transformers
from shapes import SHAPES, TINY

from prerl_spec.sdk import Decoding, Request, SamplerSite

GROUP = 8
HEADER = ("rows", "tokens", "seconds", "tokens/s", "ms a token step", "peak GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_trial(parser)
    parser.add_argument("--shape", choices=SHAPES, default="0.6B")
    parser.add_argument("--rows", type=int, nargs="+", default=[64, 512], help=f"multiples of {GROUP}")
    parser.add_argument("--response", type=int, default=256)
    parser.add_argument("--context", type=int, default=128)
    arguments = parser.parse_args()
    device = device_of(parser, arguments)
    shape = TINY if arguments.tiny else SHAPES[arguments.shape]
    rows, response, context = (
        ([8, 16], 12, 5) if arguments.tiny else (arguments.rows, arguments.response, arguments.context)
    )
    loaded = random_model(shape, device)
    loaded.codec.eos_ids = ()
    loaded.module.eval()
    random = np.random.default_rng(0)
    measured = []
    with Transformers().open(SamplerSite(loaded, str(device), context + response)) as sampler:
        for num_rows in rows:
            requests = [
                Request(
                    tuple(random.integers(0, shape["vocab_size"], context).tolist()),
                    tuple(range(GROUP * i, GROUP * i + GROUP)),
                )
                for i in range(num_rows // GROUP)
            ]
            seconds = 0.0
            for _ in range(2):
                wait(device)
                begin = time.perf_counter()
                drawn = sampler.generate(requests, Decoding(max_new_tokens=response))
                wait(device)
                seconds = time.perf_counter() - begin
            tokens = sum(len(g.tokens) for generations in drawn for g in generations)
            measured.append((num_rows, tokens, seconds, tokens / seconds, 1000 * seconds / response, peak_gib(device)))
    show({**machine(device), "settings": {**vars(arguments), "model": shape}}, HEADER, measured)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
