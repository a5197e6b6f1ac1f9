"""A benchmark as an lm-eval task whose responses (k per question) are judged by a verifier in one batch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import Dataset
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean
from lm_eval.api.task import ConfigurableTask

from prerl_spec.evaluation.harness.policy_lm import Response
from prerl_spec.evaluation.scores.verdicts import count_right
from prerl_spec.statistics.pass_at_k import avg_at_k, pass_at_k
from prerl_spec.types import Verdict

Judge = Callable[[Sequence[tuple[str, str, bool]]], list[Verdict]]


class VerifiedTask(ConfigurableTask):  # type: ignore[misc]  # lm-eval ships no types
    """An lm-eval task over the given rows: lm-eval builds requests and aggregates scores, `judge` returns the verdicts.

    lm-eval would judge responses one by one; here its filter step passes all responses of the task to the verifier's
    worker processes at once, and each question's `filtered_resps` are the k verdicts.
    """

    def __init__(
        self, config: Mapping[str, Any], rows: Sequence[Mapping[str, str]], judge: Judge, num_samples: int
    ) -> None:
        self.rows = [dict(row) for row in rows]
        self.judge = judge
        self.num_samples = num_samples
        super().__init__(config={**config, "repeats": num_samples})

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **_: Any) -> None:
        """Builds the data set from the given rows, without a download or a cache."""
        self.dataset = {self.config.test_split: Dataset.from_list(self.rows)}

    def apply_filters(self) -> list[Instance]:
        """Judges every response in one call of the verifier."""
        asked = [(response, instance) for instance in self.instances for response in instance.resps]
        verdicts = iter(self.judge([self._evidence(response, instance.doc) for response, instance in asked]))
        for instance in self.instances:
            instance.filtered_resps["verdict"] = [next(verdicts) for _ in instance.resps]
        return list(self.instances)

    def process_results(self, doc: Mapping[str, Any], results: Sequence[Sequence[Verdict]]) -> dict[str, float]:
        """avg@k and pass@k of one question."""
        num_right = count_right(results[0])
        return {
            f"avg@{self.num_samples}": avg_at_k(num_right, self.num_samples),
            f"pass@{self.num_samples}": pass_at_k(num_right, self.num_samples, self.num_samples),
        }

    def aggregation(self) -> dict[str, Callable[[list[float]], float]]:
        return {f"avg@{self.num_samples}": mean, f"pass@{self.num_samples}": mean}

    def higher_is_better(self) -> dict[str, bool]:
        return dict.fromkeys(self.aggregation(), True)

    def _evidence(self, response: Response, doc: Mapping[str, Any]) -> tuple[str, str, bool]:
        return str(response), str(self.doc_to_target(doc)), response.truncated
