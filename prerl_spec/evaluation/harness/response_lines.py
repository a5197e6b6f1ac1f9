"""Every response to an lm-eval task as a line for reading: what a verifier, or the task's own filters and metrics, found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prerl_spec.evaluation.harness.question_values import Logged, is_number, plain, questions_of
from prerl_spec.evaluation.harness.repeats import Repeats
from prerl_spec.evaluation.scores.samples import sample_line
from prerl_spec.types import Outcome

Line = dict[str, Any]


def verdict_lines(logged: Logged) -> list[Line]:
    """Of a task whose filtered responses are verdicts."""
    return [
        sample_line(question, sample["doc_id"], number, *_asked(sample), str(response), response.generation, verdict)
        for question, sample in questions_of(logged)
        for number, (response, verdict) in enumerate(zip(sample["resps"][0], sample["filtered_resps"][0], strict=True))
    ]


def value_lines(logged: Logged, repeats: Repeats | None = None) -> list[Line]:
    """Of a task with metrics of its own: with `values` by "metric,filter" and `filtered`, what each filter has left.

    `verdict` is right or wrong by the first metric that is 1 or 0, `answer` the text that its filter has left. Where the
    task itself asks several times and votes, values, verdict and answer are those of the question. Text that was scored
    and not generated has a line a question, with `loglikelihoods` in nats of each choice.
    """
    by_row: dict[int, list[Mapping[str, Any]]] = {}
    for sample in logged:
        by_row.setdefault(sample["doc_id"], []).append(sample)
    return [
        line
        for question, sample in questions_of(logged)
        for line in _of_question(question, sample, by_row[sample["doc_id"]], repeats)
    ]


def _of_question(
    question: str, sample: Mapping[str, Any], of_filters: Sequence[Mapping[str, Any]], repeats: Repeats | None
) -> Iterator[Line]:
    row = sample["doc_id"]
    values = {f"{metric},{one['filter']}": one[metric] for one in of_filters for metric in one["metrics"]}
    filtered = {one["filter"]: one["filtered_resps"][0] for one in of_filters}
    responses = sample["resps"][0]
    if getattr(responses[0], "generation", None) is None:
        yield _scored_line(question, sample, values)
        return
    for number, response in enumerate(responses):
        if repeats is not None:
            values, filtered = repeats.of_response(row, number)
        line = sample_line(question, row, number, *_asked(sample), str(response), response.generation, None)
        verdict, by_filter = _verdict(values)
        answer = _text(filtered.get(by_filter)) if by_filter in filtered else _text(next(iter(filtered.values()), None))
        yield {
            **line,
            "verdict": verdict,
            "answer": answer,
            "values": _plain_values(values),
            "filtered": {name: _text(found) for name, found in filtered.items()},
        }


def _scored_line(question: str, sample: Mapping[str, Any], values: Mapping[str, Any]) -> Line:
    """A question whose choices, or whose text, were scored by their log-probabilities."""
    found = [responses[0] for responses in sample["resps"]]
    logps = [float(one[0] if isinstance(one, list | tuple) else one) for one in found]
    asked, gold = _asked(sample)
    choices = [str(arguments[1]) for arguments in sample["arguments"] if len(arguments) > 1]
    verdict, _ = _verdict(values)
    line: Line = {"id": question, "question": sample["doc_id"], "sample": 0, "input": asked, "gold": gold}
    # A task that also asks for the choices without a question has as many pairs again, of which no one is the answer.
    is_choice = len(choices) > 1 and len({arguments[0] for arguments in sample["arguments"]}) == 1
    answer = choices[max(range(len(choices)), key=logps.__getitem__)] if is_choice else None
    line |= {"verdict": verdict, "answer": answer, "detail": "", "choices": choices, "loglikelihoods": logps}
    if all(isinstance(one, list | tuple) and len(one) > 1 for one in found):
        line["greedy"] = [bool(one[1]) for one in found]
    return line | {"values": _plain_values(values)}


def _asked(sample: Mapping[str, Any]) -> tuple[str, str]:
    return str(sample["arguments"][0][0]), str(sample["target"])


def _verdict(values: Mapping[str, Any]) -> tuple[str | None, str]:
    """Right or wrong, by the first metric that says so, and that metric's filter; None where none does."""
    for name, value in values.items():
        if is_number(value) and float(value) in (0.0, 1.0):
            return str(Outcome.RIGHT if float(value) == 1.0 else Outcome.WRONG), name.rpartition(",")[2]
    return None, ""


def _plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: plain(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value is not None}


def _text(filtered: Any) -> str | None:
    """What a filter has left of a response, or of all responses to a question."""
    if isinstance(filtered, list | tuple):
        filtered = filtered[0] if len(filtered) == 1 else None
    return None if filtered is None else str(filtered)
