"""Scores the policy on a data set of the spec with its verifier: without lm-eval, rendered like training prompts."""

from collections.abc import Sequence
from typing import Any

from prerl_spec.engine.processes.seeds import named_seed
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.evaluation.scores.cache import ScoreCache
from prerl_spec.evaluation.scores.question_results import question_ids
from prerl_spec.evaluation.scores.samples import sample_line
from prerl_spec.evaluation.scores.scored import counted_again, judged, keep_questions
from prerl_spec.evaluation.scores.scores import Identity, digest, own_version, right_scores, template_hash
from prerl_spec.evaluation.scores.verdicts import question_result, verdicts_on
from prerl_spec.prompts import render_all
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.types import Draw, Generation, Prompt, Request, Score, Verdict


def score_holdout(site: EvaluationSite, name: str, draw: Draw, verifier: Verifier) -> list[Score]:
    """avg@n and pass@n on the first `limit` questions of a data set.

    Raises EnvironmentUnmet for a row without a question or gold answer, and for a prompt longer than the context.
    """
    prompts = _prompts(site, name, draw)
    what = Identity(
        task=name,
        harness=own_version(),
        task_version=str(verifier.version),
        task_hash=digest([site.data[name].fingerprint, type(verifier).__qualname__, verifier.settings()]),
        template_hash=template_hash(site.codec, site.data[name].rendering, None, prompts[0].context),
    )
    conditions = {"identity": vars(what), "draw": _what_decides(draw), "max_length": site.max_length}
    metrics, cache = (f"avg@{draw.samples}", f"pass@{draw.samples}"), ScoreCache(site.folder / "cache")
    if (known := cache.find(site, conditions)) is not None:
        return keep_questions(site, counted_again(site, what, draw, known, metrics))
    requests = [
        Request(p.context, tuple(named_seed("evaluate", draw.seed, name, p.row, k) for k in range(draw.samples)))
        for p in prompts
    ]
    drawn = site.generate(requests, draw.decoding)
    text_QK, verdict_QK = _judge(site, prompts, drawn, verifier)
    ids = question_ids((site.codec.decode(p.context, skip_special=False), str(p.gold)) for p in prompts)
    of_questions = list(zip(ids, prompts, drawn, verdict_QK, strict=True))
    results = [
        question_result(question, prompt.row, generations, verdicts)
        for question, prompt, generations, verdicts in of_questions
    ]
    lines = [
        sample_line(question, prompt.row, k, str(prompt.question), str(prompt.gold), texts[k], generation, verdicts[k])
        for (question, prompt, generations, verdicts), texts in zip(of_questions, text_QK, strict=True)
        for k, generation in enumerate(generations)
    ]
    scored = judged(right_scores(site, what, draw, results, metrics), results, lines)
    cache.keep(site, conditions, scored)
    return keep_questions(site, scored)


def _what_decides(draw: Draw) -> dict[str, Any]:
    """What of a draw decides the responses: not which k are counted from them."""
    return {name: getattr(draw, name) for name in ("decoding", "samples", "seed", "limit")}


def _prompts(site: EvaluationSite, name: str, draw: Draw) -> list[Prompt]:
    data = site.data[name]
    prompts = []
    rows = [(number, data.row(number)) for number in range(min(len(data), draw.limit or len(data)))]
    for (_, row), prompt in zip(rows, render_all(rows, name, data.rendering, site.codec), strict=True):
        if prompt.question is None or prompt.gold is None:
            raise EnvironmentUnmet(
                f"{row.where} has no question with a gold answer", hint="use a data set with questions and answers"
            )
        if len(prompt.context) + draw.decoding.max_new_tokens > site.max_length:
            raise EnvironmentUnmet(
                f"{row.where}: {len(prompt.context)} tokens and max_new_tokens {draw.decoding.max_new_tokens} exceed the "
                f"model's context length {site.max_length}",
                hint="lower the evaluator's max_new_tokens; questions are never truncated",
            )
        prompts.append(prompt)
    return prompts


def _judge(
    site: EvaluationSite, prompts: Sequence[Prompt], drawn: Sequence[Sequence[Generation]], verifier: Verifier
) -> tuple[list[list[str]], list[list[Verdict]]]:
    """The text of each question's responses, and the verdicts on them."""
    asked = [(prompt, g) for prompt, generations in zip(prompts, drawn, strict=True) for g in generations]
    texts = [site.codec.decode(g.tokens[:-1] if g.stop == "eos" else g.tokens) for _, g in asked]
    evidence = [(text, str(p.gold), g.stop == "length") for (p, g), text in zip(asked, texts, strict=True)]
    verdicts = verdicts_on(site, verifier, evidence)
    width = len(asked) // len(prompts)
    places = range(0, len(asked), width)
    return [texts[i : i + width] for i in places], [verdicts[i : i + width] for i in places]
