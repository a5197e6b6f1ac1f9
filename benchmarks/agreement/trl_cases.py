"""TRL's own trainer on a stored batch: its rewards, advantages, corrections, masks and loss; only the model's numbers are ours.

A `GRPOTrainer` is built as a user would build it, on a two-layer model and a tokenizer of a few words. Two methods are
overridden in a subclass: the one that generates (it hands over the stored responses and the sampler's log-probabilities) and
the one that runs a model (it hands over the stored log-probabilities and entropies). All else is theirs:
`_generate_and_score_completions` makes the advantages and the importance ratios, `_compute_loss` the loss.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from datasets import Dataset
from stored import EOS, PAD, PROMPT, UPDATES, USUAL, Stored, loss_and_gradients
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer
from trl.experimental.gmpo import GMPOConfig, GMPOTrainer
from trl.trainer.utils import split_tensor_dict

SOURCES = (
    "trl/trainer/grpo_trainer.py",
    "trl/trainer/grpo_config.py",
    "trl/trainer/rloo_trainer.py",
    "trl/experimental/gmpo/gmpo_trainer.py",
)


@dataclass(frozen=True)
class TrlCase:
    """`settings` are fields of TRL's config; `vllm`: the responses came from vLLM, as the importance ratios ask for."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    vllm: bool = False
    sampler_known: bool = False
    rewards: tuple[str, ...] = ("score",)
    trainer: str = "grpo"
    also: tuple[str, ...] = ()
    updates: int = 1


def centred(**settings: Any) -> Mapping[str, Any]:
    """Advantages without the division by the standard deviation, to which TRL adds 1e-4 where the others add 1e-6."""
    return MappingProxyType({**settings, "scale_rewards": "none"})


def corrected(name: str, **settings: Any) -> TrlCase:
    defaults = {"loss_type": "dapo", "vllm_importance_sampling_clip_max": 2.0}
    return TrlCase(name, centred(**defaults | settings), vllm=True)


CASES = (
    TrlCase("trl.defaults"),
    TrlCase("trl.grpo", centred(loss_type="grpo")),
    TrlCase("trl.grpo.group_std", {"loss_type": "grpo"}),
    TrlCase("trl.bnpo", centred(loss_type="bnpo")),
    TrlCase("trl.dr_grpo", centred(loss_type="dr_grpo")),
    TrlCase("trl.dapo", centred(loss_type="dapo", epsilon_high=0.28)),
    TrlCase("trl.dapo.delta", centred(loss_type="dapo", epsilon_high=0.28, delta=1.5)),
    TrlCase("trl.dapo.mask_truncated", centred(loss_type="dapo", mask_truncated_completions=True)),
    TrlCase("trl.grpo.mask_truncated", centred(loss_type="grpo", mask_truncated_completions=True)),
    TrlCase("trl.cispo", centred(loss_type="cispo", epsilon_high=5.0)),
    TrlCase("trl.cispo.tight_cap", centred(loss_type="cispo", epsilon_high=1.25)),
    TrlCase("trl.sapo", centred(loss_type="sapo")),
    TrlCase(
        "trl.gspo", centred(loss_type="grpo", importance_sampling_level="sequence", epsilon=3e-4, epsilon_high=4e-4)
    ),
    TrlCase("trl.gspo.wide", centred(loss_type="grpo", importance_sampling_level="sequence", epsilon=0.2)),
    TrlCase("trl.luspo", centred(loss_type="luspo", importance_sampling_level="sequence")),
    TrlCase("trl.vespo", centred(loss_type="vespo")),
    TrlCase("trl.gmpo", centred(), trainer="gmpo"),
    TrlCase("trl.grpo.kl", centred(loss_type="grpo", beta=0.04)),
    TrlCase("trl.grpo.kl.plain_k3", centred(loss_type="grpo", beta=0.04, use_bias_correction_kl=False)),
    TrlCase("trl.dapo.kl", centred(loss_type="dapo", beta=0.04)),
    TrlCase("trl.grpo.entropy", centred(loss_type="grpo", entropy_coef=0.01)),
    TrlCase("trl.dapo.top_entropy", centred(loss_type="dapo", top_entropy_quantile=0.2)),
    TrlCase("trl.dapo.top_entropy.kl", centred(loss_type="dapo", top_entropy_quantile=0.5, beta=0.04)),
    TrlCase("trl.dapo.off_policy_mask", centred(loss_type="dapo", off_policy_mask_threshold=0.1)),
    TrlCase(
        "trl.dapo.off_policy_mask.sampler",
        centred(loss_type="dapo", off_policy_mask_threshold=0.1),
        sampler_known=True,
        also=("first",),
    ),
    TrlCase("trl.grpo.updates", centred(loss_type="grpo"), updates=UPDATES),
    TrlCase("trl.dapo.updates", centred(loss_type="dapo"), updates=UPDATES),
    corrected("trl.dapo.token_truncate", vllm_importance_sampling_mode="token_truncate"),
    corrected("trl.dapo.token_mask", vllm_importance_sampling_mode="token_mask", vllm_importance_sampling_clip_max=1.5),
    corrected(
        "trl.dapo.token_band",
        vllm_importance_sampling_mode="token_mask",
        vllm_importance_sampling_clip_min=0.8,
        vllm_importance_sampling_clip_max=1.5,
    ),
    corrected("trl.dapo.sequence_truncate", vllm_importance_sampling_mode="sequence_truncate"),
    corrected("trl.dapo.sequence_mask", vllm_importance_sampling_mode="sequence_mask"),
    corrected(
        "trl.grpo.token_truncate.kl", loss_type="grpo", vllm_importance_sampling_mode="token_truncate", beta=0.04
    ),
    TrlCase("trl.advantage.group", also=("unscored",)),
    TrlCase("trl.advantage.batch", {"scale_rewards": "batch"}, also=("unscored",)),
    TrlCase("trl.advantage.none", {"scale_rewards": "none"}, also=("unscored",)),
    TrlCase("trl.advantage.sum_of_parts", {"reward_weights": [1.0, 0.5]}, rewards=("score", "format")),
    TrlCase(
        "trl.advantage.gdpo",
        {"multi_objective_aggregation": "normalize_then_sum", "reward_weights": [1.0, 0.5]},
        rewards=("score", "format"),
    ),
    TrlCase("trl.advantage.rloo", {"beta": 0.0}, trainer="rloo", also=("unscored",)),
    TrlCase(
        "trl.advantage.rloo.normalised", {"beta": 0.0, "normalize_advantages": True}, trainer="rloo", also=("unscored",)
    ),
)
"""`trl.advantage.…` is compared in its advantages alone, the others in loss and gradient as well."""


