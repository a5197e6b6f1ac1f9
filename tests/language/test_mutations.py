"""One-character typos of the shipped specs: each is refused, and the right word is suggested."""

import random
from pathlib import Path

import pytest

from prerl_spec.compiler.resolve.resolve import resolve_text
from tests.language.mutations import judge, typos, words

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.toml"))
SAMPLE = 40


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_a_typo_is_refused_and_the_right_word_suggested(spec: Path) -> None:
    chance = random.Random(spec.stem)
    text = spec.read_text(encoding="utf-8")
    pairs = [(word, typo) for word in words(resolve_text(text, spec.name)) for typo in sorted(typos(word, chance))]
    verdicts = [judge(text, word, typo) for word, typo in chance.sample(pairs, SAMPLE)]
    assert [v for v in verdicts if not v.refused] == []
    assert sum(v.suggested for v in verdicts) >= 0.98 * SAMPLE, [v for v in verdicts if not v.suggested]


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_every_typo_is_refused_and_the_right_word_suggested(spec: Path) -> None:
    chance = random.Random(spec.stem)
    text = spec.read_text(encoding="utf-8")
    verdicts = [judge(text, w, t) for w in words(resolve_text(text, spec.name)) for t in sorted(typos(w, chance))]
    assert [v for v in verdicts if not v.refused] == []
    assert sum(v.suggested for v in verdicts) >= 0.98 * len(verdicts), [v for v in verdicts if not v.suggested]
