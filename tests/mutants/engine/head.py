"""Faults in the head, in norms and in log-probabilities."""

from tests.mutants.mutant import Mutant
from tests.mutants.places import BLOCKS, LOGPROBS, REFERENCE, TILES

ROWS = (
    Mutant(
        "p07",
        "prerl_spec/engine/policy/batch_logprobs.py",
        "policy.logprobs(one, needs, temperature=batch.temperature, of=of, scoring=scoring)",
        "policy.logprobs(one, needs, temperature=1.0, of=of, scoring=scoring)",
        "old and reference log-probabilities are those of temperature 1",
        REFERENCE,
    ),
    Mutant(
        "l04",
        LOGPROBS,
        "recompute = torch.is_grad_enabled() and target_n.shape[0] > size",
        "recompute = False",
        "the logits of all tiles stay in memory",
        TILES,
    ),
    Mutant("l10", BLOCKS, "logits_nv.div_(temperature)", "logits_nv.mul_(temperature)", "temperature sharpens", TILES),
    Mutant(
        "l11",
        BLOCKS,
        "torch.stack(entropies) - share_bn",
        "torch.stack(entropies) + share_bn",
        "an entropy is no entropy",
        TILES,
    ),
    Mutant(
        "l12",
        BLOCKS,
        "self.of_logp_n.where(inside_n, 0.0)[:, None]",
        "self.of_logp_n[:, None]",
        "every block has a target: the gradient is that of as many targets as blocks",
        TILES,
    ),
    Mutant(
        "l13",
        BLOCKS,
        "return Product(self.hidden_nd.to(dtype), self.head_Vd.to(dtype), self.bias_V)",
        "return Product(self.hidden_nd.to(dtype), self.head_Vd, self.bias_V)",
        "the head is cast once a block",
        TILES,
    ),
    Mutant(
        "l14",
        "prerl_spec/engine/policy/norms.py",
        ".addcmul_(x_nd, factor_n[:, None])",
        "",
        "the gradient of a norm leaves out that its size is divided away",
        ("tests/engine/test_norms.py",),
    ),
    Mutant(
        "l15",
        "prerl_spec/engine/policy/norms.py",
        "            if not bool(((ours - theirs).abs() <= bound * theirs.abs()).all()):\n                return False\n",
        "",
        "norms are replaced by their names: Gemma's have another weight",
        ("tests/engine/test_norms.py",),
    ),
    Mutant(
        "ho01",
        "prerl_spec/engine/policy/head/output.py",
        "return all(torch.equal(one, logits) for one in given)",
        "return True",
        "a soft cap that small logits do not show is left out once they have grown",
        ("tests/engine/test_head_output.py",),
    ),
)
