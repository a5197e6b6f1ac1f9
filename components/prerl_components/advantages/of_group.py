"""The base class of advantages that compare the rewards of one group, and of nothing else."""

from abc import abstractmethod

import numpy as np

from prerl_spec.sdk import Advantage, Array, Batch


class OfGroup(Advantage):
    """An advantage of each group by itself: subclasses define `of_group(reward_s)`."""

    baseline_over = "group"

    @abstractmethod
    def of_group(self, reward_s: Array) -> Array:
        """[s] the advantages of a group's scored samples, at least two, from their rewards [s]."""

    def advantage(self, batch: Batch) -> Array:
        """[S]; 0 in groups with fewer than two scored samples."""
        advantage_S = np.zeros(len(batch.step.samples))
        for mine, reward_s in batch.step.scored_groups():
            advantage_S[mine] = self.of_group(reward_s)
        return advantage_S
