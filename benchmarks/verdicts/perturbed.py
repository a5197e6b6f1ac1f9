"""Triples from real gold answers: each perturbation of each kind, drawn by a seed."""

import random
import re
from collections.abc import Sequence

from benchmarks.verdicts.golds import PAIR
from benchmarks.verdicts.right_forms import BARE_BOX, RIGHT_FORMS
from benchmarks.verdicts.triples import Triple
from benchmarks.verdicts.wrong_forms import WRONG_FORMS


def perturbed(golds: Sequence[str], instances: int, seed: int) -> tuple[list[Triple], list[Triple]]:
    """At most `instances` triples of each kind: right forms, wrong forms. A kind draws by its own name and the seed."""
    golds = [*golds, *_made(golds, random.Random(seed))]
    right = {kind: (lambda gold, chance, form=form: form(gold)) for kind, form in RIGHT_FORMS.items()}
    return _drawn(golds, right, True, instances, seed), _drawn(golds, WRONG_FORMS, False, instances, seed)


def _made(golds: Sequence[str], chance: random.Random) -> list[str]:
    """Half-open intervals, rays and mixed numbers from the numbers of real golds, which hold fewer than twenty."""
    pairs = [match for gold in golds if (match := PAIR.fullmatch(gold)) and int(match[1]) < int(match[2])]
    whole = [gold for gold in golds if re.fullmatch(r"[1-9]\d*", gold)]
    intervals = [f"[{match[1]},{match[2]})" for match in chance.sample(pairs, min(20, len(pairs)))]
    rays = [rf"[{gold},\infty)" for gold in chance.sample(whole, min(20, len(whole)))]
    return [*intervals, *rays, *(rf"{gold}\frac{{1}}{{2}}" for gold in chance.sample(whole, min(20, len(whole))))]


def _drawn(golds: Sequence[str], forms: dict, is_right: bool, instances: int, seed: int) -> list[Triple]:
    triples: list[Triple] = []
    seen: set[tuple[str, str, str]] = set()
    for kind, form in forms.items():
        chance = random.Random(f"{seed} {kind}")
        found = 0
        for gold in chance.sample(golds, len(golds)):
            pair = form(gold, chance)
            if pair is None or (kind, *pair) in seen:
                continue
            seen.add((kind, *pair))
            box = f"\\boxed {pair[1]}" if kind == BARE_BOX else f"\\boxed{{{pair[1]}}}"
            triples.append(Triple(kind, pair[0], f"Therefore the answer is {box}.", is_right))
            found += 1
            if found == instances:
                break
    return triples
