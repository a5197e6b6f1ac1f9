"""`try` and `run --debug`: what they print is what training does."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prerl_spec.cli.authors.new_plugin import TEMPLATES
from prerl_spec.cli.main import main
from prerl_spec.compiler.compile import compile_resolved, compile_spec
from prerl_spec.compiler.resolve.resolve import resolve, resolve_text
from prerl_spec.engine.inspect import trial_spec
from prerl_spec.engine.inspect.warm_up import WarmUp
from prerl_spec.registry.component import Component
from prerl_spec.registry.entry_points import installed, load
from prerl_spec.registry.kind_names import KINDS
from prerl_spec.registry.local import local_entries
from prerl_spec.report.terminal.token_table import curve

OBJECTIVE = '''
import numpy as np
from prerl_spec.sdk import Conditional, Credit, Need, OnePartObjective

class Downhill(OnePartObjective):
    """Lowers log P(y|x) of whatever is not right."""

    def needs(self):
        return frozenset({Need(Conditional())})

    def credit(self, step, known):
        wrong_N = (step.reward_S < 1.0)[step.tokens.sample_N]
        return Credit(-1.0 * wrong_N, wrong_N / max(1, wrong_N.sum()), f"wrong tokens: {wrong_N.sum()}")

    def terms(self, logp, advantage_n, tokens):
        return -advantage_n * logp[Need(Conditional())]
'''

FILTER = """
from prerl_spec.sdk import Component
from pydantic import Field

class Anything(Component):
    "Keeps every group."
    kind = "filter"
    refill_rounds: int = Field(0, ge=0, description="rounds")

    def keep(self, group):
        return True
"""

SPEC = """
spec = 1
run.name = "debugged"
verifier = "exact_match"
optimizer = { use = "adamw", lr = 1e-3 }
data.corpus = { use = "arithmetic_chains", part = "corpus", steps = [1, 1] }
data.train = { use = "arithmetic_chains", part = "easy", steps = [1, 1] }
sampler = { use = "transformers", group_size = 3, max_new_tokens = 6 }
model = { use = "from_scratch", tokenizer = "data:corpus", config = { model_type = "qwen3", hidden_size = 32, \
num_hidden_layers = 1, num_attention_heads = 1, num_key_value_heads = 1, head_dim = 32, intermediate_size = 32 } }

[[phases]]
id = "pretrain"
data = "corpus"
documents_per_step = 4
objective = "next_token"
schedule = { use = "fixed_steps", steps = 2 }

[[phases]]
id = "prune"
prompts_per_step = 8
updates_per_batch = 4
objective = { use = "marginal_nsr", advantage = "minus_one" }
schedule = { use = "fixed_steps", steps = 1 }
"""


@pytest.fixture
def objective(tmp_path: Path) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(OBJECTIVE)
    return file


@pytest.fixture
def brief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command with a spec of a few steps instead of some hundred, and a cache of its own, which is returned."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    text = trial_spec.TEMPLATE.read_text(encoding="utf-8")
    for long, short in (
        ("steps = 500", "steps = 4"),
        ("steps = 30", "steps = 3"),
        ("prompts_per_step = 16", "prompts_per_step = 2"),
    ):
        assert long in text
        text = text.replace(long, short)
    (tmp_path / "brief.toml").write_text(text)
    monkeypatch.setattr(trial_spec, "TEMPLATE", tmp_path / "brief.toml")
    return tmp_path / "cache"


def test_an_objective_is_held_against_the_laws_shown_beside_grpo_and_trained_from_one_pretrained_model(
    objective: Path, brief: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second trial begins with the model that the first has pre-trained, and measures the same."""
    assert main(["try", str(objective)]) == 0
    shown = capsys.readouterr()
    assert 'compared with { use = "grpo", aggregation = "token_mean" }:' in shown.out
    assert "held       laws" in shown.out
    assert "Downhill" in shown.out
    assert "Grpo" in shown.out
    assert "mean reward of each of 3 batches, an update after" in shown.out
    assert "try 3/3" in shown.err
    assert "pretrain 4/4" in shown.err
    assert main(["try", str(objective)]) == 0
    again = capsys.readouterr()
    assert "pretrain" not in again.err
    assert "pre-trained on sums in an earlier trial" in again.out

    def measured(out: str) -> list[str]:
        return [line for line in out.splitlines() if "pre-train" not in line and "s in total" not in line]

    assert measured(shown.out) == measured(again.out), "the same weights, prompts and seeds"


