"""The conformance kit finds what is wrong with a plugin, and says which check found it."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from prerl_spec.cli.authors.new_plugin import STARTS, write_plugin
from prerl_spec.cli.authors.plugin import distribution_of
from prerl_spec.cli.main import main
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.errors import EnvironmentUnmet, UsageError
from prerl_spec.registry.entry_points import installed
from prerl_spec.testing.conformance.check import check_distribution
from tests.language.cases import edit
from tests.registry.distributions import component, install

PROBE = """
from pydantic import Field
from typing import Literal
from prerl_spec.sdk import Component{imports}


class Counts(Component):
    "Counts attempts."

    kind = "probe"
    every: int = Field(1, ge=1, description="steps between two measurements")
    what: Literal["all", "right"] = Field("all", description="which attempts")
{body}
"""
MEASURE = """
    def measure(self, step):
        return {"attempts": float(len(step.samples))}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("acme", None)


def broken(site: Path, module: str, entry: str = "probe:acme.counts") -> dict[str, str]:
    """Check -> what is broken, of a distribution with this module."""
    install(site, "acme", {entry: "acme:Counts"}, module)
    return {f.check: f.detail for f in check_distribution("acme") if f.state == "broken"}


def probe(body: str = MEASURE, imports: str = "") -> str:
    return PROBE.format(body=body, imports=imports)


def test_a_sound_plugin_holds(site: Path) -> None:
    assert broken(site, probe()) == {}


def test_a_bare_name_is_refused_with_the_name_that_would_do(site: Path) -> None:
    assert 'write "acme.counts"' in broken(site, probe(), "probe:counts")["entry point"]


@pytest.mark.parametrize("distribution", ["acme", "prerl-acme", "Prerl_Acme.Tools"])
def test_the_check_and_the_warning_of_a_spec_suggest_the_same_name(distribution: str, site: Path) -> None:
    install(site, distribution, {"filter:Careful_One": "acme:Counts", "filter:careful_one": "acme:Counts"}, probe())
    told = [f.detail for f in check_distribution(distribution) if f.check == "entry point" and f.state == "broken"]
    registry = installed()
    text = edit('objective = "grpo"', 'filters = ["careful_one"]\nobjective = "grpo"')
    (warned,) = [d.help for d in resolve_text(text, registry=registry).diagnostics if d.code == "W0302"]
    name = (warned or "").partition("`")[2].rstrip("`")
    assert name.endswith("acme.careful_one") or name == "acme_tools.careful_one"
    assert all(f'write "{name}"' in detail for detail in told)
    assert len(told) == 2


def test_an_unknown_group_is_named(site: Path) -> None:
    assert "there is no group prerl_spec.prob" in broken(site, probe(), "prob:acme.counts")["entry point"]


def test_a_heavy_import_in_a_declaration_is_found(site: Path) -> None:
    assert "must not import torch" in broken(site, probe(imports="\nimport torch"))["light import"]


def test_a_heavy_import_in_what_validate_asks_is_found(site: Path) -> None:
    body = MEASURE + "\n    def consumes(self):\n        import torch\n        return frozenset()\n"
    assert "a declaration that `validate` reads fails" in broken(site, probe(body))["light import"]


def test_a_setting_that_is_not_strict_is_found(site: Path) -> None:
    loose = '    every: int = Field(1, ge=1, strict=False, description="steps")\n'
    assert "`every` accepts '1'" in broken(site, probe(loose + MEASURE))["settings"]


def test_a_class_that_is_not_strict_is_found(site: Path) -> None:
    loose = '    model_config = {"strict": False, "extra": "forbid", "frozen": True}\n'
    assert "overrides strict" in broken(site, probe(loose + MEASURE))["declaration"]


def test_a_branch_that_nothing_legal_is_known_for_is_found(site: Path) -> None:
    body = '    word: str = Field(pattern="^x{7}$", description="a word")\n' + MEASURE
    assert "examples" in broken(site, probe(body))["settings"]


def test_an_example_makes_a_required_setting_known(site: Path) -> None:
    body = '    word: str = Field(pattern="^x{3}$", description="a word", examples=["xxx"])\n' + MEASURE
    assert broken(site, probe(body)) == {}


def test_what_cannot_be_opened_here_says_why_and_the_rest_is_tried(site: Path) -> None:
    body = (
        MEASURE
        + """
    def for_trial(self, folder):
        assert folder.is_dir()
        return self if self.what == "all" else "it would ask a server"
"""
    )
    install(site, "acme", {"probe:acme.counts": "acme:Counts"}, probe(body))
    laws = [(f.state, f.detail) for f in check_distribution("acme") if f.check == "laws"]
    assert [state for state, _ in laws] == ["held", "not tried"]
    assert laws[1][1] == "what = 'right': it would ask a server"


