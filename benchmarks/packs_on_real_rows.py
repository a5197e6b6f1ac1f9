"""Reads the local rows of our packs, checks their gold answers, and scores a tiny random model on all of them.

`PYTHONPATH=.:components python benchmarks/packs_on_real_rows.py ../shared/data` wants DIR/aime24/test.jsonl and its like.
"""

import json
import sys
import tempfile
from pathlib import Path

from prerl_spec.cli.main import main
from prerl_spec.json_lines import count_json_lines
from prerl_spec.storage.sealed import read_array
from prerl_spec.testing.tiny import save_tiny

SETS = {name: f"{name}_boxed" for name in ("aime24", "aime25", "amc23", "gsm8k")}
CONTEXT = 8192


def run(rows: Path) -> None:
    """Prints, for each pack whose rows are there, how many questions were scored."""
    files = {pack: rows / name / "test.jsonl" for name, pack in SETS.items()}
    there = {pack: file for pack, file in files.items() if file.is_file()}
    with tempfile.TemporaryDirectory() as folder:
        model = save_tiny(Path(folder) / "model")
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        # The longest question has two thousand of its one-byte tokens.
        (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": CONTEXT}), encoding="utf-8")
        command = ["eval", str(model), "--tasks", ",".join(there), "--max-new-tokens", "2", "--out", f"{folder}/out"]
        command += [word for pack, file in there.items() for word in ("--data", f"{pack}={file}")]
        if main([*command, "--temperature", "0"]) != 0:
            raise SystemExit(1)
        scores = read_array(Path(folder) / "out" / "scores.json")
    for pack, file in there.items():
        scored = {row["questions"] for row in scores if row["task"] == pack}
        print(f"{pack}: {count_json_lines(file)} rows, scored {scored}")


if __name__ == "__main__":
    run(Path(sys.argv[1]))
