"""What is measured of responses, on texts counted by hand."""

from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from prerl_components.probes.entropy import Entropy
from prerl_components.probes.gradient_alignment import GradientAlignment, Pair, aligned, balanced, layer_groups
from prerl_components.probes.likelihoods import RewardedLikelihood
from prerl_components.probes.pass_at_k import PassAtK
from prerl_components.probes.response_length import ResponseLength
from prerl_components.probes.reward_by_length import RewardByLength
from prerl_components.probes.solved import Solved
from prerl_components.probes.thoughts import Thoughts, kind_of, split_thoughts

from prerl_spec.sdk import Component, Marginal, Outcome, Step
from prerl_spec.testing.laws import check_probe
from prerl_spec.testing.steps import made_step
from tests.compiler.specs import bent, found_in

PROBES = [Entropy(), GradientAlignment(), PassAtK(), ResponseLength(), RewardByLength(), Solved(), Thoughts()]


@pytest.mark.parametrize("probe", PROBES, ids=repr)
def test_every_probe_obeys_the_laws(probe: Component) -> None:
    check_probe(probe)


@pytest.mark.parametrize("probe", PROBES, ids=repr)
def test_every_probe_says_the_names_of_its_metrics(probe: Any) -> None:
    """A schedule that watches another one is refused when it is planned."""
    step = made_step([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], lengths=[2, 4, 10, 3, 6, 5])
    assert probe.metric_names
    found = probe.measure(step)
    assert bool(found) is not isinstance(probe, GradientAlignment)
    assert [n for n in found if not any(fnmatchcase(n, pattern) for pattern in probe.metric_names)] == []


def test_lengths_are_tokens_by_verdict() -> None:
    step = made_step([[1.0, 0.0, Outcome.UNPARSABLE], [Outcome.TIMEOUT, 1.0]], lengths=[2, 4, 10, 3, 6])
    assert ResponseLength().measure(step) == {
        "response_length_mean": 5.0,
        "response_length_median": 4.0,
        "response_length_p95": pytest.approx(9.2),
        "response_length_max": 10.0,
        "response_length_truncated": 0.2,
        "response_length_right": 4.0,
        "response_length_wrong": 4.0,
        "response_length_unparsable": 10.0,
    }


@pytest.mark.parametrize(
    ("thought", "kind"),
    [
        ("Wait, that is 5.", "reflection"),
        ("So we wait for it.", "execution"),
        ("Let me VERIFY this.", "reflection"),
        ("That's correct.", "reflection"),
        ("7 is correct.", "execution"),
        ("Alternatively, take x = 2.", "transition"),
        ("There is another approach.", "transition"),
        ("Take another look.", "execution"),
        ("Alternatively, let me check it.", "reflection"),
        ("2 + 2 = 4", "execution"),
    ],
)
def test_a_thought_is_told_by_its_words_and_reflection_comes_first(thought: str, kind: str) -> None:
    assert kind_of(thought) == kind


def test_thoughts_are_paragraphs_or_else_lines_and_sentences() -> None:
    assert split_thoughts("One. Two.\nThree.\n \n\nFour.") == ["One. Two.\nThree.", "Four."]
    assert split_thoughts(" a:29+8=37. so b:37+9=36. wait b:37+9=46. answer \\boxed{46}") == [
        "a:29+8=37.",
        "so b:37+9=36.",
        "wait b:37+9=46.",
        "answer \\boxed{46}",
    ]
    assert split_thoughts("One\nTwo\n\n") == ["One", "Two"]
    assert split_thoughts("x = 3.14") == ["x = 3.14"]
    assert split_thoughts("") == split_thoughts("\n\n") == []


def with_texts(step: Step, *texts: str) -> Step:
    (group,) = step.groups
    attempts = tuple(replace(a, text=t) for a, t in zip(group.attempts, texts, strict=True))
    return replace(step, groups=(replace(group, attempts=attempts),))


def test_thoughts_are_mean_counts_a_response() -> None:
    step = with_texts(made_step([[1.0, 0.0]]), "Add.\n\nWait, no.\n\nWait, yes.", "Alternatively, go. Then stop.")
    assert Thoughts().measure(step) == {
        "thoughts_reflection": 1.0,
        "thoughts_transition": 0.5,
        "thoughts_execution": 1.0,
    }


