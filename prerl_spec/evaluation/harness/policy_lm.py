"""Adapts the policy to lm-eval: an LM over the site's sampler and log-probabilities, identical on every rank.

The repeats of a prompt form one request. The site shards requests over ranks internally, so each rank passes all requests
and receives all results. Images and audio are not supported.
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from hashlib import sha256
from typing import Any, TextIO

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from prerl_spec.engine.processes.seeds import named_seed
from prerl_spec.errors import EnvironmentUnmet, RunFailed
from prerl_spec.evaluation.names import bare
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.templates.chat_templates import DEFAULT, ChatTemplate
from prerl_spec.types import Decoding, Generation, Rendering, Request


class Response(str):
    """The text of one response, as lm-eval handles it, with the generation it was decoded from.

    lm-eval converts gold answers to the same type for comparison: those have no generation.
    """

    generation: Generation | None

    def __new__(cls, text: str, generation: Generation | None = None) -> "Response":
        response = super().__new__(cls, text)
        response.generation = generation
        return response

    @property
    def truncated(self) -> bool:
        """Whether generation stopped at the token budget."""
        return self.generation is not None and self.generation.stop == "length"


class PolicyLM(LM):  # type: ignore[misc]  # lm-eval ships no types
    """The policy as an lm-eval model.

    The evaluator's decoding sets temperature, top_p and the token budget; of a task's generation_kwargs only `until` is
    used, and its strings are cut from the text as lm-eval expects. A response's random numbers depend only on
    (seed, task, question, repeat).
    """

    def __init__(self, site: EvaluationSite, rendering: Rendering, decoding: Decoding, seed: int) -> None:
        super().__init__()
        self.site = site
        self.rendering = rendering
        self.decoding = decoding
        self.seed = seed
        self.screen: TextIO = sys.stderr

    def with_decoding(self, decoding: Decoding) -> "PolicyLM":
        """The same model, sampled otherwise."""
        other = copy(self)
        other.decoding = decoding
        return other

    def visible_stderr(self) -> contextlib.AbstractContextManager[TextIO]:
        """Restores stderr for our own calls, while lm-eval's progress bars are suppressed."""
        return contextlib.redirect_stderr(self.screen)

    @property
    def uses_chat(self) -> bool:
        """Whether questions are rendered by the model's chat template."""
        return self._template is not None

    @property
    def tokenizer_name(self) -> str:
        return sha256(self._text_of_template().encode()).hexdigest()

    def chat_template(self, chat_template: bool | str = False) -> str:
        return self._text_of_template() if chat_template else ""

    def apply_chat_template(self, chat_history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> str:
        """The conversation as text; without a generation prompt the last message is left open for continuation."""
        assert self.rendering.chat != "off", "lm-eval applies the chat template only if chat is on"
        codec, arguments = self.site.codec, self.rendering.chat
        text = codec.conversation_text(chat_history, arguments, generate=add_generation_prompt)
        if add_generation_prompt:
            return text
        last = chat_history[-1]["content"].strip()
        return text[: text.rindex(last) + len(last)]

    def generate_until(self, requests: Sequence[Instance]) -> list[Response]:
        """One response per request; the same instance repeated in a row stands for the repeats of one question."""
        asked = list({id(instance): instance for instance in requests}.values())
        repeats = {id(instance): 0 for instance in asked}
        for instance in requests:
            repeats[id(instance)] += 1
        by_stop: dict[tuple[str, ...], list[Instance]] = {}
        for instance in asked:
            by_stop.setdefault(until(instance.args[1]), []).append(instance)
        responses: dict[int, Iterator[Response]] = {}
        for stop, instances in by_stop.items():
            drawn = self._generate([self._request(i, repeats[id(i)]) for i in instances], stop)
            for instance, generations in zip(instances, drawn, strict=True):
                responses[id(instance)] = iter([self._response(g, stop) for g in generations])
        return [next(responses[id(instance)]) for instance in requests]

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """log P(continuation | context) in nats, and whether greedy decoding would produce it."""
        return self._score([self._pair(*instance.args) for instance in requests])

    def loglikelihood_rolling(self, requests: Sequence[Instance]) -> list[float]:
        """log P(text) in nats, in windows of the model's context length, each token predicted once; the first stands behind
        BOS, or EOS for a tokenizer without BOS. Prefix and windows are those of lm-eval's own model for transformers."""
        prefix = self._start("a text without a context")
        windows = [
            [
                (tuple(context), tuple(continuation))
                for context, continuation in map(
                    make_disjoint_window,
                    get_rolling_token_windows(
                        list(self._encode(instance.args[0])), prefix, self.site.max_length, context_len=1
                    ),
                )
            ]
            for instance in requests
        ]
        scored = iter(self._score([pair for of_text in windows for pair in of_text]))
        return [sum(next(scored)[0] for _ in of_text) for of_text in windows]

    @property
    def _template(self) -> ChatTemplate | None:
        return self.site.codec.template_for(self.rendering.chat)

    def _text_of_template(self) -> str:
        """The tokenizer's chat template, also where the spec does without one."""
        template = self._template or self.site.codec.chat_templates.named.get(DEFAULT)
        return "" if template is None else template.text

    def _request(self, instance: Instance, num_repeats: int) -> Request:
        context = self._encode(instance.args[0])
        if len(context) + self.decoding.max_new_tokens > self.site.max_length:
            raise RunFailed(
                f"{instance.task_name}, question {instance.doc_id}: {len(context)} tokens and max_new_tokens "
                f"{self.decoding.max_new_tokens} exceed the model's context length {self.site.max_length}",
                hint="lower max_new_tokens or num_fewshot in the evaluator (--max-new-tokens, --num-fewshot); questions are "
                "never truncated",
            )
        name = ("evaluate", self.seed, bare(str(instance.task_name)), int(instance.doc_id or 0), instance.idx)
        return Request(context, tuple(named_seed(*name, repeat) for repeat in range(num_repeats)))

    def _generate(self, requests: Sequence[Request], stop: tuple[str, ...]) -> list[list[Generation]]:
        stops = (*self.decoding.stop, *(s for s in stop if s not in self.decoding.stop))
        with self.visible_stderr():
            return self.site.generate(requests, replace(self.decoding, stop=stops))

    def _score(self, pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[tuple[float, bool]]:
        longest = max((len(context) + len(continuation) for context, continuation in pairs), default=0)
        # The last token is predicted only: it takes no place in the context.
        if longest > self.site.max_length + 1:
            raise RunFailed(
                f"a text of {longest} tokens exceeds the model's context length {self.site.max_length}",
                hint="lower num_fewshot, or use a model with a longer context; texts are never truncated",
            )
        with self.visible_stderr():
            return self.site.continuation_logps(pairs)

    def _response(self, generation: Generation, stop: tuple[str, ...]) -> Response:
        tokens = generation.tokens[:-1] if generation.stop == "eos" else generation.tokens
        text = self.site.codec.decode(tokens)
        for string in stop:
            text = text.split(string)[0]
        return Response(text, generation)

    def _pair(self, context: str, continuation: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Tokens of context and continuation, split as lm-eval does: trailing spaces of the context belong to the
        continuation, and the continuation's tokens are those of the whole text after the context's. Without a context it
        stands behind BOS, or EOS for a tokenizer without BOS; one that begins with that token is scored from its second on."""
        if not context:
            bare, start = self.site.codec.encode(continuation), self._start("a question without a context")
            return (start,), bare[1:] if bare[:1] == (start,) else bare
        head, whole = self._encode(context.rstrip()), self._encode(context + continuation)
        return (head, whole[len(head) :]) if head else ((self._start("a context of spaces alone"),), whole)

    def _encode(self, text: str) -> tuple[int, ...]:
        """Token ids, with what the tokenizer itself puts around a text, except around one that a chat template has rendered or
        that begins with that token already."""
        codec = self.site.codec
        begun = codec.start is not None and text.startswith(codec.decode((codec.start,), skip_special=False))
        return codec.encode(text, special=not self.uses_chat and not begun)

    def _start(self, what: str) -> int:
        start = self.site.codec.start
        if start is None:
            raise EnvironmentUnmet(
                f"{what} is scored behind BOS or EOS, and the tokenizer has neither",
                hint="set bos_token or eos_token in tokenizer_config.json",
            )
        return start


def until(generation_kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """A task's stop strings, without empty ones."""
    strings = generation_kwargs.get("until") or ()
    return tuple(s for s in ([strings] if isinstance(strings, str) else strings) if s)
