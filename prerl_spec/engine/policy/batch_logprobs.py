"""Log-probabilities and entropies of a batch without gradient: packed, scored share by share, summed over ranks."""

from collections.abc import Sequence
from itertools import chain

import torch

from prerl_spec.engine.policy.forward import Scoring
from prerl_spec.engine.policy.packing import pack_shares
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.needs import Need
from prerl_spec.types import Array, Step


def batch_logprobs(
    batch: Step,
    samples: Sequence[int],
    needs: Sequence[Need],
    policy: Policy,
    ranks: Ranks,
    *,
    tokens_per_pass: int,
    of: str,
    scoring: Scoring | None = None,
) -> Array:
    """[len(needs), N] in nats, the same on every rank; 0 for the tokens of other samples than `samples`.

    The needs share one view, hence one forward. `of` is the label under which the policy counts the forward; `scoring`
    is the model that scores, None for the policy itself. A collective call.
    """
    (view,) = {need.view for need in needs}
    shares = pack_shares(
        batch,
        {view: samples},
        policy.codec,
        ranks.division,
        tokens_per_pass=tokens_per_pass,
        arrangement=policy.arrangement,
    )
    found = torch.zeros(len(needs), batch.tokens.num_tokens, dtype=torch.float64, device=policy.device)
    with torch.no_grad():
        for one in chain.from_iterable(shares.values()):
            if one.sample_ids or policy.is_sharded:
                vectors = policy.logprobs(one, needs, temperature=batch.temperature, of=of, scoring=scoring)
                where = torch.from_numpy(one.index_N).to(found.device)
                for row, need in enumerate(needs):
                    found[row, where] = vectors[need].double()
    whole: Array = ranks.sum(found).cpu().numpy()
    return whole
