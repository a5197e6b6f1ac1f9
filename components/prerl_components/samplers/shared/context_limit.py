"""Whether every response fits behind its prompt: asked before anything is drawn."""

from collections.abc import Iterable

from prerl_spec.sdk import Request, RunFailed


def check_context_fits(requests: Iterable[Request], max_new_tokens: int, max_length: int) -> None:
    """Raises RunFailed, with both numbers, for a context that leaves no room for `max_new_tokens`."""
    for request in requests:
        assert request.context, "a request without context: there is nothing to continue"
        if len(request.context) + max_new_tokens > max_length:
            raise RunFailed(
                f"a prompt of {len(request.context)} tokens and max_new_tokens {max_new_tokens} exceed the "
                f"{max_length} tokens that the model takes",
                hint="lower max_new_tokens, or the data set's max_prompt_tokens",
            )
