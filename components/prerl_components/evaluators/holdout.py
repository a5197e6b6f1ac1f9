"""`holdout`: the spec's verifier on a data set of the spec, cheap enough to run during training."""

from collections.abc import Mapping
from typing import Annotated, cast

from pydantic import Field, SerializeAsAny

from prerl_spec.sdk import (
    Component,
    DataName,
    EnvironmentUnmet,
    EvaluationSite,
    EvaluatorSettings,
    Score,
    Slot,
    Verifier,
)


class Holdout(EvaluatorSettings):
    """avg@k and pass@k of the policy on a data set of the spec; its task in scores.json is the data set's name."""

    data: Annotated[str, DataName()] = Field(description="Name of a data set of the spec: `[data.NAME]`.")
    verifier: Annotated[SerializeAsAny[Component] | None, Slot("verifier")] = Field(
        default=None, description="Verifier to score with. Default: the data set's own, else that of the phase."
    )

    def consumes(self) -> frozenset[str]:
        return frozenset({"reward[scalar]"})

    @property
    def own_verifier(self) -> Verifier | None:
        return cast("Verifier | None", self.verifier)

    def data_sets(self) -> tuple[str, ...]:
        return (self.data,)

    def metrics_by_task(self) -> Mapping[str, tuple[str, ...] | None]:
        return {self.data: self.share_metrics()}

    def score(self, site: EvaluationSite) -> list[Score]:
        """avg@k and pass@k. Raises EnvironmentUnmet if no verifier is configured."""
        from prerl_spec.evaluation.holdout import score_holdout

        verifier = self.own_verifier or site.data_verifier.get(self.data) or site.verifier
        if verifier is None:
            raise EnvironmentUnmet(
                f"holdout: no verifier is configured for data.{self.data}",
                hint='add verifier = "math_verify" to the spec, or to this evaluator',
            )
        return score_holdout(site, self.data, self.draw(site), verifier)
