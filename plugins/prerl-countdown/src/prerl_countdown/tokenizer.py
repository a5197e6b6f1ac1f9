"""A character tokenizer for games, as files that transformers loads."""

import json
from collections.abc import Mapping
from functools import cache

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing

BOS, EOS, PAD, UNK = SPECIAL = ("<bos>", "<eos>", "<pad>", "<unk>")
CHARACTERS = "0123456789 +-*/()abcdefghijklmnopqrstuvwxyz:<>.,?"


def tokenizer_files() -> Mapping[str, str]:
    """tokenizer.json and tokenizer_config.json."""
    return dict(_files())


@cache
def _files() -> Mapping[str, str]:
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *CHARACTERS])}
    tokenizer = Tokenizer(WordLevel(vocab=vocabulary, unk_token=UNK))
    tokenizer.pre_tokenizer = Split(Regex("[\\s\\S]"), "isolated")
    tokenizer.decoder = Fuse()
    tokenizer.post_processor = TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "unk_token": UNK,
        "clean_up_tokenization_spaces": False,
    }
    return {"tokenizer.json": tokenizer.to_str(), "tokenizer_config.json": json.dumps(config, indent=2)}
