"""What a plan says of prompts that stand once in a forward, and that its number of passes is enough."""

from dataclasses import replace

import numpy as np
import pytest
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.presets.pretrain_space import MarginalNsr

from prerl_spec.compiler.estimates.step_counts import forward_tokens, forwards, passes_at_most
from prerl_spec.compiler.plan import Forward
from prerl_spec.engine.policy.rows import Arrangement
from prerl_spec.types import Attempt, Group, Prompt, Segment, Step
from prerl_spec.views import Conditional
from tests.engine.steps import pack, tiny_policy


def planned(context: int, group_size: int, samples: int = 64) -> Forward:
    (found,) = forwards(
        Grpo(),
        samples=samples,
        group_size=group_size,
        updates_per_batch=1,
        contexts={"conditional": context},
        probed=False,
    )
    return found


def test_a_groups_prompt_counts_once_where_it_is_long_enough() -> None:
    assert forward_tokens(planned(128, 8), 64) == 8 * 128 + 64 * 64
    assert forward_tokens(planned(4, 8), 64) == 64 * 4 + 64 * 64
    assert forward_tokens(planned(128, 1), 64) == 64 * (128 + 64)


def test_a_prefix_of_one_token_stands_before_every_sample() -> None:
    (found,) = forwards(
        MarginalNsr(), samples=64, group_size=8, updates_per_batch=1, contexts={"marginal": 1}, probed=False
    )
    assert found.sharing == 1


def step_of(context: int, lengths: np.ndarray) -> Step:
    groups = []
    for slot, of_group in enumerate(lengths):
        attempts = tuple(Attempt((Segment((5,) * int(n)),), "", "length") for n in of_group)
        groups.append(Group(slot, Prompt("train", slot, "?", "1", (slot,) * context), attempts))
    return Step("p", 1, 1, tuple(groups))


@pytest.mark.parametrize("arrangement", ["flat", "padded"])
@pytest.mark.parametrize("context", [3, 20, 90])
def test_an_update_takes_no_more_passes_than_planned(context: int, arrangement: Arrangement) -> None:
    """Groups of 2 to 9, responses of maximum length and shorter ones, budgets from one sample to several groups."""
    codec, random = tiny_policy().codec, np.random.default_rng(context)
    for group_size, response, budget in [
        (2, 60, 500),
        (4, 30, 300),
        (8, 50, 512),
        (9, 40, 1_000),
        (8, 200, 300),
        (5, 7, 64),
    ]:
        forward = planned(context, group_size, 6 * group_size)
        at_most = passes_at_most([forward], response, 6 * group_size, budget)
        assert at_most is not None
        longest = np.full((6, group_size), response)
        for lengths in (longest, random.integers(1, response + 1, size=longest.shape)):
            step = step_of(context, lengths)
            views = {Conditional(): range(6 * group_size)}
            passes = pack(step, views, codec, tokens_per_pass=budget, arrangement=arrangement)
            assert len(passes) <= at_most
            together = sum(one.rows[Conditional()].id_BT.size for one in passes)
            if arrangement == "flat" and len(passes) == 1:
                assert together <= forward_tokens(replace(forward, samples=6 * group_size), response)
