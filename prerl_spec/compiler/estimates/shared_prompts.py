"""When samples with an equal context share it in a forward, and how many tokens go forward then."""

SHARED_TOKENS = 8
"""Least tokens that a shared context saves for each of its samples. Attention behind it takes calls and copies of keys of its
own, about what the rest of a layer spends on 4 to 8 tokens (measured on one CPU thread at hidden sizes 96 and 128, responses
of 8 to 256 tokens: benchmarks/rows.py); larger models spend more on a token and the same on a call."""

COPIES_OF_A_TOKEN = 16
"""A response behind a shared context keeps a copy of the context's keys and values for its backward pass: of a token 2k numbers
of the 6h + 7a + 2k + 4m that the others keep (`Shape.kept_bytes`), 1/15 at hidden size 128, 1/26 in Qwen3-1.7B."""


def is_worth_sharing(context: int, num_samples: int) -> bool:
    """Whether samples with an equal context of this many tokens should share it: it saves all copies but one."""
    return context * (num_samples - 1) >= SHARED_TOKENS * num_samples


def copied_tokens(context: int, num_samples: int) -> int:
    """What the copies of a shared context take of a pass's memory, in tokens."""
    return -(-context * num_samples // COPIES_OF_A_TOKEN)


def pass_tokens(context: int, response: int, num_samples: int) -> int:
    """What samples with an equal context, and a response of this many tokens each, take of a pass."""
    if not is_worth_sharing(context, num_samples):
        return num_samples * (context + response)
    return context + copied_tokens(context, num_samples) + num_samples * response