def test_a_need_that_is_not_met_leaves_the_laws_untried(site: Path) -> None:
    body = (
        MEASURE
        + """
    def prerequisites(self):
        return (Prerequisite("package", "acme-nowhere>=2", "pip install acme-nowhere"),)
"""
    )
    install(site, "acme", {"probe:acme.counts": "acme:Counts"}, probe(body, ", Prerequisite"))
    ((state, detail),) = [(f.state, f.detail) for f in check_distribution("acme") if f.check == "laws"]
    assert state == "not tried"
    assert "acme-nowhere>=2, not installed (pip install acme-nowhere)" in detail


def test_every_word_of_a_choice_is_tried(site: Path) -> None:
    body = """
    def measure(self, step):
        return {"attempts": 1 / 0 if self.what == "right" else 1.0}
"""
    assert "what = 'right': ZeroDivisionError" in broken(site, probe(body))["laws"]


def test_a_missing_member_of_the_protocol_is_found(site: Path) -> None:
    assert broken(site, probe(""))["protocol"] == "`measure` is missing"


def test_a_method_with_other_parameters_is_found(site: Path) -> None:
    assert "`measure` is called with (step)" in broken(site, probe("    def measure(self): return {}"))["protocol"]


def test_a_probe_with_one_hook_needs_the_others_or_it_would_never_be_called(site: Path) -> None:
    body = MEASURE + "    def after(self, site, state): return {}\n"
    missing = "`gradients_held` is missing; `needs` is missing; `before` is missing"
    assert broken(site, probe(body))["protocol"] == missing


WATCHING = """
    def needs(self, objective, num_samples): return ()
    def before(self, site): {before}
    def after(self, site, state): {after}
    gradients_held: ClassVar[int] = 0
"""


def test_a_hook_with_other_parameters_is_found(site: Path) -> None:
    body = MEASURE + WATCHING.format(before="pass", after="return {}").replace("before(self, site)", "before(self)")
    assert "`before` is called with (site)" in broken(site, probe(body, "\nfrom typing import ClassVar"))["protocol"]


@pytest.mark.parametrize(
    ("before", "after", "law"),
    [
        ("site.gradient(site.objective)", "return {}", "needs() names 0"),
        ("next(iter(site.trainer.policy.parameters()))[1].data.add_(1.0)", "return {}", "before() changes the weights"),
        ("__import__('torch').rand(1)", "return {}", "before() draws from the global random generator"),
        ("site.gradient(site.objective)", "return {'Norm': 1.0}", "a lower-case word"),
        ("pass", "return {'seen': float('nan')}", "seen = nan in `after`"),
    ],
)
def test_a_probe_that_does_more_than_look_is_found(site: Path, before: str, after: str, law: str) -> None:
    body = MEASURE + WATCHING.format(before=before, after=after)
    assert law in broken(site, probe(body, "\nfrom typing import ClassVar"))["laws"]


def test_a_broken_law_is_found(site: Path) -> None:
    body = "    def measure(self, step): return {'Not A Word': 1.0}"
    assert "a lower-case word" in broken(site, probe(body))["laws"]


def test_a_component_of_another_kind_is_found(site: Path) -> None:
    assert "declares kind 'filter'" in broken(site, component("Counts"))["declaration"]


def test_a_distribution_that_is_not_there_is_said() -> None:
    with pytest.raises(EnvironmentUnmet, match="no distribution `no-such-thing`"):
        list(check_distribution("no-such-thing"))


