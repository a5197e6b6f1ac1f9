"""Several files as one spec: merge by table, by phase id and by `use`; what is unset; which mistakes belong to whom."""

from pathlib import Path

import pytest

from prerl_spec.compiler.resolve.resolve import resolve
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import UsageError
from prerl_spec.language.compose import DEEPEST_CHAIN, MOST_MERGED
from tests.language.cases import BASE


def composed(folder: Path, spec: str, *, overlays: tuple[str, ...] = (), **files: str) -> Resolved:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    (folder / "spec.toml").write_text(spec)
    return resolve(folder / "spec.toml", overlays=[folder / f"{name}.toml" for name in overlays])


def places(resolved: Resolved) -> list[tuple[str, str, int, int]]:
    return [
        (d.code, Path(d.span.file).name, d.span.line, d.span.column) for d in diagnose(resolved) if d.span is not None
    ]


def child(text: str = "") -> str:
    return f'extends = ["./base.toml"]\n{text}'


def test_tables_merge_deeply_and_scalars_and_lists_replace(tmp_path: Path) -> None:
    resolved = composed(tmp_path, child("[optimizer]\nweight_decay = 0.1\nbetas = [0.5, 0.6]"), base=BASE)
    assert diagnose(resolved) == ()
    optimizer = resolved.built["optimizer"].component
    assert (optimizer.lr, optimizer.weight_decay, optimizer.betas) == (1e-6, 0.1, (0.5, 0.6))  # type: ignore[attr-defined]


def test_a_component_with_its_own_use_replaces_the_old_one_whole(tmp_path: Path) -> None:
    resolved = composed(tmp_path, child('[optimizer]\nuse = "muon"\nlr = 0.01'), base=BASE + "\n[optimizer.x]\ny = 1")
    assert diagnose(resolved) == ()
    assert resolved.built["optimizer"].written == {"lr"}


def test_settings_merge_into_a_text_as_into_a_use(tmp_path: Path) -> None:
    base = BASE.replace('[verifier]\nuse = "math_verify"\n', "").replace(
        "spec = 1", 'spec = 1\nverifier = "math_verify"'
    )
    resolved = composed(tmp_path, child("verifier.workers = 3"), base=base)
    assert diagnose(resolved) == ()
    assert resolved.built["verifier"].use == "math_verify"
    assert resolved.built["verifier"].written == {"workers"}


def test_a_table_over_a_text_that_is_no_component_just_replaces_it(tmp_path: Path) -> None:
    base = BASE.replace('path = "rows.jsonl"', 'path = "rows.jsonl"\nchat = "off"')
    resolved = composed(tmp_path, child("data.train.chat = { enable_thinking = false }"), base=base)
    assert diagnose(resolved) == ()
    assert resolved.built["data.train"].component.chat == {"enable_thinking": False}  # type: ignore[attr-defined]


def test_phases_merge_by_id_and_new_ones_are_appended(tmp_path: Path) -> None:
    more = """
[[phases]]
id = "refine"
prompts_per_step = 16
[[phases]]
id = "polish"
prompts_per_step = 4
objective = "grpo"
schedule = { use = "fixed_steps", steps = 5 }
"""
    resolved = composed(tmp_path, child(more), base=BASE)
    assert diagnose(resolved) == ()
    assert [(p.id, p.prompts_per_step) for p in resolved.spec.phases] == [("refine", 16), ("polish", 4)]


def test_the_same_id_twice_in_one_file_stays_a_duplicate(tmp_path: Path) -> None:
    twice = '[[phases]]\nid = "refine"\n[[phases]]\nid = "refine"\n'
    codes = {code for code, *_ in places(composed(tmp_path, child(twice), base=BASE))}
    assert "E0209" in codes


def test_parents_apply_left_to_right_then_the_file_then_overlays(tmp_path: Path) -> None:
    spec = 'extends = ["base.toml", "second.toml"]\nrun.output_dir = "mine"'
    resolved = composed(
        tmp_path, spec, base=BASE, second="run.seed = 2\nrun.output_dir = 'x'", last="run.seed = 3", overlays=("last",)
    )
    assert (resolved.spec.run.seed, resolved.spec.run.output_dir) == (3, "mine")
    assert resolved.origins["run.seed"].endswith("last.toml:1")


