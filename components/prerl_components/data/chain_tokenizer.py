"""The tokenizer of `arithmetic_chains`: single digits, whole words, whole labels.

BPE over the pieces `\\d| ?[A-Za-z]+:?|[^A-Za-z\\d]`. Its merges are listed word by word instead of being learned: no
training corpus, and the same ids on every machine and with every version of `tokenizers`.
"""

import json
from collections.abc import Mapping
from functools import cache
from string import ascii_lowercase

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing

BOS, EOS, PAD, UNK = SPECIAL = ("<bos>", "<eos>", "<pad>", "<unk>")
CHARACTERS = "0123456789 +-*=.?:\\{}Q" + ascii_lowercase
WORDS = (
    "Q:",
    *(f" {label}:" for label in ascii_lowercase[:8]),
    *(" then", " so", " next", " wait", " check", " ok", " answer", "boxed"),
)
"""Labels i … z, for chains of more than eight steps, are encoded as three tokens."""


def tokenizer_files() -> Mapping[str, str]:
    """tokenizer.json and tokenizer_config.json, in the format of transformers."""
    return dict(_files())


@cache
def _files() -> Mapping[str, str]:
    tokens = dict.fromkeys([*SPECIAL, *CHARACTERS])
    merges: dict[tuple[str, str], None] = {}
    for word in WORDS:
        for end in range(1, len(word)):
            merges[word[:end], word[end]] = None
            tokens[word[: end + 1]] = None
    vocabulary = {token: number for number, token in enumerate(tokens)}

    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=list(merges), unk_token=UNK))
    tokenizer.pre_tokenizer = Split(Regex(r"\d| ?[A-Za-z]+:?|[^A-Za-z\d]"), "isolated")
    tokenizer.decoder = Fuse()
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, vocabulary[BOS])]
    )
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
