"""Checks, before anything is sampled, that prompt and response fit into the model's context."""

from collections.abc import Iterable

from prerl_spec.sdk import Request, RunFailed


def check_context_fits(requests: Iterable[Request], max_new_tokens: int, max_length: int) -> None:
    """Raises RunFailed, with both numbers, if prompt tokens + `max_new_tokens` exceed `max_length`."""
    for request in requests:
        assert request.context, "a request needs at least one context token"
        if len(request.context) + max_new_tokens > max_length:
            raise RunFailed(
                f"a prompt of {len(request.context)} tokens and max_new_tokens {max_new_tokens} exceed the "
                f"{max_length} tokens of the model's context",
                hint="lower max_new_tokens, or the data set's max_prompt_tokens",
            )
