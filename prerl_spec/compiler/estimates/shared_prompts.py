"""When samples with an equal context share it in a forward, and how many tokens go forward then."""

SHARED_TOKENS = 8
"""Least tokens that a shared context saves for each of its samples. Attention behind it takes calls and copies of keys of its
own, about what the rest of a layer spends on 4 to 8 tokens (measured on one CPU thread at hidden sizes 96 and 128, responses
of 8 to 256 tokens: benchmarks/rows.py); larger models spend more on a token and the same on a call."""


def is_worth_sharing(context: int, num_samples: int) -> bool:
    """Whether samples with an equal context of this many tokens should share it: it saves all copies but one."""
    return context * (num_samples - 1) >= SHARED_TOKENS * num_samples


def group_tokens(context: int, response: int, num_samples: int) -> int:
    """Tokens of a forward of samples with an equal context, and a response of this many tokens each."""
    contexts = 1 if is_worth_sharing(context, num_samples) else num_samples
    return contexts * context + num_samples * response
