"""A component that lacks a member of its kind: validated, and refused by a plan in the words of a run."""

import sys
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.cli.main import main
from prerl_spec.compiler.build_graph import build_graph
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.render.draw_graph import draw
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.registry import kind_protocols
from prerl_spec.registry.component import Component
from prerl_spec.registry.entry_points import PluginFault, installed, load
from prerl_spec.registry.local import local_entries
from prerl_spec.registry.plugin_contract import check_declared_types
from tests.compiler.specs import bent
from tests.registry.distributions import component, install

FIXED = 'schedule = { use = "fixed_steps", steps = 9 }'
LACKING = {
    "schedule": (
        FIXED,
        'schedule = "acme.lacking"',
        "`optimizer`, `lr_schedule`, `reference`, `data`, `max_steps`, `initial`, `after`",
    ),
    "optimizer": ('use = "muon", lr = 0.02', 'use = "acme.lacking"', "`lr`, `max_grad_norm`, `build`, `lr_factor`"),
    "verifier": (
        'use = "holdout"',
        'use = "holdout"\nverifier = "acme.lacking"',
        "`num_workers`, `seconds_allowed`, `memory_bytes`, `judge`, `check_gold`",
    ),
    "probe": ("spec = 1", 'spec = 1\nprobes = ["acme.lacking"]', "`every`, `measure`"),
    "tracker": ("spec = 1", 'spec = 1\ntrackers = ["acme.lacking"]', "`accelerate_tracker`"),
    "filter": ("spec = 1", 'spec = 1\nfilters = ["acme.lacking"]', "`refill_rounds`, `keep`"),
}


def changed(kind: str) -> str:
    """The spec with a component of that kind which lacks members."""
    before, after, _ = LACKING[kind]
    return bent((before, after))


@pytest.mark.parametrize("kind", LACKING)
def test_a_component_that_lacks_members_is_valid_and_not_planned(kind: str, site: Path) -> None:
    body = "    def provides(self): return frozenset({'reward[binary]'})" if kind == "verifier" else "    pass"
    install(site, "acme", {f"{kind}:acme.lacking": "acme:Lacking"}, component("Lacking", kind, body))
    resolved = resolve_text(changed(kind))
    assert [d.code for d in diagnose(resolved) if d.severity == "error"] == []
    said = f"E0305: the {kind} `acme.lacking` of acme lacks {LACKING[kind][2]}"
    for refused in (make_plan, draw):
        with pytest.raises(EnvironmentUnmet) as unmet:
            refused(resolved)
        assert unmet.value.message == said


def test_a_plan_file_of_such_a_component_is_refused_in_the_same_words(site: Path) -> None:
    """Also where the component is in a slot of another one."""
    judge = "    def judge(self, response, gold): ..."
    module = component("Lacking", "verifier", judge).replace("Component", "BinaryVerifier")
    install(site, "acme", {"verifier:acme.lacking": "acme:Lacking"}, module)
    plan = make_plan(resolve_text(changed("verifier")))
    build_graph(plan, plan.spec_text)
    del sys.modules["acme"].Lacking.judge
    with pytest.raises(EnvironmentUnmet, match=r"E0305: the verifier `acme\.lacking` of acme lacks `judge`$"):
        build_graph(plan, plan.spec_text)


def test_plan_says_what_run_would_say(tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "acme", {"schedule:acme.lacking": "acme:Lacking"}, component("Lacking", "schedule", "    pass"))
    (tmp_path / "spec.toml").write_text(changed("schedule"))
    assert main(["validate", str(tmp_path / "spec.toml")]) == 0
    capsys.readouterr()
    said = []
    for command in ("plan", "run"):
        assert main([command, str(tmp_path / "spec.toml")]) == 3
        said.append(capsys.readouterr().err)
    assert said[0] == said[1]
    assert "E0305: the schedule `acme.lacking` of acme lacks `optimizer`" in said[0]
    assert "`Handover` of prerl_spec.sdk provides default members" in said[0]


def test_members_are_looked_up_without_running_them() -> None:
    sampler: Any = load(installed().providers("sampler", "transformers")[0])

    class Failing(sampler):  # type: ignore[misc]
        @property
        def device_share(self) -> float:
            raise RuntimeError("no device")

    failing: Component = Failing()
    assert kind_protocols.missing_members(failing) == []


@pytest.mark.parametrize(("returned", "said"), [("1 / 0", "ZeroDivisionError"), ("['clip']", "not a mapping of words")])
def test_an_expansion_that_cannot_be_printed_is_its_authors(returned: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from prerl_spec.sdk import Ramp\n\n\nclass Mine(Ramp):\n    'A ramp.'\n\n"
        f"    def at(self, step):\n        return 1.0\n\n    def expansion(self):\n        return {returned}\n"
    )
    (entry,) = local_entries(tmp_path / "mine.py")
    with pytest.raises(PluginFault, match="breaks the component contract") as caught:
        check_declared_types(load(entry)(), entry.name, entry.distribution)
    assert caught.value.code == "E0305"
    assert said in (caught.value.help or "")


WATCHING = """
    every: int = 1
    gradients_held: int = 0
    def measure(self, step): return {}
    def needs(self, objective, num_samples): return objective.no_such_member
    def before(self, site): return None
    def after(self, site, state): return {}
"""


def test_a_probe_that_fails_to_say_what_it_needs_is_not_planned(site: Path) -> None:
    install(site, "acme", {"probe:acme.lacking": "acme:Lacking"}, component("Lacking", "probe", WATCHING))
    with pytest.raises(
        EnvironmentUnmet, match=r"E0305: `acme\.lacking` of acme breaks the component contract"
    ) as unmet:
        make_plan(resolve_text(changed("probe")))
    assert "no_such_member" in str(unmet.value.hint)


@pytest.mark.parametrize("kind", ["advantage", "selection"])
def test_a_part_whose_reads_fail_is_its_authors_fault_not_that_of_the_objective_around_it(
    kind: str, site: Path
) -> None:
    body = "    def reads(self): return 1 / 0"
    install(site, "acme", {f"{kind}:acme.failing": "acme:Failing"}, component("Failing", kind, body))
    part = {"advantage": '"acme.failing"', "selection": '"group_std"\nselection = ["acme.failing"]'}[kind]
    text = bent(('use = "grpo"', f'use = "policy_gradient"\nadvantage = {part}'))
    (fault,) = [d for d in diagnose(resolve_text(text)) if d.severity == "error"]
    assert fault.code == "E0305"
    assert fault.help == "cause: ZeroDivisionError: division by zero"
