"""Stop strings are found in the text, wherever token borders fall."""

import pytest
from prerl_components.samplers.embedded.stop_texts import StopTexts

from prerl_spec.sdk import Codec
from prerl_spec.testing.tiny import byte_tokenizer


@pytest.fixture
def codec() -> Codec:
    return Codec.of_tokenizer(byte_tokenizer())


@pytest.mark.parametrize("stop", ["\n\n", "Question:", "é", "日本", "<|im_end|>", " "])
def test_a_stop_string_is_seen_when_its_last_token_comes(codec: Codec, stop: str) -> None:
    stops = StopTexts(codec, ["unsaid", stop])
    said = "A long answer first, so long that its tail alone is looked at.".replace(" ", "_")
    tokens = codec.encode(said + stop)
    seen = [n for n in range(1, len(tokens) + 1) if stops.may_end_with(tokens[n - 1]) and stops.in_tail(tokens[:n])]
    assert seen == [len(tokens)]


def test_a_token_that_cannot_end_a_stop_string_is_passed_over(codec: Codec) -> None:
    stops = StopTexts(codec, ["ab", "cd"])
    said = {letter: stops.may_end_with(codec.encode(letter)[0]) for letter in "abcd"}
    assert said == {"a": False, "b": True, "c": False, "d": True}
