"""Games are solvable and in one part each; verdicts are exact; both components obey the laws of their kinds."""

import pytest
from prerl_spec.sdk import Outcome
from prerl_spec.testing.laws import check_data, check_verifier
from pydantic import ValidationError
from tokenizers import Tokenizer

from prerl_countdown.data import Games
from prerl_countdown.expressions import work_out
from prerl_countdown.games import SHARES, BadGold, Part, draw_game, read_gold
from prerl_countdown.tokenizer import tokenizer_files
from prerl_countdown.verifier import Expression

GOLD = "24 from 3 3 8 8"


@pytest.mark.parametrize("part", SHARES)
def test_games_obey_the_laws_of_data(part: Part) -> None:
    check_data(Games(part=part))
    check_data(Games(part=part, seed=3, count=(2, 6), largest=100))


@pytest.mark.parametrize("settings", [{}, {"extract": "whole"}, {"numbers": "any"}])
def test_the_verifier_obeys_the_laws_of_verifiers(settings: dict[str, str]) -> None:
    check_verifier(Expression(**settings), right=("8/(3-8/3)", GOLD), wrong=("3*8+8-3", GOLD))


def test_every_solution_reaches_its_target_with_its_numbers() -> None:
    for index in range(300):
        game = draw_game(f"test/{index}", "prompts", 2, 6, 50)
        worked = work_out(game.solution)
        assert worked.value == game.target
        assert sorted(worked.numbers) == sorted(game.numbers)
        assert Expression().judge(game.solution, game.gold).outcome is Outcome.RIGHT


def test_no_game_is_in_two_parts_for_any_seeds() -> None:
    seen: dict[Part, set[tuple[int, tuple[int, ...]]]] = {part: set() for part in SHARES}
    for part, games in seen.items():
        for seed in range(400):
            game = draw_game(str(seed), part, 3, 3, 9)
            games.add((game.target, tuple(sorted(game.numbers))))
    assert not seen["heldout"] & (seen["prompts"] | seen["corpus"])
    assert not seen["prompts"] & seen["corpus"]


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        ("<answer>8/(3-8/3)</answer>", Outcome.RIGHT),
        ("<answer>1</answer> no, <answer> 8/(3-8/3) </answer>", Outcome.RIGHT),
        ("8/(3-8/3)", Outcome.RIGHT),
        ("<answer>8/(3-8/3)</answer> and then <answer>", Outcome.RIGHT),
        ("</answer>8/(3-8/3)", Outcome.UNPARSABLE),
        ("3*8", Outcome.WRONG),
        ("8*3*8/8", Outcome.WRONG),
        ("8/(3-3)*8", Outcome.WRONG),
        ("24", Outcome.WRONG),
        ("3*8 = 24", Outcome.UNPARSABLE),
        ("I don't know", Outcome.UNPARSABLE),
    ],
)
def test_verdicts(response: str, outcome: Outcome) -> None:
    assert Expression().judge(response, GOLD).outcome is outcome


def test_numbers_may_be_unused_with_numbers_any() -> None:
    assert Expression(numbers="any").judge("3*8", GOLD).outcome is Outcome.RIGHT
    assert Expression(numbers="any").judge("8*8-8*5", GOLD).outcome is Outcome.WRONG


@pytest.mark.parametrize("gold", ["", "24", "24 from", "24 from a b", "-1 from 2 3"])
def test_a_malformed_gold_answer_is_refused_before_any_training(gold: str) -> None:
    assert Expression().check_gold(gold)
    with pytest.raises(BadGold):
        read_gold(gold)


def test_the_tokenizer_round_trips_every_question_and_solution() -> None:
    tokenizer = Tokenizer.from_str(tokenizer_files()["tokenizer.json"])
    rows = Games(part="corpus").open("corpus")
    for index in range(50):
        row = rows.row(index)
        assert row.question is not None
        assert row.document is not None
        text = row.question + row.document
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.token_to_id("<unk>") not in ids
        assert tokenizer.decode(ids) == text


def test_a_count_that_is_not_a_range_is_refused() -> None:
    with pytest.raises(ValidationError):
        Games(count=(4, 3))
