"""TRL's own trainer on a stored batch: its rewards, advantages, corrections, masks and loss; only the model's numbers are ours.

A `GRPOTrainer` is built as a user would build it, on a two-layer model and a tokenizer of a few words. Two methods are
overridden in a subclass: the one that generates (it hands over the stored responses and the sampler's log-probabilities) and
the one that runs a model (it hands over the stored log-probabilities and entropies). All else is theirs:
`_generate_and_score_completions` makes the advantages and the importance ratios, `_compute_loss` the loss.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from stored import EOS, PAD, PROMPT, USUAL, Stored, loss_and_gradients
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer
from trl.experimental.gmpo import GMPOConfig, GMPOTrainer
from trl.trainer.utils import split_tensor_dict
from trl_cases import TrlCase

SOURCES = (
    "trl/trainer/grpo_trainer.py",
    "trl/trainer/grpo_config.py",
    "trl/trainer/rloo_trainer.py",
    "trl/experimental/gmpo/gmpo_trainer.py",
)


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
