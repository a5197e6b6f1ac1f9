"""The metrics of a batch under the policy that sampled it: from forwards that run anyway where they see every response,
else from a forward of some responses before the first update.

`sampler_gap` must end a run before its samples are trained on. Values of the forwards with gradient are there when all
gradients of the update are, so that they are looked at between the last backward pass and the optimizer's step.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prerl_spec.compiler.estimates.step_counts import PROBED_RESPONSES
from prerl_spec.engine.policy.batch_logprobs import batch_logprobs
from prerl_spec.engine.policy.packing import Pass
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.gradient_free_logprobs import GradientFree
from prerl_spec.engine.training.minibatch import Minibatch
from prerl_spec.needs import Need, View
from prerl_spec.types import Array, Step
from prerl_spec.views import Conditional


class OnPolicy:
    """Metrics: the mean |trainer − sampler| log-probability in nats (`sampler_gap`), KL(sampler ‖ trainer), the mean
    log-probability of a token in each view, and the entropy where the sampler returns none.

    All views score the same responses, so that log P(y) and log P(y|x) can be compared: every response of the step if the
    forwards of each view see them all, else 8 evenly spread over the step; every one too with `whole`. `begin` comes before
    the first update, `saw` after each of its forwards, `end` before it is applied; ranks call `begin` and `end` together.
    """

    def __init__(
        self,
        step: Step,
        views: Iterable[View],
        policy: Policy,
        ranks: Ranks,
        *,
        whole: bool,
        budget: int,
        check: Callable[[Mapping[str, float]], None],
    ) -> None:
        """`views` are the differentiated ones; `budget` is in tokens per pass; `check` sees the metrics before anything is
        applied, and ends the step by raising."""
        self.metrics: dict[str, float] = {}
        self._step, self._policy, self._ranks = step, policy, ranks
        self._whole, self._budget, self._check = whole, budget, check
        self._needs = {view: [Need(view)] for view in {v.name: v for v in (Conditional(), *views)}.values()}
        if all(segment.entropies is None for sample in step.samples for segment in sample.segments):
            for view, needs in self._needs.items():
                needs += [Need(view, entropy=True)] if view.name == "conditional" else []
        self._known: dict[View, Array] = {}
        self._awaited: dict[View, Tensor] = {}
        self._chosen: Sequence[int] = ()

    @property
    def awaited(self) -> list[Need]:
        """What the forwards of the first update are to compute, for all samples that they see."""
        return [need for view in self._awaited for need in self._needs[view]]

    def begin(self, minibatches: Sequence[Minibatch], vectors: GradientFree) -> None:
        """Takes what is known of the policy before the first update, runs what no forward would compute, and checks if
        nothing is awaited."""
        count = len(self._step.samples)
        if not count:
            return
        trained = minibatches[0].samples_by_view() if len(minibatches) == 1 else {}
        for view, needs in self._needs.items():
            if (old := vectors.whole([need._replace(of="old") for need in needs])) is not None:
                self._known[view] = old
            elif len(trained.get(view, ())) == count:
                shape = len(needs), self._step.tokens.num_tokens
                self._awaited[view] = torch.zeros(shape, dtype=torch.float64, device=self._policy.device)
        missing = [view for view in self._needs if view not in self._known and view not in self._awaited]
        scored = count if self._whole or not missing else min(PROBED_RESPONSES, count)
        self._chosen = sorted({int(i) for i in np.linspace(0, count - 1, scored).round()})
        for view in missing:
            self._known[view] = batch_logprobs(
                self._step,
                self._chosen,
                self._needs[view],
                self._policy,
                self._ranks,
                tokens_per_pass=self._budget,
                of="probe",
            )
        if not self._awaited:
            self._conclude()

    def saw(self, one: Pass, vectors: Mapping[Need, Tensor]) -> None:
        """Keeps what a forward of the first update has computed."""
        for view, found in self._awaited.items():
            where = torch.from_numpy(one.index_N).to(found.device)
            for row, need in enumerate(self._needs[view]):
                found[row, where] = vectors[need].detach().double()

    def end(self) -> None:
        """Adds up what the ranks have seen, and checks."""
        for view, found in self._awaited.items():
            self._known[view] = self._ranks.sum(found).cpu().numpy()
        if self._awaited:
            self._conclude()

    def _conclude(self) -> None:
        seen_N = np.isin(self._step.tokens.sample_N, self._chosen)
        for view, (logp_N, *entropies) in self._known.items():
            self.metrics[f"logp_{view.name}"] = float(logp_N[seen_N].mean())
            if view.name == "conditional":
                for entropy_N in entropies:
                    self.metrics["entropy"] = float(entropy_N[seen_N].mean())
                self.metrics |= _sampler_gap(self._step, logp_N, seen_N)
        self._check(self.metrics)


def _sampler_gap(step: Step, logp_N: Array, seen_N: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Of the seen tokens; empty if the sampler returns no log-probabilities."""
    sampler_N = np.array([p for a in step.samples for s in a.segments if s.trained for p in (s.logps or ())])
    if sampler_N.shape != logp_N.shape:
        return {}
    gap_N = (logp_N - sampler_N)[seen_N]
    # KL(sampler || trainer) on tokens of the sampler, k3 with w = trainer/sampler: w − 1 − log w.
    bounded_N = np.clip(gap_N, -20, 20)
    return {
        "sampler_gap": float(np.abs(gap_N).mean()),
        "kl_sampler_trainer": float((np.expm1(bounded_N) - bounded_N).mean()),
    }
