"""Scores models on tasks of every kind through `lm_eval --model hf` and through `prerl-spec eval`, and writes what differs.

`PYTHONPATH=.:components python benchmarks/harness_agreement.py [--model NAME=FOLDER …]` measures tiny random models, which it
makes, and the models named, on CPU in float32, and stores the result in tests/evaluation/agreement/measured.json;
docs/write_harness_agreement.py makes a page of it. A model that is measured already is measured again only if it is named.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from prerl_spec.testing.tiny import save_tiny
from tests.evaluation.agreement.both import agreements
from tests.evaluation.agreement.kinds import ALL

MEASURED = Path(__file__).parent.parent / "tests" / "evaluation" / "agreement" / "measured.json"
TINY = ("qwen3", "llama", "gpt2", "opt")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--kinds", nargs="+", default=list(ALL), choices=ALL)
    options = parser.parse_args()
    models = dict(named.split("=", 1) for named in options.model)
    known = json.loads(MEASURED.read_text(encoding="utf-8"))["models"] if MEASURED.is_file() else {}
    with tempfile.TemporaryDirectory() as scratch:
        if not models:
            models = {f"tiny {shape}": str(save_tiny(Path(scratch, shape), shape)) for shape in TINY}
        for number, (name, folder) in enumerate(models.items()):
            begin = time.perf_counter()
            found = agreements(Path(folder), Path(scratch, str(number)), options.kinds)
            known[name] = {"seconds": round(time.perf_counter() - begin, 1), "tasks": [asdict(one) for one in found]}
            for one in found:
                print(name, one, file=sys.stderr)
    versions = {package: version(package) for package in ("lm-eval", "transformers", "torch")}
    MEASURED.write_text(json.dumps({"versions": versions, "models": known}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
