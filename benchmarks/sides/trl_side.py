"""TRL's GRPOTrainer, paused after every step: `python trl_side.py CONFIG.json`, in TRL's own environment.

Its first step takes the stored responses in place of generated ones, and writes the gradient that the optimizer receives:
what the harness compares before anything is timed.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer
from turns import Turns


class Side(GRPOTrainer):
    """Counts generation as `sample`; sums the loss of a step over its passes."""

    turns: Turns
    stored: list[dict[str, Any]] | None = None
    loss = 0.0
    generated = 0

    def _generate_single_turn(self, prompt_ids: Any, *more: Any, **named: Any) -> Any:
        if self.stored is not None:
            responses = {tuple(g["context"]): iter(g["responses"]) for g in self.stored}
            self.stored = None
            return [next(responses[tuple(ids)]) for ids in prompt_ids], None
        with self.turns.stage("sample"):
            found = super()._generate_single_turn(prompt_ids, *more, **named)
        self.generated = sum(map(len, found[0]))
        return found

    def compute_loss(self, *arguments: Any, **named: Any) -> Any:
        found = super().compute_loss(*arguments, **named)
        self.loss += float(found)
        return found


class Paused(TrainerCallback):  # type: ignore[misc]
    side: Side

    def __init__(self, turns: Turns, gradient: Path) -> None:
        self.turns, self.gradient = turns, gradient

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if not self.gradient.exists():
            torch.save({name: parameter.grad for name, parameter in model.named_parameters()}, self.gradient)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        tokens = {"generated": self.side.generated, "trained": self.side.generated}
        self.turns.report(tokens=tokens, loss=self.side.loss)
        self.side.loss = 0.0
        self.turns.wait()


def alternating(completions: list[str], **_: Any) -> list[float]:
    return [float(i % 2) for i in range(len(completions))]


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    work, parity = config["workload"], Path(config["parity"])
    turns = Turns()
    samples = work["prompts"] * work["group"]
    each = min(samples, config["completions_per_pass"])
    with tempfile.TemporaryDirectory() as folder:
        arguments = GRPOConfig(
            output_dir=folder, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none", save_strategy="no",
            disable_tqdm=True, logging_strategy="no", max_steps=100_000, shuffle_dataset=False, seed=0,
            num_generations=work["group"], per_device_train_batch_size=each, gradient_accumulation_steps=samples // each,
            max_completion_length=work["response"], temperature=1.0, top_p=1.0, top_k=0, beta=0.0, loss_type="dapo",
            scale_rewards="group", learning_rate=1e-9, lr_scheduler_type="constant", max_grad_norm=1e6,
        )  # fmt: skip
        paused = Paused(turns, parity / "trl_gradient.pt")
        trainer = Side(
            model=work["model"],
            reward_funcs=[alternating],
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": work["questions"]}),
            callbacks=[paused],
        )
        trainer.turns = turns
        trainer.stored = json.loads((parity / "tokens.json").read_text())
        paused.side = trainer
        turns.wait()
        trainer.train()


if __name__ == "__main__":
    main()
