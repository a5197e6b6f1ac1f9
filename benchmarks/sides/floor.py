"""What any implementation has to compute: `python floor.py CONFIG.json`.

Training: forward and backward of the same responses by the bare model, one sample a row, cross-entropy over the response's
tokens. Decoding: the matrix products of every token step over the rows that have not ended, prompts once; no norms, no
softmax, no draw.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from transformers import AutoModelForCausalLM
from turns import Turns

LOGITS_AT_ONCE = 1 << 27
"""Samples of a row batch: as many as have logits of half a GiB together, at least eight."""


def train(model: Any, groups: list[dict[str, Any]]) -> None:
    """One forward and backward of every response, sorted by length so that little is padded."""
    samples = [(g["context"], r) for g in groups for r in g["responses"]]
    samples.sort(key=lambda sample: len(sample[0]) + len(sample[1]))
    tokens = sum(len(r) for _, r in samples)
    longest = max(len(r) for _, r in samples)
    even = len({len(c) + len(r) for c, r in samples}) == 1
    at_once = max(8, LOGITS_AT_ONCE // (model.config.vocab_size * longest)) if even else 8
    for start in range(0, len(samples), at_once):
        rows = samples[start : start + at_once]
        width = max(len(c) + len(r) for c, r in rows) - 1
        ids = torch.tensor([[*c, *r[:-1]] + [0] * (width + 1 - len(c) - len(r)) for c, r in rows])
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
        places = torch.tensor([b * width + len(c) - 1 + t for b, (c, r) in enumerate(rows) for t in range(len(r))])
        logits = model.lm_head(hidden.flatten(0, 1)[places])
        loss = cross_entropy(logits, torch.tensor([t for _, r in rows for t in r]), reduction="sum") / tokens
        loss.backward()
    model.zero_grad(set_to_none=True)


@torch.no_grad()
def decode(model: Any, groups: list[dict[str, Any]]) -> None:
    """The products of a prefill of each prompt, then of one token step after another."""
    config = model.config
    layers = model.base_model.layers
    prompt = max(len(g["context"]) for g in groups)
    lengths = sorted(len(r) for g in groups for r in g["responses"])
    heads, shared, width = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    cache = torch.zeros(len(lengths) * shared, prompt + lengths[-1], width)
    hidden = torch.zeros(max(len(lengths), len(groups) * prompt), config.hidden_size)
    for layer in layers:
        products(layer, hidden[: len(groups) * prompt])
        square = torch.zeros(len(groups) * heads, prompt, width)
        torch.bmm(torch.bmm(square, square.transpose(1, 2)), square)
    linear(hidden[: len(groups)], model.lm_head.weight)
    for step in range(1, lengths[-1]):
        alive = sum(length > step for length in lengths)
        for layer in layers:
            query = products(layer, hidden[:alive])[: alive * heads * width].view(
                alive * shared, heads // shared, width
            )
            known = cache[: alive * shared, : prompt + step]
            torch.bmm(torch.bmm(query, known.transpose(1, 2)), known)
        linear(hidden[:alive], model.lm_head.weight)


def products(layer: Any, hidden: Tensor) -> Tensor:
    """The products of one decoder layer; returns the queries, flat."""
    attention, mlp = layer.self_attn, layer.mlp
    queries = linear(hidden, attention.q_proj.weight)
    linear(hidden, attention.k_proj.weight)
    linear(hidden, attention.v_proj.weight)
    linear(queries, attention.o_proj.weight)
    linear(hidden, mlp.gate_proj.weight)
    linear(linear(hidden, mlp.up_proj.weight), mlp.down_proj.weight)
    return queries.flatten()


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    turns = Turns()
    untyped: Any = AutoModelForCausalLM
    model = untyped.from_pretrained(config["workload"]["model"], dtype=torch.float32)
    groups = json.loads((Path(config["parity"]) / "tokens.json").read_text())
    generated = sum(len(r) for g in groups for r in g["responses"])
    while True:
        turns.wait()
        with turns.stage("sample"):
            decode(model, groups)
        with turns.stage("train"):
            train(model, groups)
        turns.report(tokens={"generated": generated, "trained": generated})


if __name__ == "__main__":
    main()
