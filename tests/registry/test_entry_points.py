"""The shelf: names from metadata alone, built-ins that nobody can shadow, and strangers that break only their own specs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import exit_code_of
from prerl_spec.registry.component import Component
from prerl_spec.registry.entry_points import PluginFault, installed, load
from tests.language.cases import BASE
from tests.registry.distributions import component, install

SMOKE = Path(__file__).parents[2] / "specs" / "smoke.toml"


def with_filter(reference: str) -> str:
    return BASE.replace("[model]", f"[[filters]]\n{reference}\n\n[model]")


def codes(text: str) -> list[str]:
    return [d.code for d in resolve_text(text).diagnostics]


def test_names_are_known_without_importing_anything(site: Path) -> None:
    install(site, "acme", {"filter:acme.careful": "acme:Careful"}, "raise RuntimeError('imported')")
    assert "acme.careful" in installed().names("filter")
    assert "acme" not in sys.modules


def test_what_is_installed_while_the_process_runs_is_seen(site: Path) -> None:
    os.utime(site, (0, 0))  # the clock of a file system may stand still between the two looks
    assert "acme.careful" not in installed().names("filter")
    install(site, "acme", {"filter:acme.careful": "acme:Careful"})
    assert "acme.careful" in installed().names("filter")


def test_a_broken_plugin_that_no_spec_names_changes_nothing(site: Path) -> None:
    before = resolve_text(BASE).diagnostics
    install(site, "acme", {"filter:acme.careful": "acme:Careful", "objective:grpo": "acme:Grpo"}, "1 / 0")
    (site / "rival-0.1.dist-info").mkdir()
    (site / "rival-0.1.dist-info" / "entry_points.txt").write_text("[prerl_spec.filter]\nthis is no entry point")
    assert resolve_text(BASE.replace("grpo", "marginal_nsr")).diagnostics == before == ()
    assert "acme" not in sys.modules


def test_a_plugin_that_cannot_be_imported_shows_its_own_cause(site: Path) -> None:
    install(site, "acme", {"filter:acme.careful": "acme:Careful"}, "raise RuntimeError('the disk is full')")
    resolved = resolve_text(with_filter('use = "acme.careful"'))
    assert [d.code for d in resolved.diagnostics] == ["E0304"]
    assert "RuntimeError: the disk is full" in (resolved.diagnostics[0].help or "")
    assert exit_code_of(resolved.diagnostics) == 3


@pytest.mark.parametrize("module", ["raise SystemExit(7)", "import acme_that_is_not_there", "Other = 1", "def f(:"])
def test_whatever_a_module_does_when_imported_is_one_diagnostic(site: Path, module: str) -> None:
    install(site, "acme", {"filter:acme.careful": "acme:Careful"}, module)
    assert codes(with_filter('use = "acme.careful"')) == ["E0304"]


@pytest.mark.parametrize("value", ["acme : Careful", "acme:Careful [fast, gpu]", "acme :Careful[fast]"])
def test_a_value_may_have_blanks_and_extras(value: str, site: Path) -> None:
    install(site, "acme", {"filter:acme.careful": value}, component("Careful"))
    assert codes(with_filter('use = "acme.careful"')) == []
    assert [e.value for e in installed().providers("filter", "acme.careful")] == ["acme:Careful"]


def test_a_stranger_with_unreadable_entry_points_breaks_no_command(site: Path) -> None:
    strangers = {"malformed": b"[console_scripts]\nnonsense\n", "binary": b"[console_scripts]\na = \xff:b\n"}
    for name, content in strangers.items():
        install(site, name, {})
        (site / f"{name}-0.1.dist-info" / "entry_points.txt").write_bytes(content)
    # What pydantic does at the first model, and torch at its import.
    code = (
        "from importlib.metadata import entry_points\n"
        "from prerl_spec.cli.main import main\n"
        f"assert main(['validate', {str(SMOKE)!r}]) == 0\n"
        "assert list(entry_points(group='prerl_spec.filter'))\n"
        "main(['doctor'])"
    )
    paths = os.pathsep.join([str(site), *filter(None, sys.path)])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr.decode()
    assert all(f"{name}-0.1.dist-info" in done.stdout.decode() for name in strangers)


def test_what_a_plugin_prints_is_kept_out_of_results(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "acme", {"filter:acme.careful": "acme:Careful"}, "print('hello')\n" + component("Careful"))
    assert codes(with_filter('use = "acme.careful"')) == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("Careful = 5", "E0305"),
        (component("Careful", kind="probe"), "E0305"),
        (component("Careful", body="    version = 0"), "E0305"),
        (component("Careful", body="    api = 99"), "E0306"),
    ],
)
def test_a_declaration_is_held_against_its_entry(site: Path, module: str, code: str) -> None:
    install(site, "acme", {"filter:acme.careful": "acme:Careful"}, module)
    assert codes(with_filter('use = "acme.careful"')) == [code]


def test_two_providers_need_a_from(site: Path) -> None:
    install(site, "acme", {"filter:acme.careful": "acme:Careful"}, component("Careful"))
    install(site, "rival-fork", {"filter:acme.careful": "rival_fork:Careful"}, component("Careful"))
    assert codes(with_filter('use = "acme.careful"')) == ["E0302"]
    resolved = resolve_text(with_filter('use = "acme.careful"\nfrom = "Rival.Fork"'))
    assert resolved.built["filters[0]"].distribution == "rival-fork"
    assert codes(with_filter('use = "acme.careful"\nfrom = "third"')) == ["E0302"]


def test_a_foreign_bare_name_is_ignored_and_said_where_it_is_named(site: Path) -> None:
    entries = {"filter:mixed_groups": "acme:Careful", "filter:careful": "acme:Careful"}
    install(site, "acme", entries, component("Careful"))
    resolved = resolve_text(with_filter('use = "mixed_groups"'))
    assert [d.code for d in resolved.diagnostics] == ["W0302"]
    assert resolved.built["filters[0]"].distribution == "prerl-spec"
    assert sorted(codes(with_filter('use = "careful"'))) == ["E0301", "W0302"]


def test_a_behaviour_version_is_pinned(site: Path) -> None:
    install(site, "acme", {"filter:acme.careful": "acme:Careful"}, component("Careful", body="    version = 2"))
    assert codes(with_filter('use = "acme.careful@2"')) == []
    assert codes(with_filter('use = "acme.careful@1"')) == ["E0307"]


def test_a_distribution_found_twice_counts_once(site: Path) -> None:
    install(site, "acme", {"filter:acme.careful": "acme:Careful"}, component("Careful"))
    (site / "older").mkdir()
    install(site / "older", "acme", {"filter:acme.careful": "acme:Gone"})
    registry = installed([str(site), str(site / "older")])
    assert [e.value for e in registry.entries] == ["acme:Careful"]


def test_an_older_prerl_spec_on_the_path_hides_no_built_in(site: Path) -> None:
    before = installed().names("objective")
    install(site, "prerl-spec", {"filter:mixed_groups": "acme:Careful"})
    assert installed().names("objective") == before
    assert {e.value for e in installed().providers("filter", "mixed_groups")} == {
        "prerl_components.filters.mixed_groups:MixedGroups"
    }


def test_every_built_in_loads_and_is_what_its_entry_says() -> None:
    entries = [e for e in installed().entries if e.is_own]
    assert entries
    for entry in entries:
        assert load(entry).kind == entry.kind


def test_a_fault_names_the_distribution(site: Path) -> None:
    install(site, "acme", {"filter:acme.careful": "acme:Careful"}, "Careful = 1")
    (entry,) = installed().providers("filter", "acme.careful")
    with pytest.raises(PluginFault, match=r"acme 0\.1"):
        load(entry)


def test_validating_the_shipped_specs_loads_nothing_heavy() -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from prerl_spec.compiler.resolve.resolve import resolve\nfrom prerl_spec.compiler.rules.wire import diagnose\n"
        "found = [d for f in sorted(Path('specs').glob('*.toml')) for d in diagnose(resolve(f))]\n"
        "heavy = {'torch', 'transformers', 'datasets', 'vllm', 'lm_eval', 'peft'} & set(sys.modules)\n"
        "print(len(found), sorted(heavy))"
    )
    root = Path(__file__).parents[2]
    answer = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "0 []"


def test_components_are_settings_models() -> None:
    assert issubclass(load(installed().providers("optimizer", "adamw")[0]), Component)


ASKED = [
    ("    def consumes(self): raise RuntimeError('no disk')", "RuntimeError: no disk"),
    ("    def consumes(self): return ['attempts']", "consumes() returns ['attempts'], not a frozenset of str"),
    ("    def provides(self): return None", "provides() returns None, not a frozenset of str"),
    ("    def prerequisites(self): raise KeyError('x')", "KeyError: 'x'"),
    ("    def check(self, wiring): raise ValueError('in check')", "ValueError: in check"),
    ("    def check(self, wiring): return None", "TypeError"),
    ("    def check(self, wiring): return ['no']", "check() returns 'no', not a Conflict"),
    ("    def __init__(self, **settings): raise RuntimeError('in init')", "in init"),
]


@pytest.mark.parametrize(("body", "cause"), ASKED)
def test_a_component_that_does_not_answer_is_a_fault_of_its_own_at_its_name(site: Path, body: str, cause: str) -> None:
    install(site, "acme", {"filter:acme.careful": "acme:Careful"}, component("Careful", body=body))
    (found,) = diagnose(resolve_text(with_filter('use = "acme.careful"')))
    assert (found.code, found.path) == ("E0305", "filters[0].use")
    assert found.span is not None
    assert found.span.end_column - found.span.column == len('"acme.careful"')
    assert cause in (found.help or "")
    assert exit_code_of((found,)) == 3


@pytest.mark.parametrize("asked", ["needs", "parts", "min_group"])
def test_an_objective_that_cannot_say_what_it_needs_is_a_fault_of_its_own(site: Path, asked: str) -> None:
    body = f"    @property\n    def {asked}(self): raise RuntimeError('lost')\n"
    module = component("Lost", "objective", body).replace("Component", "OnePartObjective")
    install(site, "acme", {"objective:acme.lost": "acme:Lost"}, module)
    text = BASE.replace('objective = "grpo"', 'objective = "acme.lost"').replace('use = "grpo"', 'use = "acme.lost"')
    assert [d.code for d in diagnose(resolve_text(text))] == ["E0305"]


@pytest.mark.parametrize(
    "module", ["raise GeneratorExit", "class B(BaseException): pass\nraise B", "def f(): f()\nf()"]
)
def test_not_even_what_is_no_exception_gets_out_of_a_plugin(site: Path, module: str) -> None:
    install(site, "acme", {"filter:acme.careful": "acme:Careful"}, module)
    assert codes(with_filter('use = "acme.careful"')) == ["E0304"]


@pytest.mark.parametrize("loose", ['"strict": False', '"extra": "allow"', '"frozen": False', '"allow_inf_nan": True'])
def test_settings_may_not_be_looser_than_a_components_are(site: Path, loose: str) -> None:
    body = f"    model_config = {{{loose}}}\n    refill_rounds: int = 0"
    install(site, "acme", {"filter:acme.careful": "acme:Careful"}, component("Careful", body=body))
    (found,) = resolve_text(with_filter('use = "acme.careful"')).diagnostics
    assert found.code == "E0305"
    assert loose.split('"')[1] in found.message


def test_a_fault_of_our_own_is_not_called_a_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(load(installed().providers("filter", "mixed_groups")[0]), "consumes", fails)
    with pytest.raises(RuntimeError, match="ours"):
        resolve_text(with_filter('use = "mixed_groups"'))
