"""How often the verifier is right: by kind, false right and false wrong apart; how fast; what keeps it busy.

    python -m benchmarks.verdicts [--triples FILE] [--golds FILE …] [--upstream SDIST] [--throughput] [--slow-answers]
        [--instances N] [--seed S] [--json FILE]

`--triples`: rows of kind, gold, response, right. `--golds`: JSONL with a column `answer`; each perturbation of
right_forms.py and wrong_forms.py is applied to N of them. `--upstream`: Math-Verify's unpacked sdist
(`pip download --no-deps --no-binary :all: math-verify==0.9.0`). `--throughput` needs golds. `--slow-answers` judges
answers of each construct that Math-Verify's grammar accepts under a deadline of 2 s. `--json` stores rates and misses.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.verdicts.golds import read_golds
from benchmarks.verdicts.perturbed import perturbed
from benchmarks.verdicts.slow_answers import slow_answers
from benchmarks.verdicts.throughput import throughputs
from benchmarks.verdicts.triples import Triple, measured, read_triples, table
from benchmarks.verdicts.upstream import upstream


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__.partition("\n")[0])
    parser.add_argument("--triples", type=Path)
    parser.add_argument("--golds", type=Path, action="append", default=[])
    parser.add_argument("--upstream", type=Path)
    parser.add_argument("--throughput", action="store_true")
    parser.add_argument("--slow-answers", action="store_true")
    parser.add_argument("--instances", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.throughput and not args.golds:
        parser.error("--throughput takes its answers from --golds FILE.jsonl")
    golds = list(dict.fromkeys(gold for path in args.golds for gold in read_golds(path)))
    stored: dict[str, object] = {}

    def report(title: str, triples: list[Triple]) -> None:
        rates, misses = measured(triples)
        print("\n".join(table(title, rates)), flush=True)
        stored[title] = {"rates": {kind: asdict(row) for kind, row in rates.items()}, "misses": misses}

    if args.triples is not None:
        report("triples", read_triples(args.triples))
    if golds:
        right, wrong = perturbed(golds, args.instances, args.seed)
        report("right forms of real golds", right)
        report("wrong forms of real golds", wrong)
    if args.upstream is not None:
        taken = upstream(args.upstream)
        report("Math-Verify's own tests", taken.triples)
        print(f"  {taken.left_out} rows left out: no single formula or box")
    if args.throughput:
        found = throughputs(golds, args.seed)
        stored["throughput"] = [asdict(row) for row in found]
        for row in found:
            rate = row.count / row.seconds
            print(f"{row.answers}, {row.workers} workers: {rate:.0f} answers/s ({row.count} in {row.seconds:.1f} s)")
    if args.slow_answers:
        slow, refused = slow_answers(seed=args.seed)
        stored["slow answers"] = [asdict(row) for row in slow]
        print(f"answers of more than 2 s: {len(slow)} of 1000 that pass the gate, which refused {refused}")
        print(*(f"  {row.seconds:5.1f} s  {row.answer}  against  {row.gold}" for row in slow), sep="\n")
    if args.json is not None:
        args.json.write_text(json.dumps(stored, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