def test_unset_takes_out_what_was_inherited_before_the_file_merges(tmp_path: Path) -> None:
    spec = 'unset = ["sampler.group_size", "phases.refine.schedule"]\n' + child(
        '[[phases]]\nid = "refine"\nschedule = { use = "fixed_steps", steps = 2 }'
    )
    resolved = composed(tmp_path, spec, base=BASE)
    assert diagnose(resolved) == ()
    assert resolved.built["sampler"].written == frozenset()


def test_unset_of_what_is_not_inherited_is_told_at_its_text(tmp_path: Path) -> None:
    resolved = composed(tmp_path, 'unset = ["run.seed"]\n' + child("run.seed = 1"), base=BASE)
    assert places(resolved) == [("E0408", "spec.toml", 1, 10)]


def test_a_bad_value_that_a_child_overrides_is_none_but_bad_syntax_is(tmp_path: Path) -> None:
    resolved = composed(tmp_path, child("optimizer.lr = 1e-5"), base=BASE.replace("lr = 1e-6", "lr = -1.0"))
    assert places(resolved) == []
    resolved = composed(tmp_path, child("optimizer.lr = 1e-5"), base=BASE.replace("lr = 1e-6", "lr = .5"))
    assert places(resolved) == [("E0106", "base.toml", 23, 6)]


def test_mistakes_come_file_after_file_the_spec_first(tmp_path: Path) -> None:
    spec = child("run.sed = 1\nsampler.top_p = 2.0")
    resolved = composed(
        tmp_path, spec, base=BASE.replace("steps = 20", "steps = 0"), last="optimizer.lr = 'x'", overlays=("last",)
    )
    assert [(code, file) for code, file, *_ in places(resolved)] == [
        ("E0203", "spec.toml"),
        ("E0202", "spec.toml"),
        ("E0202", "base.toml"),
        ("E0201", "last.toml"),
    ]


@pytest.mark.parametrize("written", ["./nowhere.toml", "", ".", "https://example.com/base.toml"])
def test_a_parent_that_cannot_be_read_is_told_at_its_text(tmp_path: Path, written: str) -> None:
    assert places(composed(tmp_path, f'extends = ["{written}"]\n' + BASE)) == [("E0401", "spec.toml", 1, 12)]


@pytest.mark.parametrize(
    ("addition", "told"),
    [
        ('unset = ["sampler.stop"]\n', []),
        ("vars.lr = 1e-6\nrun.seed = '${vars.seed}'\n", []),
        ("reference = 'off'\n[model.adapter]\nrank = 4\n", []),
        ("verifier.use = 5\n", ["E0308"]),
        ("vars.a = '${vars.b}'\nvars.b = '${vars.a}'\n", ["E0405"]),
    ],
)
def test_what_seems_missing_may_stand_in_a_parent_that_cannot_be_read(
    tmp_path: Path, addition: str, told: list[str]
) -> None:
    resolved = composed(tmp_path, f'extends = ["nowhere.toml"]\nspec = 1\nrun.name = "case"\n{addition}')
    assert [code for code, *_ in places(resolved) if not code.startswith("W")] == ["E0401", *told]


def test_a_circle_is_told_at_its_first_member_with_the_others_as_labels(tmp_path: Path) -> None:
    resolved = composed(tmp_path, child(BASE), base='extends = ["other.toml"]', other='extends = ["spec.toml"]')
    (found,) = [d for d in diagnose(resolved) if d.code == "E0401"]
    assert found.span is not None
    assert Path(found.span.file).name == "spec.toml"
    assert [Path(label.span.file).name for label in found.labels] == ["base.toml", "other.toml"]


def test_a_parent_of_two_parents_is_no_circle(tmp_path: Path) -> None:
    spec = 'extends = ["left.toml", "right.toml"]'
    assert places(composed(tmp_path, spec, left=child(), right=child(), base=BASE)) == []