def test_pass_at_k_is_the_share_of_all_choices_of_k_with_a_right_one() -> None:
    results = [[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [0.0, 1.0, Outcome.UNPARSABLE, 0.0]]
    found = PassAtK(k=(1, 2, 3, 4)).measure(made_step(results))
    for k in (1, 2, 3, 4):
        choices = [[any(r == 1.0 for r in chosen) for chosen in combinations(group, k)] for group in results]
        assert found[f"pass_at_{k}"] == pytest.approx(np.mean([np.mean(c) for c in choices]), rel=1e-12)
    assert found["pass_at_1"] == 0.25


def test_pass_at_k_counts_dropped_groups_and_only_scored_responses() -> None:
    step = made_step([[1.0, 0.0], [1.0, Outcome.TIMEOUT]])
    dropped = made_step([[0.0, 0.0]])
    assert PassAtK().measure(step) == {"pass_at_1": 0.75, "pass_at_2": 1.0}
    assert PassAtK().measure(replace(step, discarded=dropped.groups)) == {"pass_at_1": 0.5, "pass_at_2": 0.5}
    assert PassAtK(k=(3,)).measure(step) == {}


@pytest.mark.parametrize(("k", "code"), [("[1, 4]", []), ("[1, 5]", ["E0701"]), ('"auto"', []), ("[0]", ["E0202"])])
def test_a_k_above_the_group_size_is_refused_before_anything_is_sampled(k: str, code: list[str]) -> None:
    text = bent(("[optimizer]", f'[[probes]]\nuse = "pass_at_k"\nk = {k}\n[optimizer]'))
    assert [d.code for d in found_in(text)] == code


def test_prompts_are_solved_always_sometimes_or_never() -> None:
    step = made_step([[1.0, 1.0], [1.0, Outcome.TIMEOUT], [1.0, 0.0], [Outcome.ERROR, Outcome.ERROR]])
    dropped = made_step([[0.0, Outcome.UNPARSABLE]])
    assert Solved().measure(replace(step, discarded=dropped.groups)) == {
        "solved_all": 0.5,
        "solved_some": 0.25,
        "solved_none": 0.25,
    }
    assert Solved().measure(made_step([[Outcome.TIMEOUT]])) == {}


def with_recorded(step: Step, logps: list[list[float]], entropies: list[list[float]] | None) -> Step:
    (group,) = step.groups
    attempts = []
    for i, attempt in enumerate(group.attempts):
        (segment,) = attempt.segments
        heard = None if entropies is None else tuple(entropies[i])
        attempts.append(replace(attempt, segments=(replace(segment, logps=tuple(logps[i]), entropies=heard),)))
    return replace(step, groups=(replace(group, attempts=tuple(attempts)),))


def test_entropy_is_a_mean_over_tokens_of_right_and_of_wrong_responses() -> None:
    step = made_step([[1.0, 0.0, Outcome.TIMEOUT]], lengths=[1, 2, 1])
    recorded = with_recorded(step, [[-0.5], [-1.0, -3.0], [-9.0]], [[0.25], [1.0, 0.0], [9.0]])
    surprisals = {"surprisal_right": 0.5, "surprisal_wrong": 2.0}
    assert Entropy().measure(recorded) == {"entropy_right": 0.25, "entropy_wrong": 0.5, **surprisals}
    assert Entropy().measure(with_recorded(step, [[-0.5], [-1.0, -3.0], [-9.0]], None)) == surprisals


def test_reward_is_averaged_from_the_shortest_responses_to_the_longest() -> None:
    step = made_step([[1.0, 0.0, 0.0, 1.0], [0.5, Outcome.ERROR, 1.0, 0.0]], lengths=[1, 8, 6, 2, 3, 9, 4, 5])
    found = RewardByLength(bins=2).measure(step)
    # Seven scored ones by length: 1, 2, 3, 4 | 5, 6, 8 with rewards 1, 1, .5, 1 | 0, 0, 0.
    assert (found["reward_by_length_1"], found["reward_by_length_2"]) == (0.875, 0.0)
    expected = np.corrcoef([1, 8, 6, 2, 3, 4, 5], [1, 0, 0, 1, 0.5, 1, 0])[0, 1]
    assert found["reward_by_length_correlation"] == pytest.approx(expected)
    alike = RewardByLength(bins=2).measure(made_step([[1.0, 1.0]], lengths=[1, 2]))
    assert alike == {"reward_by_length_1": 1.0, "reward_by_length_2": 1.0}
    assert RewardByLength(bins=3).measure(made_step([[1.0, 0.0]])) == {}


def test_half_of_the_responses_looked_at_are_right_where_there_are_enough() -> None:
    step = made_step([[1.0] * 6, [0.0] * 6, [Outcome.TIMEOUT, Outcome.UNPARSABLE] * 3])
    for number, (right, wrong) in {4: (2, 2), 5: (3, 2), 16: (6, 9)}.items():
        chosen, is_right = balanced(step, number)
        assert (sum(is_right), len(is_right) - sum(is_right)) == (right, wrong), number
        assert len(set(chosen)) == len(chosen)
        assert all(step.samples[i].reward is not None for i in chosen)
    # Where one sign has too few, the other fills up.
    two_wrong = made_step([[1.0] * 6 + [0.0] * 2])
    assert balanced(two_wrong, 6)[1] == [True] * 4 + [False] * 2
    one_right = made_step([[1.0] + [0.0] * 7])
    assert balanced(one_right, 4)[1] == [True, False, False, False]
    assert balanced(made_step([[Outcome.ERROR]]), 4) == ([], [])


def test_decoder_layers_are_grouped_in_bands() -> None:
    layers = ["embeddings", *(f"layer_{i}" for i in range(5)), "head"]
    assert layer_groups(layers, 2) == {
        "blocks_1": ["layer_0", "layer_1", "layer_2"],
        "blocks_2": ["layer_3", "layer_4"],
        "embeddings": ["embeddings"],
        "head": ["head"],
    }
    assert len(layer_groups(layers, 9)) == 5 + 2
    assert layer_groups(["head"], 4) == {"head": ["head"]}


class Flat:
    """A gradient of two numbers, one a layer."""

    def __init__(self, *values: float) -> None:
        self.values = dict(zip(("embeddings", "layer_0"), values, strict=True))

    def dots(self, other: "Flat") -> dict[str, float]:
        return {name: value * other.values[name] for name, value in self.values.items()}

    def dot(self, other: "Flat") -> float:
        return sum(self.dots(other).values())

    def norm(self) -> float:
        return float(self.dot(self) ** 0.5)


def test_dot_cosine_and_share_negative_are_those_of_the_gradients() -> None:
    pairs = [Pair.of(Flat(3.0, 4.0), Flat(4.0, 3.0)), Pair.of(Flat(1.0, 0.0), Flat(-2.0, 5.0))]
    found = aligned(pairs, 4, "")
    assert (found["dot"], found["dot_min"], found["dot_max"], found["negative"]) == (11.0, -2.0, 24.0, 0.5)
    assert found["cosine"] == pytest.approx((24 / 25 - 2 / 29**0.5) / 2)
    assert (found["dot_embeddings"], found["negative_embeddings"]) == (5.0, 0.5)
    assert found["cosine_embeddings"] == pytest.approx(0.0)
    # Without a gradient there is no angle: the second response is left out of the mean, not counted as 0.
    assert (found["dot_blocks_1"], found["cosine_blocks_1"], found["negative_blocks_1"]) == (6.0, 1.0, 0.0)


def test_the_batchs_direction_is_that_of_a_plain_policy_gradient_with_the_groups_mean() -> None:
    """r − mean of the group over the scored tokens, of which there are 2 + 1 + 3 + 1 (the timeout's four do not count)."""
    step = made_step([[1.0, 0.0], [1.0, Outcome.TIMEOUT, 1.0]], lengths=[2, 1, 3, 4, 1])
    credit = RewardedLikelihood(view=Marginal()).credit(step, {})
    assert credit.advantage_N[:3].tolist() == [0.5, 0.5, -0.5]
    assert credit.weight_N.tolist() == pytest.approx([1 / 7] * 3 + [0.0] * 8)
