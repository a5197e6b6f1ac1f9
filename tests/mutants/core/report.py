"""Faults of the report: what is drawn, and what the audit raises."""

from tests.mutants.mutant import Mutant

ROWS = (
    Mutant(
        "rp01",
        "prerl_spec/report/page/curves.py",
        "spread = tuple((min(c), max(c)) for c in columns)",
        "spread = tuple((fmean(c), fmean(c)) for c in columns)",
        "the band of an arm's seeds has no width",
        ("tests/report/test_arms.py",),
    ),
    Mutant(
        "rp02",
        "prerl_spec/report/tables/audit.py",
        "    if difference is None or difference.high >= 0:\n",
        "    if difference is None or difference.value >= 1:\n",
        "longer responses are an alarm without any loss of accuracy",
        ("tests/report/test_audit.py",),
    ),
    Mutant(
        "rp03",
        "prerl_spec/report/tables/audit.py",
        "len(other) >= MIN_DISAGREEMENTS and len(other)",
        "len(other) >= len(judged) and len(other)",
        "a second verifier has to contradict every verdict",
        ("tests/report/test_audit.py",),
    ),
    Mutant(
        "rp04",
        "prerl_spec/report/drawing/heat_map.py",
        "    if share in (0.0, 1.0):\n",
        "    if share == 1.0:\n",
        "a question that was never right looks as if it had been right now and then",
        ("tests/report/test_questions.py",),
    ),
    Mutant(
        "rp05",
        "prerl_spec/report/tables/question_grids.py",
        "return [pass_at_k(right, samples, k) for",
        "return [pass_at_k(right, samples, 1) for",
        "the curve of pass@k is flat",
        ("tests/report/test_questions.py",),
    ),
    Mutant(
        "rp06",
        "prerl_spec/report/tables/audit.py",
        "last < COLLAPSED * start",
        "last < COLLAPSED * last",
        "an entropy that collapses is no alarm",
        ("tests/report/test_audit.py",),
    ),
)
