"""Detects stop strings at the end of a response."""

from collections.abc import Sequence

from prerl_spec.sdk import Codec

SPARE_TOKENS = 8
"""Tokens decoded beyond one per byte: special tokens and parts of characters may add no text."""


class StopTexts:
    """Searches the text of a response's last tokens, special tokens included, for stop strings.

    The prompt is not searched: a stop string that begins there does not count.
    """

    def __init__(self, codec: Codec, texts: Sequence[str]) -> None:
        self._codec = codec
        self._texts = tuple(texts)
        self._last_characters = {text[-1] for text in texts}
        self._may_end: dict[int, bool] = {}
        self.num_tokens = max((len(text.encode()) for text in texts), default=0) + SPARE_TOKENS

    def may_end_with(self, token: int) -> bool:
        """Whether the token could be the last one of a stop string: a cheap test that saves decoding most tails."""
        known = self._may_end.get(token)
        if known is None:
            # Twice, since some decoders drop the space before the first token; � may be half of any character.
            text = self._codec.decode((token, token), skip_special=False)
            known = self._may_end[token] = "�" in text or not self._last_characters.isdisjoint(text)
        return known

    def in_tail(self, tokens: Sequence[int]) -> bool:
        """Whether the text of the last `num_tokens` tokens of a response contains a stop string."""
        text = self._codec.decode(tokens[-self.num_tokens :], skip_special=False)
        return any(stop in text for stop in self._texts)
