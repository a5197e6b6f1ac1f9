"""An interrupted evaluation keeps what it has finished, and its scores have the bits of an undisturbed one."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.engine.policy import continuation_logps
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.run import kept_rounds
from prerl_spec.engine.run.kept_rounds import UNFINISHED, KeptRounds, forget_rounds, rounds_of
from prerl_spec.engine.run.shared_calls import SharedCalls
from prerl_spec.errors import Interrupted
from prerl_spec.types import Decoding, Generation, Outcome, Request, Verdict
from tests.evaluation.sites import EvenLength, Scene, check_golds, judge, tiny_scene

DECODING = Decoding(max_new_tokens=6)
REQUESTS = [Request(tuple(range(3, 5 + i % 4)), (7 * i, 7 * i + 1)) for i in range(10)]


class Impatient:
    """Interrupts the work at its n-th tick."""

    def __init__(self, at: float) -> None:
        self.left = at

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.left -= 1
        if self.left <= 0:
            raise Interrupted("interrupted")


def calls(scene: Scene, folder: Path, at: float = math.inf, judging: Any = judge) -> SharedCalls:
    found = SharedCalls(
        scene.policy,
        scene.heard,
        Ranks.start(),
        judging,
        Impatient(at),
        check_golds=check_golds,
        conditions={"sampler": "it"},
    )
    found.keep_rounds(folder / UNFINISHED, "weights")
    return found


@pytest.fixture(autouse=True)
def small_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_rounds, "SAMPLES_PER_ROUND", 6)


def test_rounds_are_cut_before_the_work_begins() -> None:
    assert rounds_of([2, 2, 2, 2, 9, 1], lambda n: n, most=6) == [[2, 2, 2], [2], [9], [1]]
    assert rounds_of([], lambda n: 1, most=6) == []


def test_an_interrupted_evaluation_samples_only_what_it_has_not_sampled(tmp_path: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        whole = calls(scene, tmp_path / "undisturbed").generate(REQUESTS, DECODING)
        scene.heard.requests.clear()
        with pytest.raises(Interrupted):
            calls(scene, tmp_path, at=3).generate(REQUESTS, DECODING)
        started = len(scene.heard.requests)
        again = calls(scene, tmp_path).generate(REQUESTS, DECODING)
        assert again == whole
        assert 0 < started < 10
        # The round in which the interrupt came is sampled again, as a whole: in the same company.
        assert len(scene.heard.requests) == 10 + 3
        calls(scene, tmp_path).generate(REQUESTS, Decoding(temperature=0.5, max_new_tokens=6))
        assert len(scene.heard.requests) == 10 + 3 + 10, "another decoding is another evaluation"
        forget_rounds(tmp_path)
        assert not (tmp_path / UNFINISHED).exists()


def test_an_interrupt_says_what_is_kept(tmp_path: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        with pytest.raises(Interrupted) as first:
            calls(scene, tmp_path, at=1).generate(REQUESTS, DECODING)
        assert str(first.value.message) == (
            "interrupted: nothing was kept yet: a round has up to 6 responses, and whole questions"
        )
        with pytest.raises(Interrupted, match="interrupted: the responses to 6 of 10 questions are kept"):
            calls(scene, tmp_path, at=4).generate(REQUESTS, DECODING)
        assert len(list((tmp_path / UNFINISHED).iterdir())) == 2, "rounds of three questions"


def test_what_another_evaluation_has_kept_stays(tmp_path: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        one, other = calls(scene, tmp_path), calls(scene, tmp_path)
        one.generate(REQUESTS, DECODING)
        own = sorted((tmp_path / UNFINISHED).iterdir())
        other.generate(REQUESTS, Decoding(temperature=0.5, max_new_tokens=6))
        other.forget_rounds()
        assert sorted((tmp_path / UNFINISHED).iterdir()) == own
        one.forget_rounds()
        assert not (tmp_path / UNFINISHED).exists()


@pytest.mark.parametrize("damage", ["flip", "cut", "misplace"])
def test_a_damaged_round_is_sampled_again_and_not_trusted(tmp_path: Path, damage: str) -> None:
    with tiny_scene(tmp_path) as scene:
        whole = calls(scene, tmp_path).generate(REQUESTS, DECODING)
        files = sorted((tmp_path / UNFINISHED).iterdir())
        content = bytearray(files[0].read_bytes())
        content[-5] ^= 1
        files[0].write_bytes({"flip": bytes(content), "cut": content[:-40], "misplace": files[1].read_bytes()}[damage])
        scene.heard.requests.clear()
        assert calls(scene, tmp_path).generate(REQUESTS, DECODING) == whole
        assert len(scene.heard.requests) in (1, 3), "one round"


def test_log_probabilities_and_verdicts_are_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuation_logps, "TOKENS_PER_FORWARD", 24)
    pairs = [(tuple(range(3, 6 + i % 3)), (5 + i, 9)) for i in range(20)]
    asked: list[int] = []

    def counted(verifier: Any, evidence: Sequence[tuple[str, str, bool]]) -> list[Verdict]:
        asked.append(len(evidence))
        if len(asked) == 3:
            raise Interrupted("interrupted")
        return judge(verifier, evidence)

    evidence = [("x" * i, "", False) for i in range(20)]
    with tiny_scene(tmp_path) as scene:
        whole = calls(scene, tmp_path / "undisturbed").continuation_logps(pairs)
        with pytest.raises(Interrupted):
            calls(scene, tmp_path, at=4).continuation_logps(pairs)
        assert list((tmp_path / UNFINISHED).glob("logps-*"))
        assert calls(scene, tmp_path).continuation_logps(pairs) == whole
        with pytest.raises(Interrupted):
            calls(scene, tmp_path, judging=counted).verify(EvenLength(), evidence)
        assert calls(scene, tmp_path, judging=counted).verify(EvenLength(), evidence) == judge(EvenLength(), evidence)
        assert asked == [6, 6, 6, 6, 2]


def test_a_verifiers_fault_is_not_kept(tmp_path: Path) -> None:
    """The hint is to mend the verifier and run the command again."""
    faults = [Verdict(Outcome.ERROR, None, detail="out of order")]
    with tiny_scene(tmp_path) as scene:
        assert (
            calls(scene, tmp_path, judging=lambda v, e: faults * len(e)).verify(EvenLength(), [("x", "", False)])
            == faults
        )
        assert calls(scene, tmp_path).verify(EvenLength(), [("xx", "", False)])[0].outcome == Outcome.RIGHT
        assert calls(scene, tmp_path).verify(EvenLength(), [("x", "", False)])[0].outcome == Outcome.WRONG


def test_what_is_kept_comes_back_bit_for_bit(tmp_path: Path) -> None:
    numbers = (0.1, -1e-300, math.inf, 5e-324, -0.0)
    drawn = [
        [Generation((1, 2, 3, 4, 2**40), numbers, "stop", numbers), Generation((), (), "length", None)],
        [Generation((9,), (-0.3,), "eos", ())],
    ]
    file = KeptRounds(tmp_path, {}).generations([], DECODING)
    assert file.find() is None
    file.keep(drawn)
    found = file.find()
    assert found == drawn
    assert repr(found) == repr(drawn)
    assert [f.name[:12] for f in tmp_path.iterdir()] == ["generations-"]
