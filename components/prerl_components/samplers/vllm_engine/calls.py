"""Calls to a running `vllm.LLM`: samples with their log-probabilities, and log-probabilities of given texts."""

import math
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from prerl_components.samplers.shared.vllm_parameters import sampling_arguments, stop_of
from prerl_components.samplers.shared.weight_probe import Text
from prerl_spec.sdk import Decoding, EndedSample, Generation, Request, RunFailed

Progress = Callable[[int, int], None]
Ended = Callable[[Sequence[EndedSample]], None]

TICK_SECONDS = 0.5
"""Maximum delay until a signal is handled while no sample ends."""


def draw_samples(
    llm: Any,
    requests: Sequence[Request],
    decoding: Decoding,
    eos_ids: Sequence[int],
    *,
    adapter: Any = None,
    progress: Progress | None = None,
    ended: Ended | None = None,
) -> list[list[Generation]]:
    """One list per request, one Generation per seed, in order. Each sample is a separate vLLM request with its own seed;
    the prefix cache computes a shared prompt once. `ended` is called with samples as they end."""
    from vllm import SamplingParams

    prompts = [request.context for request in requests for _ in request.seeds]
    parameters = [
        SamplingParams(
            **sampling_arguments(decoding, seed, eos_ids), detokenize=bool(decoding.stop), flat_logprobs=True
        )
        for request in requests
        for seed in request.seeds
    ]
    places = [(i, k) for i, request in enumerate(requests) for k in range(len(request.seeds))]

    def tell(new: Sequence[tuple[int, Any]]) -> None:
        if ended is not None:
            sampled = [(places[number], _generation(output.outputs[0], eos_ids)) for number, output in new]
            ended([EndedSample(*place, one.tokens, one.stop) for place, one in sampled])

    drawn = iter(_run(llm, prompts, parameters, adapter, progress, tell))
    return [[_generation(next(drawn).outputs[0], eos_ids) for _ in request.seeds] for request in requests]


def score_texts(llm: Any, texts: Sequence[Text], *, adapter: Any = None) -> list[list[float]]:
    """log P(token | context, earlier tokens) of each text's tokens at temperature 1, in nats."""
    from vllm import SamplingParams

    prompts = [(*text.context, *text.tokens) for text in texts]
    parameters = [SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0, detokenize=False) for _ in texts]
    scored: list[list[float]] = []
    for text, output in zip(texts, _run(llm, prompts, parameters, adapter), strict=True):
        places = output.prompt_logprobs[len(text.context) :]
        scored.append([place[token].logprob for place, token in zip(places, text.tokens, strict=True)])
    return scored


def _run(
    llm: Any,
    prompts: Sequence[Sequence[int]],
    parameters: Sequence[Any],
    adapter: Any,
    progress: Progress | None = None,
    ended: Callable[[Sequence[tuple[int, Any]]], None] = lambda new: None,
) -> list[Any]:
    """The finished outputs, in order; `ended` is told each with its number. On any exception the unfinished requests are
    aborted."""
    if not prompts:
        return []
    engine = llm.llm_engine
    tokens = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
    names = llm.enqueue(tokens, parameters, use_tqdm=False, lora_request=adapter)
    # Requests are numbered one after another; an internal name has a random end.
    first = int(names[0].partition("-")[0])
    finished: list[Any] = []
    last_report = monotonic()
    try:
        while engine.has_unfinished_requests():
            new = [output for output in engine.step() if output.finished]
            finished += new
            if new:
                ended([(int(output.request_id) - first, output) for output in new])
            if progress is not None and (new or monotonic() - last_report > TICK_SECONDS):
                progress(len(finished), len(prompts))
                last_report = monotonic()
    except BaseException:
        engine.abort_request(names, internal=True)
        raise
    return sorted(finished, key=lambda output: int(output.request_id))


def _generation(output: Any, eos_ids: Sequence[int]) -> Generation:
    tokens = tuple(output.token_ids)
    # With logprobs=0 each position has the sampled token only.
    logps = tuple(output.logprobs.logprobs[: len(tokens)])
    assert tuple(output.logprobs.token_ids[: len(tokens)]) == tokens, (
        "vLLM returned log-probabilities of other tokens than the sampled ones"
    )
    if not all(map(math.isfinite, logps)):
        raise RunFailed(
            f"the model's logits are not finite at token {next(t for t, p in enumerate(logps, 1) if not math.isfinite(p))} "
            "of a response",
            hint="check grad_norm and lr of the last steps: the weights have probably diverged",
        )
    return Generation(tokens, logps, stop_of(output.finish_reason, tokens, eos_ids))
