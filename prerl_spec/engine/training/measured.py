"""What an objective measures per token while it trains: sums over passes and ranks, means over trained tokens."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.engine.author_faults import blames
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.part_inputs import PartInput
from prerl_spec.engine.training.slots import Sizes, Watched, require_tensor
from prerl_spec.needs import Teacher
from prerl_spec.registry.kinds.objective import Objective


@dataclass
class Measured:
    """Sums and counts by (update, share, metric): added in that order, the means do not depend on who computed what."""

    is_on: bool
    _sums: dict[tuple[int, int, str], Tensor] = field(default_factory=dict)
    """On the policy's device: a pass does not wait for a number."""
    _counts: Counter[tuple[int, int, str]] = field(default_factory=Counter)

    @classmethod
    def of(cls, objective: Objective, updates_per_batch: int) -> "Measured":
        """On where bounds and corrections can act (with several updates a batch, or with the sampler's log-probabilities),
        and where the policy is compared with a teacher."""
        needs = Needs.of(objective, updates_per_batch)
        compares = needs.compares_with_sampler or any(isinstance(need.of, Teacher) for need in needs.terms)
        return cls(is_on=updates_per_batch > 1 or compares)

    def add(self, update: int, share: int, parts: Sequence[PartInput]) -> None:
        """Adds the values of a pass's trained tokens."""
        if not self.is_on:
            return
        for seen in parts:
            sizes = Sizes(seen.tokens.num_samples, seen.tokens.num_tokens)
            logp = {n: v.detach() for n, v in seen.logp.items()}
            with torch.no_grad():
                with blames(seen.part, "measures"):
                    found = Watched.of(seen.part, sizes).part.measures(logp, seen.advantage_n, seen.tokens)
                for name, value_n in found.items():
                    require_tensor(seen.part, "measures", value_n, sizes.tokens, of=f" as `{name}`", floating=False)
                    key, total = (update, share, name), value_n[seen.trained_m].double().sum()
                    self._sums[key] = self._sums[key] + total if key in self._sums else total
                    self._counts[key] += len(seen.trained_m)

    def means(self, ranks: Ranks) -> dict[str, float]:
        """The mean of each metric over the trained tokens of the step. A collective call."""
        if not self.is_on:
            return {}
        mine = [(key, (float(total), self._counts[key])) for key, total in self._sums.items()]
        together = sorted(ranks.gather(mine))
        whole: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for (_, _, name), (total, count) in together:
            whole[name][0] += total
            whole[name][1] += count
        return {name: total / count for name, (total, count) in whole.items() if count}
