"""Several processes share the work of an evaluation, and each has the whole result."""

import json
from pathlib import Path
from typing import Any

from prerl_components.evaluators.lm_eval import LmEval

from prerl_spec.evaluation.scores.question_results import read_questions
from tests.engine.forked_ranks import forked_ranks
from tests.evaluation.sites import invariant_logps, tiny_scene, write_rows


def test_two_processes_share_the_questions_and_agree_with_one(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", num_rows=5)
    forked_ranks("tests.evaluation.rank_worker", str(tmp_path), str(rows), cwd=tmp_path)
    first, second = ({} | json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first["scores"] == second["scores"]
    written = {rank: list((tmp_path / f"rank-{rank}").rglob("questions/*.jsonl")) for rank in (0, 1)}
    assert [len(files) for files in written.values()] == [1, 0], "the main process writes what each question added"
    for told in (first["ticks"], second["ticks"]):
        assert {total for _, _, total in told} == {15}, "five questions with three responses, whoever samples them"
        assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert first["logps"] == second["logps"]
    assert first["invariant logps"] == second["invariant logps"]

    with tiny_scene(tmp_path / "alone") as scene:
        scores = LmEval(tasks=("math500_boxed",), data={"math500_boxed": str(rows)}, samples=3).score(scene.site)
        alone = [list(pair) for pair in invariant_logps(scene)]
        asked: list[Any] = [list(request.context) for request in scene.heard.requests]
    assert [s["value"] for s in first["scores"]] == [s.value for s in scores]
    (alone_file,) = (tmp_path / "alone" / "questions").iterdir()
    assert [r.right for r in read_questions(written[0][0])[1]] == [r.right for r in read_questions(alone_file)[1]]
    assert first["invariant logps"] == alone, "bit for bit: the same pairs share a forward"
    assert first["questions"] == asked[0::2]
    assert second["questions"] == asked[1::2]

    for stopped in (first["stopped"], second["stopped"]):
        assert stopped["interrupted"], "a signal to one process stops all of them, within a call"
        assert stopped["equal"], "bit for bit"
    # 12 requests a rank, two in a round: rank 1 was stopped in its third at the latest, and did not sample two again.
    asked = second["stopped"]["asked"]
    assert asked[0] < 12
    assert asked[1] <= 12 - 4