def test_a_path_is_relative_to_the_file_that_writes_it(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "base.toml").write_text(BASE)
    (tmp_path / "spec.toml").write_text('extends = ["below/base.toml"]')
    data = resolve(tmp_path / "spec.toml").built["data.train"].component
    assert data.path == str(tmp_path / "below" / "rows.jsonl")  # type: ignore[attr-defined]


def test_an_overlay_that_is_not_there_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        composed(tmp_path, BASE, overlays=("nowhere",))


ARMS = """
[study]
seeds = [0, 1]
[study.arms.small]
sampler.group_size = 4
[study.arms.none]
phases = [{ id = "refine", objective = "marginal_nsr" }]
"""


def test_every_arm_of_a_study_is_composed(tmp_path: Path) -> None:
    resolved = composed(tmp_path, BASE + ARMS)
    assert diagnose(resolved) == ()
    assert resolved.arms["small"].built["sampler"].component.group_size == 4  # type: ignore[attr-defined]
    assert resolved.arms["none"].built["phases[0].objective"].use == "marginal_nsr"


def test_a_mistake_in_an_arm_is_told_where_it_is_written(tmp_path: Path) -> None:
    resolved = composed(
        tmp_path, BASE + ARMS.replace("= 4", "= 0") + '[study.arms]\nfile = "arm.toml"', arm="optimizer.lrr = 1"
    )
    assert [(code, file) for code, file, *_ in places(resolved)] == [("E0202", "spec.toml"), ("E0203", "arm.toml")]


def test_the_wiring_of_an_arm_is_checked_too(tmp_path: Path) -> None:
    assert [code for code, *_ in places(composed(tmp_path, BASE + ARMS.replace("= 4", "= 1")))] == ["E0701"]


@pytest.mark.parametrize("first", ['extends = ["nowhere.toml"]', 'extends = "base.toml"', 'extend = ["base.toml"]'])
def test_a_parent_that_is_lost_leaves_nothing_missing(tmp_path: Path, first: str) -> None:
    spec = first + '\nunset = ["run.seed"]\noptimizer.lr = "${vars.lr}"\n[[phases]]\nid = "refine"\ndata = "train"'
    assert len(places(composed(tmp_path, spec, base=BASE))) == 1


def test_references_to_a_misspelt_table_are_no_mistakes_of_their_own(tmp_path: Path) -> None:
    spec = BASE.replace("lr = 1e-6", 'lr = "${vars.lr}"') + "[vasr]\nlr = 1e-6"
    assert [code for code, *_ in places(composed(tmp_path, spec))] == ["E0203"]


def test_a_circle_names_its_files_in_the_order_in_which_they_lead_on(tmp_path: Path) -> None:
    resolved = composed(tmp_path, child(BASE), base='extends = ["other.toml"]', other='extends = ["spec.toml"]')
    (found,) = [d for d in resolved.diagnostics if d.code == "E0401"]
    names = ["spec.toml", "base.toml", "other.toml", "spec.toml"]
    assert found.message.replace(f"{tmp_path}/", "").endswith(": " + " -> ".join(f"`{name}`" for name in names))
    assert [label.text.replace(f"{tmp_path}/", "") for label in found.labels] == [
        "which extends `other.toml`",
        "which extends `spec.toml`",
    ]


def test_files_that_double_each_other_end_at_a_number_of_merges(tmp_path: Path) -> None:
    doubled = {f"f{i}": f'extends = ["f{i + 1}.toml", "f{i + 1}.toml"]' for i in range(20)}
    resolved = composed(tmp_path, 'extends = ["f0.toml"]', **doubled, f20=BASE)
    assert [d.message for d in resolved.diagnostics] == [f"more than {MOST_MERGED} files are merged"]


def test_a_chain_of_files_has_an_end(tmp_path: Path) -> None:
    chain = {f"f{i}": f'extends = ["f{i + 1}.toml"]' for i in range(DEEPEST_CHAIN + 5)}
    resolved = composed(tmp_path, 'extends = ["f0.toml"]', **chain, **{f"f{DEEPEST_CHAIN + 5}": BASE})
    message = f"more than {DEEPEST_CHAIN} files extend one another in a chain"
    assert [d.message for d in resolved.diagnostics] == [message]