def test_what_plugin_new_writes_of_every_kind_passes_its_own_tests_and_the_check(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (site / "ideas.py").write_text(IDEAS)
    made = {f"prerl-acme-{kind}": (["--kind", kind], 5) for kind in STARTS}
    made["prerl-acme-ideas"] = (["--from", str(site / "ideas.py")], 15)
    sources: list[str] = []
    for name, (options, held) in made.items():
        assert main(["plugin", "new", name, *options, "--in", str(site)]) == 0
        folder = site / name
        table = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]
        entries = {f"{group.partition('.')[2]}:{n}": v for group, lines in table.items() for n, v in lines.items()}
        install(site, name, entries)
        sources.append(str(folder / "src"))
        monkeypatch.syspath_prepend(sources[-1])
        assert "@" not in (folder / "README.md").read_text() + (folder / "specs" / f"{name}.toml").read_text()
        capsys.readouterr()
        assert main(["plugin", "check", name]) == 0
        assert capsys.readouterr().out.endswith(f"{name}: {held} held\n")
        assert main(["validate", str(folder / "specs" / f"{name}.toml")]) == 0
    assert (folder / "src" / "prerl_acme_ideas" / "ideas.py").read_text() == IDEAS
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *made]
    done = subprocess.run(
        tests, cwd=site, env={"PYTHONPATH": ":".join(sources)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


IDEAS = """
from typing import Annotated

from pydantic import Field

from prerl_spec.sdk import Advantage, BinaryVerifier, Component, Outcome, Slot, Surrogate, Verdict


class Same(BinaryVerifier):
    "Right if the response is the gold answer."
    right_example = ("7", "7")
    wrong_example = ("8", "7")
    least: int = Field(ge=1, le=1, description="characters that an answer needs")

    def judge(self, response, gold):
        right = response == gold and len(response) >= self.least
        return Verdict(Outcome.RIGHT if right else Outcome.WRONG, float(right), answer=response)


class Twice(Advantage):
    "Another advantage, twice."
    base: Annotated[Component, Slot("advantage")] = Field(description="the advantage")
    baseline_over = property(lambda self: self.base.baseline_over)
    shift = property(lambda self: self.base.shift)
    scale = property(lambda self: self.base.scale)
    min_group = property(lambda self: self.base.min_group)

    def reads(self):
        return self.base.reads()

    def advantage(self, batch):
        return 2.0 * self.base.advantage(batch.of_part("base", self.base.reads()))


class Square(Surrogate):
    "A quadratic penalty on the ratio in place of a clip."
    width: float = Field(gt=0, description="half the divisor")

    def loss(self, logp_n, old_n, advantage_n, tokens, more):
        ratio_n = (logp_n - old_n).clamp(-20, 20).exp()
        return -advantage_n * ratio_n + advantage_n.abs() * (ratio_n - 1) ** 2 / (2 * self.width)
"""
"""Three components of three kinds, with a required setting, a required slot, and examples."""


def written_from(text: str, site: Path, capsys: pytest.CaptureFixture[str]) -> str:
    (site / "mine.py").write_text(text)
    assert main(["plugin", "new", "prerl-acme", "--from", str(site / "mine.py"), "--in", str(site)]) == 0
    return capsys.readouterr().out


def test_what_a_file_has_to_change_to_become_a_plugin_is_told_with_its_line(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = written_from(f"import torch\nimport yaml\nOTHER = 'local.counts'\n{probe()}", site, capsys)
    file = site / "mine.py"
    assert f"note: {file}:1 imports torch at its top: move it into the functions that need it" in shown
    assert f"note: {file} imports yaml: add its distribution to `dependencies` of pyproject.toml" in shown
    assert f"note: {file}:3 names `local.counts`: in the distribution it is `acme.counts`" in shown
    (site / "plain").mkdir()
    assert "note: " not in written_from(probe(), site / "plain", capsys)


def test_a_kind_that_no_generated_spec_uses_is_refused_before_a_file_is_written(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "mine.py").write_text(
        'from prerl_spec.sdk import Component\nclass T(Component):\n    "T."\n    kind = "tracker"\n'
    )
    assert main(["plugin", "new", "prerl-acme", "--from", str(site / "mine.py"), "--in", str(site)]) == 2
    assert "no tests for a component of kind tracker, local.t" in capsys.readouterr().err
    assert not (site / "prerl-acme").exists()


def test_the_check_takes_the_folder_of_a_distribution_and_says_how_to_install_it(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written_from(probe(), site, capsys)
    monkeypatch.chdir(site)
    assert main(["plugin", "check", "prerl-acme"]) == 3
    assert "`pip install -e ./prerl-acme`, then the same command again" in capsys.readouterr().err
    assert main(["plugin", "check", "./nowhere"]) == 2
    assert "./nowhere has no pyproject.toml" in capsys.readouterr().err
    install(site, "prerl-acme", {"probe:acme.counts": "acme:Counts"}, probe())
    assert distribution_of("./prerl-acme") == distribution_of(str(site / "prerl-acme")) == "prerl-acme"


@pytest.mark.parametrize("name", ["Acme", "../x", "prerl-spec", "a--b", ""])
def test_names_that_no_distribution_can_have_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_plugin(name, tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_plugin("prerl-acme", tmp_path)
    with pytest.raises(UsageError, match="already exists"):
        write_plugin("prerl-acme", tmp_path)