class Answers:
    """What the overridden methods hand over: set before each batch."""

    batch: Stored
    leaves: tuple[torch.Tensor, torch.Tensor]
    rows: slice
    sampler: bool

    def _generate_single_turn(
        self, prompt_ids: Any, *_: Any, **__: Any
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        return self.batch.token_ids(), self.batch.split(self.batch.sampler_N) if self.sampler else None

    def _get_per_token_logps_and_entropies(
        self, model: Any, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        if torch.is_grad_enabled():
            current, entropy = (self.batch.padded(leaf)[self.rows] for leaf in self.leaves)
            return current, entropy, None
        values = self.batch.reference_N if model is getattr(self, "ref_model", None) else self.batch.old_N
        return self.batch.padded(values), self.batch.padded(self.batch.entropy_N), None


class StoredGRPO(Answers, GRPOTrainer):
    pass


class StoredGMPO(Answers, GMPOTrainer):
    pass


class StoredRLOO(Answers, RLOOTrainer):
    def _generate_single_turn(self, *_: Any, **__: Any) -> Any:
        return self.batch.token_ids()


TRAINERS: Mapping[str, tuple[type, type]] = {
    "grpo": (StoredGRPO, GRPOConfig),
    "gmpo": (StoredGMPO, GMPOConfig),
    "rloo": (StoredRLOO, RLOOConfig),
}


def small_model(folder: Path) -> None:
    """A model and a tokenizer that load from a folder: the trainer asks for them, no number of theirs is used."""
    words = {"<pad>": PAD, "<unk>": 1, "<eos>": EOS, "prompt": PROMPT, "word": 4}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="<eos>"
    ).save_pretrained(folder)
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Qwen2Config(
        vocab_size=len(words), num_key_value_heads=2, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=None, **shape
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)


def reward_function(part: str) -> Any:
    """A reward function that reads its column of the data; None is TRL's word for "no reward"."""

    def stored_reward(**columns: Any) -> list[float | None]:
        values: list[float | None] = columns[part]
        return values

    stored_reward.__name__ = part
    return stored_reward


def trainer_for(case: TrlCase, batch: Stored, folder: Path) -> Any:
    kind, config = TRAINERS[case.trainer]
    # With one iteration over one update TRL takes the current log-probabilities for the old ones.
    several = {"steps_per_generation": case.updates} if case.updates > 1 else {"num_iterations": 2}
    arguments = config(
        output_dir=str(folder / "out"),
        use_cpu=True,
        bf16=False,
        report_to=[],
        per_device_train_batch_size=batch.num_samples // case.updates,
        num_generations=batch.group_size,
        max_completion_length=batch.max_new_tokens,
        **({} if case.trainer == "rloo" else several),
        **case.settings,
    )
    trainer = kind(
        model=str(folder),
        reward_funcs=[reward_function(part) for part in case.rewards],
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": ["prompt"]}),
    )
    trainer.current_gradient_accumulation_steps = 1
    # Set after construction: with `use_vllm` in the config the trainer would start an engine.
    trainer.use_vllm = case.vllm
    trainer.sampler = case.vllm or case.sampler_known
    return trainer


def sum_over_updates(trainer: Any, inputs: dict[str, Any], updates: int) -> torch.Tensor:
    """The loss of each update, at the same weights, added up. TRL shuffles the responses first, which is left out."""
    loss = torch.zeros(())
    rows = trainer.batch.rows_of_updates(updates)
    for trainer.rows, part in zip(rows, split_tensor_dict(inputs, updates), strict=True):
        loss = loss + trainer._compute_loss(trainer.model, part)
    return loss


def run(case: TrlCase, batches: list[Stored]) -> list[dict[str, Any]]:
    """The case on each batch, with TRL's advantages, loss and gradient."""
    records = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small_model(folder)
        trainer = trainer_for(case, batches[0], folder)
        trainer.model.train()
        for batch in batches:
            if batch.name not in (*USUAL, *case.also):
                continue
            trainer.batch, trainer.leaves = batch, batch.leaves()
            rows = [
                {"prompt": "prompt", **{part: batch.parts_S[part][s] for part in case.rewards}}
                for s in range(batch.num_samples)
            ]
            inputs = trainer._generate_and_score_completions(rows)
            record: dict[str, Any] = {
                "case": case.name,
                "batch": batch.name,
                "advantage_S": inputs["advantages"].tolist(),
            }
            if ".advantage." not in case.name:
                record |= loss_and_gradients(sum_over_updates(trainer, inputs, case.updates), trainer.leaves)
            records.append(record)
    return records
