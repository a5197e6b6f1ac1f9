"""The three built-in views: the context before a response when its tokens are scored. Equal settings are equal views."""

from abc import abstractmethod

from pydantic import Field

from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.needs import Layout
from prerl_spec.registry.component import Component
from prerl_spec.text import Codec
from prerl_spec.types import Attempt, Prompt


class ContextView(Component):
    """A view that chooses the context before the response and leaves the response unchanged.

    Subclasses define `name` and `context(prompt, codec)`.
    """

    kind = "view"

    @abstractmethod
    def context(self, prompt: Prompt, codec: Codec) -> tuple[int, ...]:
        """The token ids before the response, never empty."""

    def lay(self, prompt: Prompt, attempt: Attempt, codec: Codec) -> Layout:
        """The attempt's own segments after that context."""
        return Layout(self.context(prompt, codec), attempt.segments)


class Conditional(ContextView):
    """The response after its question, as it was sampled: log π(y_t | x, y_<t)."""

    @property
    def name(self) -> str:
        return "conditional"

    def context(self, prompt: Prompt, codec: Codec) -> tuple[int, ...]:
        """The prompt's own context: system prompt, template and question."""
        return prompt.context


class Marginal(ContextView):
    """The response after a prefix instead of its question: log π(y_t | b, y_<t).

    What the paper (arXiv:2604.14142) calls P(y) is this no-question likelihood, not Σ_x P(x) P(y|x).
    """

    prefix: str = Field(
        "auto",
        min_length=1,
        description='the context before the response: a text, or "auto": the first special token of the chat '
        "template, else BOS, else EOS",
    )

    @property
    def name(self) -> str:
        return "marginal"

    def context(self, prompt: Prompt, codec: Codec) -> tuple[int, ...]:
        """The prefix alone, independent of the prompt. Raises EnvironmentUnmet if the tokenizer has no candidate for it."""
        return codec.prefix(self.prefix)


class Prefix(ContextView):
    """The response after a fixed text c, the same for every prompt: log π(y_t | c, y_<t)."""

    text: str = Field(min_length=1, description="the text before the response, tokenized verbatim")

    @property
    def name(self) -> str:
        return "prefix"

    def context(self, prompt: Prompt, codec: Codec) -> tuple[int, ...]:
        """The text's tokens. Raises EnvironmentUnmet if the tokenizer produces none."""
        ids = codec.encode(self.text)
        if not ids:
            raise EnvironmentUnmet(
                f"the text {self.text!r} of the view `prefix` has no tokens", hint="write a non-empty text"
            )
        return ids
