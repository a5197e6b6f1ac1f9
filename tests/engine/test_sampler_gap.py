"""The bound on `sampler_gap`: samples that are not the policy's end the run before they are trained on; sound ones never do."""

from pathlib import Path
from typing import Any

import pytest
import torch
from prerl_components.samplers.embedded.sampler import EmbeddedSampler

from prerl_spec.engine.training.sampler_gap import gap_limit, refuse_gap
from prerl_spec.errors import RunFailed
from prerl_spec.sdk import Decoding
from tests.engine.runs import SPEC, start, steps_of


class Compared:
    gap_limit = 2e-4

    def generate(self, *arguments: Any) -> Any: ...
    def sync(self, version: int) -> None: ...


class Embedded:
    def generate(self, *arguments: Any) -> Any: ...
    def sync(self, version: int) -> None: ...


@pytest.mark.parametrize(
    ("sampler", "decoding", "dtype", "expected"),
    [
        (Embedded(), Decoding(), torch.float32, 1e-2),
        (Embedded(), Decoding(), torch.bfloat16, 0.1),
        (Compared(), Decoding(), torch.float32, 2e-4),
        (Compared(), Decoding(), torch.bfloat16, 2e-4),
        (Embedded(), Decoding(temperature=0.5), torch.float32, 2e-2),
        (Embedded(), Decoding(temperature=1.5), torch.float32, 1e-2),
        (Embedded(), Decoding(temperature=0.0), torch.float32, 0.1),
        (Embedded(), Decoding(top_p=0.9), torch.float32, None),
        (Compared(), Decoding(top_k=5), torch.float32, None),
    ],
)
def test_the_bound_is_the_dtypes_or_the_samplers_own(
    sampler: Any, decoding: Decoding, dtype: torch.dtype, expected: float | None
) -> None:
    assert gap_limit(sampler, decoding, dtype) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("gap", [0.011, float("nan"), float("inf")])
def test_a_gap_above_the_bound_or_none_at_all_ends_the_run(gap: float) -> None:
    with pytest.raises(
        RunFailed, match=r"step 7: .* by (0\.011|nan|inf) nats per token \(sampler_gap\); the limit is 0\.01"
    ):
        refuse_gap({"sampler_gap": gap}, 0.01, 7)
    refuse_gap({"sampler_gap": gap}, None, 7)
    refuse_gap({"sampler_gap": 0.01}, 0.01, 7)
    refuse_gap({}, 0.01, 7)


@pytest.mark.parametrize("objective", ['{ use = "marginal_nsr", advantage = "minus_one" }', '"nsr"'])
def test_samples_from_other_weights_than_the_policys_are_not_trained_on(
    objective: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that change only while a step is drawn; told by eight responses before the update, and by the update's own
    forward, in which all go (every answer is wrong)."""
    draw = EmbeddedSampler._drawn

    def drawn(self: Any, *arguments: Any) -> Any:
        weight = self._decoding._module.get_input_embeddings().weight
        kept = weight.detach().clone()
        with torch.no_grad():
            weight.mul_(1.2)
        try:
            return draw(self, *arguments)
        finally:
            with torch.no_grad():
                weight.copy_(kept)

    monkeypatch.setattr(EmbeddedSampler, "_drawn", drawn)
    spec = SPEC.replace('"fixed_steps", steps = 3', '"fixed_steps", steps = 1')
    spec = spec.replace('{ use = "marginal_nsr", advantage = "minus_one" }', objective)
    with pytest.raises(RunFailed, match=r"step 2: .*\(sampler_gap\); the limit is 0\.01") as caught:
        start(tmp_path, spec)
    assert caught.value.exit_code == 5
    assert caught.value.hint
    assert [e["global_step"] for e in steps_of(tmp_path / "runs" / "small")] == [1]
