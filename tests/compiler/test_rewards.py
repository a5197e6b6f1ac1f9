"""Rewards and filters in a spec: names, parts that others ask for, and settings that contradict their neighbours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from prerl_spec.compiler.compile import check_spec
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.registry.entry_points import Entry, Registry, installed
from prerl_spec.sdk import Array, Attempt, Component, Conditional, Credit, Group, Need, OnePartObjective, Step, Tokens
from tests.compiler.specs import bent, found_in, under, written

GRPO = '[phases.objective]\nuse = "grpo"\n'
OF_PARTS = (GRPO, '[phases.objective]\nuse = "acme.of_parts"\n')
REFINE = "updates_per_batch = 2\n"


class OfParts(OnePartObjective):
    """Wants to see what one reward contributes."""

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[scalar]", "reward_part[verdict]", "reward_part[tail]"})

    def needs(self) -> frozenset[Need]:
        return frozenset({Need(Conditional())})

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        return Credit.nothing(step.tokens.num_tokens, "nothing")

    def terms(self, logp: Mapping[Need, Any], advantage_n: Any, tokens: Tokens) -> Any:
        return -logp[Need(Conditional())]


class Bonus(Component):
    """A reward without a setting `name`."""

    kind: ClassVar = "reward"

    def reward(self, attempt: Attempt, group: Group) -> float:
        return 0.5


def registry() -> Registry:
    """What is installed, and these two of a stranger."""
    return Registry(
        [
            *installed().entries,
            Entry("objective", "acme.of_parts", f"{__name__}:OfParts", "acme", "1.0"),
            Entry("reward", "acme.bonus", f"{__name__}:Bonus", "acme", "1.0"),
        ]
    )


def with_rewards(*rewards: str) -> str:
    return bent((REFINE, f"{REFINE}rewards = [{', '.join(rewards)}]\n"))


def with_filter(settings: str) -> str:
    return bent((REFINE, f"{REFINE}filters = [{{ {settings} }}]\n"))


TAIL = '{ use = "overlong_penalty", buffer = 20 }'
SECOND_TAIL = '{ use = "overlong_penalty", buffer = 10, name = "last_ten" }'
FORM = '{ use = "format_bonus", weight = 0.1 }'
SHORT = '{ use = "length_penalty", weight = 0.2 }'


@pytest.mark.parametrize(
    "text",
    [
        with_rewards(TAIL, FORM, SHORT),
        with_rewards(TAIL, SECOND_TAIL),
        with_rewards(TAIL, '"acme.bonus"'),
        with_rewards('{ use = "length_penalty@1", weight = 0.2, name = "brevity" }', SHORT),
        with_filter('use = "max_length", tokens = 59'),
        with_filter('use = "drop_truncated"'),
        with_filter('use = "difficulty_band", low = 0.25, high = 0.25'),
        with_filter('use = "reward_spread", least = 0.3'),
        bent(("[run]\n", f"rewards = [{TAIL}]\nfilters = ['drop_truncated']\n[run]\n")),
    ],
)
def test_rewards_and_filters_of_every_kind_are_valid(text: str) -> None:
    assert found_in(text, registry()) == []


@pytest.mark.parametrize(
    ("rewards", "word", "label"),
    [
        ((FORM, FORM), '"format_bonus"', '"format_bonus"'),
        ((FORM, '{ use = "format_bonus@1", weight = 0.1 }'), '"format_bonus@1"', '"format_bonus"'),
        ((TAIL, '{ use = "format_bonus", weight = 0.1, name = "overlong_penalty" }'), '"overlong_penalty"', None),
        (('{ use = "format_bonus", weight = 0.1, name = "length_penalty" }', SHORT), '"length_penalty"', None),
        (('"acme.bonus"', '"acme.bonus"'), '"acme.bonus"', '"acme.bonus"'),
    ],
)
def test_one_name_twice_is_told_at_the_later(rewards: tuple[str, ...], word: str, label: str | None) -> None:
    text = with_rewards(*rewards)
    (found,) = found_in(text, registry())
    assert (found.code, under(text, found), len(found.labels)) == ("E0701", word, 1)
    assert found.span is not None
    line = text.split("\n")[found.span.line - 1]
    assert found.span.column - 1 == line.rindex(word), "the later one"
    assert found.labels[0].span.column - 1 == line.index(label or word)


def test_a_reward_that_cannot_be_named_is_told_what_would_name_it() -> None:
    named, unnamed = (
        found_in(with_rewards(FORM, FORM)),
        found_in(with_rewards('"acme.bonus"', '"acme.bonus"'), registry()),
    )
    assert "write another `name`" in str(named[0].help)
    assert "`RewardTerm`" in str(unnamed[0].help)


@pytest.mark.parametrize("name", ["verdict", "mean"])
def test_names_that_stand_for_something_else_are_no_rewards(name: str) -> None:
    text = with_rewards(FORM, f'{{ use = "length_penalty", weight = 0.2, name = "{name}" }}')
    (found,) = found_in(text)
    assert (found.code, under(text, found)) == ("E0701", f'"{name}"')


@pytest.mark.parametrize("name", ["Tail", "a b", "", "a]", "1st", "reward/tail"])
def test_a_name_is_a_word(name: str) -> None:
    text = with_rewards(f'{{ use = "format_bonus", weight = 0.1, name = "{name}" }}')
    assert [d.code for d in found_in(text)] == ["E0202"]


def test_the_same_reward_in_two_phases_is_one_in_each() -> None:
    rewards = f"rewards = [{FORM}]\n"
    text = bent((REFINE, REFINE + rewards), ('id = "prune"\n', f'id = "prune"\n{rewards}'))
    assert found_in(text) == []


def test_a_mistake_in_top_level_rewards_is_told_once() -> None:
    text = bent(("[run]\n", f"rewards = [{FORM}, {FORM}]\n[run]\n"))
    found = found_in(text)
    assert {(d.code, under(text, d), str(d.span)) for d in found} == {("E0701", '"format_bonus"', str(found[0].span))}


# --- parts -------------------------------------------------------------------------------------------------------------


def test_a_part_that_nothing_gives_is_told_at_who_asks_for_it_with_what_there_is() -> None:
    text = bent(OF_PARTS, (REFINE, f"{REFINE}rewards = [{TAIL}]\n"))
    (found,) = found_in(text, registry())
    assert (found.code, under(text, found)) == ("E0601", '"acme.of_parts"')
    assert "`reward_part[tail]`" in found.message
    assert "`overlong_penalty` provides `reward_part[overlong_penalty]`" in found.notes
    assert "`exact_match` provides `reward_part[verdict]`" in found.notes


def test_the_verdict_is_always_a_part_and_a_named_reward_is_one() -> None:
    named = TAIL.replace("buffer", 'name = "tail", buffer')
    assert found_in(bent(OF_PARTS, (REFINE, f"{REFINE}rewards = [{named}]\n")), registry()) == []
    (found,) = found_in(bent(OF_PARTS), registry())
    assert "`reward_part[tail]`" in found.message


# --- neighbours --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        (with_rewards(TAIL.replace("20", "60")), "E0701", "60"),
        (with_rewards(TAIL.replace("20", "61")), "E0701", "61"),
        (with_filter('use = "difficulty_band", low = 0.6, high = 0.4'), "E0701", "0.4"),
        (with_filter('use = "difficulty_band", high = 0.4, low = 0.6'), "E0701", "0.6"),
        (with_filter('use = "max_length", tokens = 60'), "W0702", "60"),
    ],
)
def test_a_setting_that_its_neighbours_contradict_is_told_at_its_value(text: str, code: str, word: str) -> None:
    (found,) = found_in(text)
    assert (found.code, under(text, found)) == (code, word)


@pytest.mark.parametrize(
    "missing",
    [
        'use = "max_length"',
        'use = "difficulty_band", low = 0.1',
        'use = "difficulty_band", high = 0.1',
        'use = "reward_spread"',
    ],
)
def test_bounds_are_required(missing: str) -> None:
    assert [d.code for d in found_in(with_filter(missing))] == ["E0204"]


@pytest.mark.parametrize("use", ["overlong_penalty", "format_bonus", "length_penalty"])
def test_sizes_of_rewards_are_required(use: str) -> None:
    assert [d.code for d in found_in(with_rewards(f'"{use}"'))] == ["E0204"]


def test_a_name_is_part_of_what_a_run_means(tmp_path: Path) -> None:
    digests = set()
    for number, rewards in enumerate((TAIL, TAIL.replace("buffer", 'name = "tail", buffer'))):
        resolved, _ = check_spec(written(tmp_path, with_rewards(rewards), f"{number}.toml"))
        digests.add(make_plan(resolved).digest)
    assert len(digests) == 2
