"""Every code block of docs/distillation.md runs: its specs are valid, its objectives obey the laws and train."""

import re
from pathlib import Path
from typing import Any

import torch
from prerl_components.models.hf_causal import HfCausal

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.reference import reference_of
from prerl_spec.testing.laws import check_objective
from prerl_spec.types import Step
from tests.engine.runs import SPEC as RUN
from tests.engine.steps import gradient_of, make_trainer, random_step, tiny_policy
from tests.test_docs import SPEC

PAGE = (Path(__file__).parent.parent / "docs" / "distillation.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


CODE = "\n\n".join(blocks("python"))
THERE: dict[str, Any] = {"__name__": "docs.distillation"}
exec(compile(CODE, "docs/distillation.md", "exec"), THERE)


def test_every_block_has_a_language_that_is_run_here() -> None:
    assert PAGE.count("```") == 2 * (len(blocks("python")) + len(blocks("toml")))


def test_the_specs_of_the_page_are_valid() -> None:
    for block in blocks("toml"):
        assert diagnose(resolve_text(SPEC + block)) == ()


def test_the_objectives_of_the_page_obey_the_laws() -> None:
    check_objective(THERE["Encouraged"](teacher=HfCausal(name="acme/big")))
    check_objective(THERE["SelfDistill"](coefficient=0.5))


def explicit_gradient(policy: Policy, step: Step) -> torch.Tensor:
    """Of the mean over tokens of −(log π(y | x, gold) − log π(y | x))·log π(y | x), sample by sample."""
    loss = torch.zeros(())
    for group in step.groups:
        told = THERE["WithSolution"]().context(group.prompt, policy.codec)
        assert "The answer is 1." in policy.codec.decode(told)
        for attempt in group.attempts:
            tokens = list(attempt.tokens)
            logps = []
            for before in (told, group.prompt.context):
                logits = policy.module(input_ids=torch.tensor([[*before, *tokens]])).logits[0, len(before) - 1 : -1]
                logps.append(logits.log_softmax(-1)[range(len(tokens)), tokens])
            loss = loss - ((logps[0] - logps[1]).detach() * logps[1]).sum() / step.tokens.num_tokens
    policy.module.zero_grad()
    loss.backward()
    return torch.cat([p.grad.reshape(-1) for _, p in policy.parameters() if p.grad is not None])


def test_self_distillation_learns_from_the_policy_that_sees_the_answer() -> None:
    policy, step = tiny_policy(), random_step(3, 3, seed=2)
    trainer = make_trainer(policy, THERE["SelfDistill"](), reference=reference_of(policy))
    ours = gradient_of(trainer, step)
    assert dict(policy.forwards) == {("conditional", "policy"): 9, ("with_solution", "reference"): 9}
    theirs = explicit_gradient(tiny_policy(), step)
    assert theirs.norm() > 1
    # float32 sums over rows of another length.
    torch.testing.assert_close(ours, theirs, atol=5e-5, rtol=1e-4)


def test_the_file_of_the_page_is_an_objective_of_a_spec(tmp_path: Path) -> None:
    (tmp_path / "self_distill.py").write_text(CODE, encoding="utf-8")
    head = RUN[: RUN.index("[[phases]]")]
    phase = '[[phases]]\nid = "own"\nprompts_per_step = 4\nobjective = "local.self_distill"\n'
    phase += 'schedule = { use = "fixed_steps", steps = 1 }\n'
    file = tmp_path / "spec.toml"
    file.write_text(f'{head}[plugins]\nfiles = ["self_distill.py"]\n{phase}', encoding="utf-8")
    (planned,) = compile_spec(file, local_code=True).plan.phases
    assert [(f.view, f.of) for f in planned.forwards if f.of != "probe"] == [
        ("conditional", "policy"),
        ("with_solution", "reference"),
    ]
    assert planned.example is not None
    (told,) = (view for view in planned.example.views if view.name == "with_solution")
    assert told.text.endswith(f"he answer is {planned.example.gold}.")  # its tokenizer has no T
