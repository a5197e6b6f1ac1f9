"""Whether packed log-probabilities in bfloat16 are as near to float32 as those of one sample at a time.

    python benchmarks/gpu/packed_logprobs.py [--shape 0.6B] [--tiny --cpu]

The reference is the model's own logits in float32, one sample after another. Random weights, wide enough that
distributions differ. Exits with 1 if a flat row adds to the rounding of bfloat16, or if the model's samples do not stand in
one here.
Written for one GPU and not run on one yet.
"""

import argparse
import sys
from dataclasses import replace

import numpy as np
import torch
from building import add_trial, device_of, random_model
from facts import machine, show
from shapes import SHAPES, TINY

from prerl_spec.engine.policy.packing import lay_rows
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.needs import Layout
from prerl_spec.types import Segment

HEADER = ("rows", "mean |Δ| nats", "max |Δ| nats")
WIDER = 3.0
"""Factor of the embeddings: logits of unit variance."""
ALLOWED = 1.25
"""Of the mean difference, packed relative to one at a time."""


@torch.no_grad()
def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_trial(parser)
    parser.add_argument("--shape", choices=SHAPES, default="0.6B")
    arguments = parser.parse_args()
    device = device_of(parser, arguments)
    loaded = random_model(TINY if arguments.tiny else SHAPES[arguments.shape], device)
    embeddings: torch.nn.Embedding = loaded.module.get_input_embeddings()  # type: ignore[operator]
    embeddings.weight.mul_(WIDER)
    policy, exact = Policy(loaded, device), Policy(replace(loaded, compute_dtype=torch.float32), device)
    random = np.random.Generator(np.random.Philox(0))
    lengths = (9, 30, 17, 24) if arguments.tiny else (300, 900, 150, 700, 1200, 420, 64, 800)
    texts = [random.integers(0, policy.vocab_size, n).tolist() for n in lengths]
    reference = torch.cat([_own(exact, text) for text in texts])
    found = {
        "one at a time": torch.cat([_ours(policy, [text]) for text in texts]),
        "packed": _ours(policy, texts),
    }
    rows = []
    for name, logp in found.items():
        gap = (logp - reference).abs()
        rows.append((name, float(gap.mean()), float(gap.max())))
    is_sound = policy.arrangement == "flat" and rows[1][1] <= ALLOWED * rows[0][1]
    show(
        {**machine(device), "rows": policy.arrangement, "plain_head": policy.plain_head, "sound": is_sound},
        HEADER,
        rows,
    )
    return int(not is_sound)


def _ours(policy: Policy, texts: list[list[int]]) -> torch.Tensor:
    """Log-probabilities of all tokens but each text's first, text after text."""
    layouts = [Layout((t[0],), (Segment(tuple(t[1:])),)) for t in texts]
    starts = np.cumsum([0, *(len(t) - 1 for t in texts)])[:-1]
    rows = lay_rows(layouts, starts.tolist(), "flat")
    return policy.row_logprobs(rows)[0][torch.from_numpy(np.argsort(rows.index_n)).to(policy.device)]


def _own(policy: Policy, text: list[int]) -> torch.Tensor:
    ids = torch.tensor([text], device=policy.device)
    logits = policy.module(input_ids=ids, use_cache=False).logits[0, :-1].float()
    return logits.log_softmax(-1).gather(-1, ids[0, 1:, None]).squeeze(-1)


if __name__ == "__main__":
    sys.exit(main())
