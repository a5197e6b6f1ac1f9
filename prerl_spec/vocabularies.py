"""Whether two tokenizers give every token the same id: a model can only score the tokens of its own vocabulary."""

from prerl_spec.text import Codec


def vocabulary_difference(own: Codec, other: Codec) -> str | None:
    """The lowest id at which the other tokenizer differs, in words ("its token 7 is 'b', not 'a'"); None if no id does.

    Only ids and their tokens count: a chat template, or which token ends a response, may differ.
    """
    mine, theirs = (
        {number: token for token, number in codec.backend.get_vocab(with_added_tokens=True).items()}
        for codec in (own, other)
    )
    differing = sorted(n for n in mine.keys() | theirs.keys() if mine.get(n) != theirs.get(n))
    if not differing:
        return None
    first = differing[0]
    words = [repr(table[first]) if first in table else "absent" for table in (theirs, mine)]
    more = "" if len(differing) == 1 else f"; {len(differing):,} ids differ"
    return f"its token {first} is {words[0]}, not {words[1]}{more}"