@pytest.mark.parametrize("options", [[], ["--laws"]])
def test_a_broken_law_is_told_and_nothing_is_trained(
    options: list[str], objective: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objective.write_text(OBJECTIVE.replace("step.reward_S < 1.0", "~(step.reward_S > 0.5)"))
    assert main(["try", str(objective), *options]) == 3
    shown = capsys.readouterr()
    assert "a timeout or an error carries weight" in shown.out
    line = OBJECTIVE[: OBJECTIVE.index("return Credit")].count("\n") + 1
    assert f"--> {objective}:{line}, in credit()\n" in shown.out
    assert "= help: its reward is NaN in `step.reward_S`, and every comparison with NaN is False" in shown.out
    skipped = "training skipped: fix the broken checks above first; `--laws` checks them alone, in seconds"
    assert (skipped in shown.out) is (not options)
    assert "pretrain" not in shown.err


MANY_FAULTS = """
import numpy as np
from prerl_spec.sdk import Conditional, Credit, Need, OnePartObjective

class Mine(OnePartObjective):
    scale: float = 2.0

    def needs(self):
        return frozenset({Need(Conditional())})

    def credit(self, step, known):
        earned_N = step.reward_S[step.tokens.sample_N] - 0.5
        weight_N = np.ones(len(earned_N))
        weight_N /= max(1, len(earned_N))
        return Credit(
            earned_N,
            weight_N,
            "tokens",
        )

    def terms(self, logp, advantage_n, tokens):
        loss_n = self.scale * advantage_n * logp[Need(Conditional())]
        return loss_n.mean()
"""


def test_all_broken_laws_are_told_at_once_each_with_its_line_and_the_page_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """NaN for an unscored sample, a mean, a loss with the wrong sign: none hides another, and no docstring any."""
    assert tried(MANY_FAULTS, tmp_path, "--laws") == 3
    shown = capsys.readouterr().out
    found = re.findall(
        r"broken     laws       default settings and 1 more: (.*)\n +--> .*mine.py:(\d+), .*\n += help: ", shown
    )
    lines = MANY_FAULTS.splitlines()
    assert [(law[:40], lines[int(number) - 1].strip()) for law, number in found] == [
        ("advantage_N contains a value that is not", "earned_N = step.reward_S[step.tokens.sample_N] - 0.5"),
        ("terms() returns shape (): it must return", "return loss_n.mean()"),
        ("a timeout or an error carries weight: it", "weight_N /= max(1, len(earned_N))"),
        ("at ρ = 1 a step changes the log-probabil", "return loss_n.mean()"),
        ("Mine has no docstring: `components show`", "class Mine(OnePartObjective):"),
        ("Mine.scale has no description: `componen", "scale: float = 2.0"),
    ]


def test_an_exception_of_the_component_is_told_with_the_line_that_raised_it(
    objective: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objective.write_text(OBJECTIVE.replace("return -advantage_n", "return 1 / 0 - advantage_n"))
    assert main(["try", str(objective), "--laws"]) == 3
    line = OBJECTIVE[: OBJECTIVE.index("return -advantage_n")].count("\n") + 1
    shown = capsys.readouterr().out
    assert f"--> {objective}:{line}, in terms()" in shown
    assert "= help: docs/components.md says what an objective must return" in shown


def test_another_seed_is_another_pretrained_model(objective: Path, brief: Path) -> None:
    files = set()
    for seed in (0, 1, 1):
        text, _ = trial_spec.trial_spec(objective, "objective", "local.downhill", {}, seed=seed)
        compiled = compile_resolved(resolve_text(text, "try.toml", local_code=True))
        files.add(WarmUp.of(compiled.plan, compiled.graph).file)
    assert len(files) == 2
    assert all(file.is_relative_to(brief) for file in files)


def test_laws_alone_end_before_any_training(objective: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", str(objective), "--laws"]) == 0
    shown = capsys.readouterr().out
    assert "held       laws" in shown
    assert "training" not in shown


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("advantage", "local.above_quanti           group_std"),
        ("surrogate", "one token by its ratio to the old policy, loss and gradient of log pi:"),
    ],
)
def test_a_part_is_shown_beside_the_built_in_of_its_kind_and_trained_in_its_slot(
    kind: str, said: str, tmp_path: Path, brief: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text((TEMPLATES / f"{kind}.py.template").read_text(encoding="utf-8"))
    assert main(["try", str(tmp_path / "mine.py")]) == 0
    shown = capsys.readouterr()
    assert "held       laws" in shown.out
    assert said in shown.out
    assert "try 3/3" in shown.err


@pytest.mark.parametrize("kind", trial_spec.BESIDE)
def test_every_part_has_a_place_in_the_spec_that_try_runs(kind: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text((TEMPLATES / f"{kind}.py.template").read_text(encoding="utf-8"))
    (entry,) = local_entries(tmp_path / "mine.py")
    assert entry.kind == kind
    spec = tmp_path / "try.toml"
    text, place = trial_spec.trial_spec(tmp_path / "mine.py", kind, entry.name, {}, seed=0)
    spec.write_text(text)
    assert resolve(spec, local_code=True).built[place].use == entry.name
    tried, beside = (p.objective.component for p in compile_spec(spec, local_code=True).graph.phases[1:])
    assert [type(i).__name__ for i in nested(tried)].count(type(load(entry)()).__name__) == 1
    assert type(beside) is type(tried)


def nested(component: Any) -> list[Any]:
    inner = [v for value in vars(component).values() for v in (value if isinstance(value, tuple) else (value,))]
    return [component, *(one for v in inner if isinstance(v, Component) for one in nested(v))]


WRAPPER = """
from typing import Annotated

from pydantic import Field

from prerl_spec.sdk import Advantage, Component, Slot

class Doubled(Advantage):
    "Another advantage, twice."
    base: Annotated[Component, Slot("advantage")] = Field(description="the advantage")
    factor: float = Field(2.0, gt=0, le=10, description="its factor")
    baseline_over = property(lambda self: self.base.baseline_over)
    shift = property(lambda self: self.base.shift)
    scale = property(lambda self: self.base.scale)
    min_group = property(lambda self: self.base.min_group)

    def reads(self):
        return self.base.reads()

    def advantage(self, batch):
        assert self.factor != 3.0, "three is unlucky"
        return self.factor * self.base.advantage(batch.of_part("base", self.base.reads()))
"""

SELECTION = """
import numpy as np
from pydantic import Field

from prerl_spec.sdk import Conditional, Need, Selection

OLD = Need(Conditional(), "old")

class Rare(Selection):
    "Drops tokens that were improbable."
    least: float = Field(1e-30, gt=0, lt=1, description="the probability below which a token is dropped")

    def reads(self):
        return frozenset({OLD})

    def keep(self, batch, advantage_N):
        return batch.known[OLD] >= np.log(self.least)
"""


def tried(code: str, folder: Path, *options: str) -> int:
    (folder / "mine.py").write_text(code)
    return main(["try", str(folder / "mine.py"), *options])


def test_a_required_slot_that_is_set_is_trained_with(
    tmp_path: Path, brief: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tried(WRAPPER, tmp_path, "--set", "base=group_std", "--set", "factor=1.5") == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("advantage local.doubled --set base=group_std --set factor=1.5\n")
    assert "each branch of each setting, and --set base=group_std --set factor=1.5" in shown.out
    assert "try 3/3" in shown.err


def test_a_required_slot_that_is_not_set_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tried(WRAPPER, tmp_path, "--set", "factor=1.5") == 0
    shown = capsys.readouterr().out
    assert "training skipped: it has a required component slot" in shown
    assert "such as --set base=" in shown


@pytest.mark.parametrize(
    ("written", "code", "said"),
    [
        ("factr=2", "E0403", "did you mean `factor`?"),
        ("factor=11", "E0202", "`factor` must be at most 10"),
        ("factor=true", "E0201", "`factor` must be a number"),
        ("base=group_stdd", "E0301", "did you mean `group_std`?"),
        ("base=clip", "E0303", "`clip` is a surrogate"),
    ],
)
def test_a_mistake_in_a_setting_of_try_is_told_where_it_was_written_and_before_the_laws(
    written: str, code: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tried(WRAPPER, tmp_path, "--laws", "--set", "factor=2.0", "--set", written) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert code in shown.err
    assert "--> <--set #2>:1:" in shown.err
    assert f"1 | {written}" in shown.err
    assert said in shown.err


def test_the_laws_test_the_settings_of_try(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tried(WRAPPER, tmp_path, "--laws") == 0
    assert tried(WRAPPER, tmp_path, "--laws", "--set", "factor=3.0") == 3
    assert "--set factor=3.0: three is unlucky" in capsys.readouterr().out


@pytest.mark.parametrize("options", [(), ("--set", "factor=1.5")])
def test_a_component_whose_declarations_fail_is_told_by_the_laws(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tried(WRAPPER.replace("return self.base.reads()", "return 1 / 0", 1), tmp_path, "--laws", *options) == 3
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_settings_that_contradict_each_other_are_told_before_the_laws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = """
    def check(self, wiring):
        if self.factor == 4.0:
            yield Conflict(Code.CONTRADICTION, "four is odd", (Place("self", "factor"),))

    def reads(self)"""
    code = WRAPPER.replace("\n    def reads(self)", rule).replace(
        "import Advantage,", "import Advantage, Code, Conflict, Place,"
    )
    assert tried(code, tmp_path, "--laws", "--set", "factor=4.0") == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "E0701" in shown.err
    assert "--> <--set #1>:1:" in shown.err


def test_a_setting_cannot_choose_another_component(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tried(WRAPPER, tmp_path, "--set", "use=group_std") == 2
    assert "choose another one with --name" in capsys.readouterr().err


def test_every_kind_has_a_place_where_its_settings_are_checked(tmp_path: Path) -> None:
    assert trial_spec.SERVING.keys() == trial_spec.PLACES.keys()
    assert sorted([*trial_spec.SERVING, *trial_spec.UNTRAINED]) == sorted(KINDS)
    for kind in trial_spec.UNTRAINED:
        name = next(e.name for e in installed().entries if e.is_own and e.kind == kind)
        text, place = trial_spec.trial_spec(tmp_path / "mine.py", kind, name, {}, seed=0)
        resolved = resolve_text(text, sets=["no_such_key=1"], below=place)
        assert [d.code for d in resolved.diagnostics if d.span and d.span.file == "<--set #1>"] == ["E0403"], kind


@pytest.mark.parametrize(
    ("least", "said"),
    [
        ("0.05", "tokens that have weight without it\n\nmean reward"),
        ("1e-30", "no token was dropped: try --set least=VALUE"),
    ],
)
def test_a_selection_is_shown_where_it_drops_tokens(
    least: str, said: str, tmp_path: Path, brief: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Rewarded for the length of a response, an untrained model has groups with a signal."""
    serving = f'{trial_spec.SERVING["selection"]}\nrewards = [{{ use = "overlong_penalty", buffer = 31 }}]'
    monkeypatch.setattr(trial_spec, "SERVING", {**trial_spec.SERVING, "selection": serving})
    assert tried(SELECTION, tmp_path, "--set", f"least={least}") == 0
    shown = capsys.readouterr().out
    assert said in shown
    (dropped,) = re.findall(r"^dropped (\d+) of (\d+) tokens", shown, re.MULTILINE)
    assert 0 <= int(dropped[0]) <= int(dropped[1])
    assert (int(dropped[0]) > 0) is (least == "0.05")
    lines = [re.split(r"  +", line.strip()) for line in shown.splitlines() if re.search(r"\de[-+]\d\d ", line)]
    assert any(float(weight) == 0 < float(without) for *_, weight, _, _, without, _, _, _ in lines) is (least == "0.05")


VERIFIER = """
from typing import ClassVar
from prerl_spec.sdk import Component, Outcome, Verdict

class Even(Component):
    "Right where the response has an even number of characters."
    kind = "verifier"
    num_workers: ClassVar[int] = 1
    seconds_allowed: ClassVar[float] = 5.0
    memory_bytes: ClassVar[int] = 2**31
    right_example: ClassVar = ("ab", "x")
    wrong_example: ClassVar = ("abc", "x")

    def provides(self):
        return frozenset({"reward[binary]"})

    def judge(self, response, gold):
        right = len(response) % 2 == 0
        return Verdict(Outcome.RIGHT if right else Outcome.WRONG, float(right), answer=response)

    def check_gold(self, gold):
        return None
"""

REWARD = """
from prerl_spec.sdk import Component
from pydantic import Field

class Brevity(Component):
    "Length costs."
    kind = "reward"
    price: float = Field(ge=0, description="a token")

    def reward(self, attempt, group):
        return -self.price * len(attempt.tokens)
"""

PROBE = """
from prerl_spec.sdk import Component
from pydantic import Field

class Attempts(Component):
    "Counts."
    kind = "probe"
    every: int = Field(1, ge=1, description="steps")

    def measure(self, step):
        return {"attempts": float(len(step.samples))}
"""

SCHEDULE = """
from prerl_spec.sdk import Handover

class Once(Handover):
    "One step."

    @property
    def max_steps(self):
        return 1

    def initial(self):
        return {}

    def after(self, record, state):
        return {}, True
"""


def test_a_schedule_is_held_against_the_laws_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "once.py").write_text(SCHEDULE)
    assert main(["try", str(tmp_path / "once.py")]) == 0
    assert "training skipped: a schedule is only checked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "options", "said"),
    [
        (FILTER, [], "2 of 2 groups are kept"),
        (REWARD, ["--set", "price=0.5"], "from -16 to"),
        (PROBE, [], "  attempts 16"),
        (VERIFIER, [], "of 16 attempts"),
    ],
)
def test_what_serves_a_phase_is_shown_on_a_batch_and_trained_with(
    code: str, options: list[str], said: str, tmp_path: Path, brief: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(code)
    assert main(["try", str(tmp_path / "mine.py"), *options]) == 0
    shown = capsys.readouterr()
    assert said in shown.out
    assert "mean reward of each of 3 batches" in shown.out
    assert "try 3/3" in shown.err


def test_a_setting_of_try_is_written_as_key_and_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(REWARD)
    assert main(["try", str(tmp_path / "mine.py"), "--set", "price"]) == 2
    assert "write --set price=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "options", "exit_code", "said"),
    [
        ("1 / 0", [], 3, "ZeroDivisionError"),
        ("x = 1", [], 3, "defines no component"),
        (FILTER + FILTER.replace("Anything", "Everything"), [], 2, "choose one with --name: anything, everything"),
        (FILTER, ["--name", "nothing"], 2, "it defines: anything"),
        (
            FILTER.replace("    refill_rounds: int = Field(", "    kinds = 2\n    refill_rounds: int = Field("),
            [],
            3,
            "`kinds = 2` has no type: a fact of the class is written `kinds: ClassVar[...] = 2`",
        ),
    ],
)
def test_a_file_that_cannot_be_tried_says_why(
    code: str, options: list[str], exit_code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "odd.py").write_text(code)
    assert main(["try", str(tmp_path / "odd.py"), *options]) == exit_code
    assert said in capsys.readouterr().err


def test_a_component_of_a_file_is_chosen_by_its_name_or_its_class(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(FILTER + FILTER.replace("Anything", "EveryThing"))
    for name in ("every_thing", "local.every_thing", "EveryThing"):
        assert main(["try", str(tmp_path / "odd.py"), "--name", name, "--laws"]) == 0


def test_a_verifier_that_provides_no_reward_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "judge.py").write_text(VERIFIER.replace('{"reward[binary]"}', ""))
    assert main(["try", str(tmp_path / "judge.py")]) == 3
    assert "a verifier provides `reward[binary]`" in capsys.readouterr().out


def test_a_local_verifier_judges_in_its_own_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "judge.py").write_text(VERIFIER)
    local = SPEC.replace("spec = 1", 'spec = 1\nplugins.files = ["judge.py"]').replace('"exact_match"', '"local.even"')
    (tmp_path / "spec.toml").write_text(local.replace("max_new_tokens = 6", "max_new_tokens = 60"))
    monkeypatch.chdir(tmp_path)
    assert main(["run", "spec.toml", "--local-code"]) == 0
    steps = [e for e in map(json.loads, (tmp_path / "runs/debugged/events.jsonl").open()) if e["event"] == "step"]
    metrics = steps[-1]["metrics"]
    assert metrics["verdict_error"] == 0
    assert metrics["verdict_right"] + metrics["verdict_wrong"] + metrics["verdict_unparsable"] == pytest.approx(1)


def test_an_objective_that_lacks_a_member_is_not_trained(objective: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objective.write_text(OBJECTIVE.replace("def terms", "def term"))
    assert main(["try", str(objective)]) == 3
    shown = capsys.readouterr().out
    assert "`terms` is missing" in shown
    assert "training skipped: fix the broken checks above first" in shown


def test_an_objective_on_documents_is_held_against_the_laws_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text(
        "from prerl_components.objectives.token_losses.next_token import NextToken\n\n\n"
        "class Own(NextToken):\n    'Documents, again.'\n"
    )
    assert main(["try", str(tmp_path / "own.py")]) == 0
    assert "the objective trains on documents" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", str(tmp_path / "gone.py")]) == 3
    assert "cannot be read" in capsys.readouterr().err


def test_debug_shows_what_one_update_trains_on_and_stops_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.toml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    stopped: list[dict[str, Any]] = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: stopped.append(dict(sys._getframe(1).f_locals)))
    assert main(["run", "spec.toml", "--debug"]) == 0
    (here,) = stopped
    step, (part,), record = here["step"], here["parts"], here["record"]
    assert [len(g.attempts) for g in step.groups] == [3, 3]
    assert record.applied == 1
    assert np.sum(part.weight_N * part.term_N) == pytest.approx(record.metrics["loss"], rel=1e-4)
    assert int((part.weight_N != 0).sum()) == record.trained_tokens
    shown = capsys.readouterr().out
    assert "phase prune, marginal_nsr: 2 prompts" in shown
    assert shown.count("\n  ") >= step.tokens.num_tokens
    assert not (tmp_path / "runs").exists(), "looking leaves no run behind"


def test_a_curve_puts_each_value_at_its_height() -> None:
    assert curve([0.0, 0.5, 1.0], height=2).splitlines() == [" 1.00 | **", " 0.50 |*", " 0.00 +---"]
