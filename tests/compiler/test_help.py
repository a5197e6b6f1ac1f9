"""What would be right instead: the help of errors that newcomers make, word by word. Codes and places are the language's."""

from pathlib import Path

import pytest

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.planning.notes import phase_notes
from prerl_spec.compiler.resolve.resolve import resolve, resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import Diagnostic
from prerl_spec.registry.entry_points import installed, load
from prerl_spec.registry.settings import settings_of
from tests.compiler.specs import bent, written
from tests.language.cases import BASE, edit

PARTS = 'use = "policy_gradient", advantage = "group_std"'


def with_objective(inside: str) -> str:
    return edit('objective = "grpo"', f"objective = {{ {inside} }}")


def the_error(text: str) -> Diagnostic:
    (found,) = diagnose(resolve_text(text))
    return found


@pytest.mark.parametrize(
    ("inside", "help"),
    [
        (
            'use = "grpo", view = "marginal"',
            "a preset's view is fixed: use `marginal_pg`, or `policy_gradient` with `view`",
        ),
        (
            'use = "rloo", clip_high = 0.3',
            '`plain` has no ratio: `policy_gradient` with advantage = "leave_one_out", surrogate = "clip"',
        ),
        (
            'use = "grpo", beta = 0.1',
            "add the term `kl` in a `weighted_sum`: its coefficient is beta; the same factor of the loss; "
            'TRL differentiates its KL through the ratio as well: `gradient = "ratio"`',
        ),
        (
            'use = "grpo", correction = "mask"',
            'in a preset: importance = "truncate" or "mask"; `policy_gradient` has `correction`',
        ),
        (
            'use = "grpo", loss_type = "dapo"',
            'here `aggregation`: "token_mean", "sequence_mean" or "constant"; '
            '"dapo" is "token_mean", "grpo" is "sequence_mean", "dr_grpo" is "constant"; "cispo" and "sapo" are objectives',
        ),
        (
            'use = "grpo", epsilon = 0.2',
            "here `clip_low` and `clip_high`; TRL's `epsilon` bounds both sides: set `clip_high` to it as well",
        ),
        ('use = "grpo", epsilon_high = 0.28', "here `clip_high`"),
        (
            f"{PARTS}, clip_low = 0.1",
            'the surrogate has it: `surrogate = { use = "clip", clip_low = ..., clip_high = ..., dual_clip = ... }`',
        ),
        ('use = "nsr", clip_high = 0.3', "an upper clip never acts where A < 0"),
        ('use = "grpo", colour = "red"', None),
    ],
)
def test_a_word_from_elsewhere_is_answered_with_ours(inside: str, help: str | None) -> None:
    found = the_error(with_objective(inside))
    assert found.code == "E0203"
    assert (found.help or "").startswith("known here: ") if help is None else found.help == help


def test_no_hint_stands_in_the_way_of_a_setting() -> None:
    """A hint under a setting's own name is shown where its value is out of bounds, which a choice never is."""
    for entry in installed().entries:
        component = load(entry)
        own = settings_of(component)
        assert component.hints.keys() & own.keys() <= {"coefficient"} | {
            key for key in own if component.kind == "objective" and own[key].only_choices
        }, entry.name


def test_the_advantage_that_a_preset_without_a_ratio_names_is_its_own() -> None:
    for name in ("reinforce", "rloo", "gpg", "opo"):
        preset = load(installed().providers("objective", name)[0])
        advantage = preset().expansion()["advantage"].partition(" ")[0]
        assert f'advantage = "{advantage}"' in preset.hints["clip_high"]


@pytest.mark.parametrize(
    ("inside", "code", "caret", "help"),
    [
        (
            'use = "policy_gradient", advantage = "GRPO"',
            "E0301",
            "`grpo` is an objective; an advantage is needed here",
            "the advantage of `grpo` is `group_std`; `prerl-spec components list --kind advantage` shows all 14",
        ),
        (
            'use = "policy_gradient", advantage = "grpo"',
            "E0303",
            "`grpo` belongs in `[phases.objective]`",
            "the advantage of `grpo` is `group_std`; `prerl-spec components list --kind advantage` shows all 14",
        ),
        (
            f'{PARTS}, surrogate = "ppo"',
            "E0301",
            "did you mean `clip` or `dppo`?",
            "the surrogate of `ppo_clip` is `clip`; `prerl-spec components list --kind surrogate` shows all 7",
        ),
        (
            f'{PARTS}, surrogate = "dpo"',
            "E0301",
            "did you mean `dppo`?",
            "`prerl-spec components list --kind surrogate` shows all 7",
        ),
    ],
)
def test_the_name_of_an_objective_in_place_of_a_part_leads_to_its_part(
    inside: str, code: str, caret: str, help: str
) -> None:
    found = the_error(with_objective(inside))
    count = len(installed().names("surrogate" if "surrogate" in help else "advantage"))
    assert (found.code, found.caret) == (code, caret)
    assert (found.help or "").rpartition(" all ")[0] == help.rpartition(" all ")[0]
    assert (found.help or "").endswith(f"shows all {count}")


def test_a_component_of_a_local_file_is_suggested_and_not_counted(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from prerl_spec.sdk import Advantage\n\n\nclass PassAtK(Advantage):\n"
        '    """A."""\n\n    def advantage(self, batch):\n        return batch.step.reward_S\n'
    )
    for word, code in (("pass_at_k", "E0303"), ("PassAtK", "E0301"), ("pass-at-k", "E0301")):
        text = with_objective(f'use = "policy_gradient", advantage = "{word}"')
        text = text.replace("[run]", '[plugins]\nfiles = ["mine.py"]\n\n[run]')
        (found,) = diagnose(resolve(Path(written(tmp_path, text)), local_code=True))
        assert found.code == code, word
        assert found.caret == "did you mean `local.pass_at_k`?"
        count = len(installed().names("advantage"))
        assert found.help == f"`prerl-spec components list --kind advantage` shows all {count}"


def test_a_namespace_that_nobody_provides_is_to_be_installed() -> None:
    found = the_error(with_objective(f'{PARTS}, surrogate = "nowhere.gmpo"'))
    assert found.code == "E0301"
    assert found.help == "no installed distribution provides `nowhere.` names: install the one that does"
    found = the_error(with_objective(f'{PARTS}, surrogate = "local.gmpo"'))
    assert "no file is listed there" in (found.help or "")


def test_the_group_size_of_an_evaluator_is_its_samples() -> None:
    for use in ('"lm_eval"\ntasks = ["gsm8k"]', '"holdout"\ndata = "train"'):
        found = the_error(f"{BASE}\n[[evaluate]]\nuse = {use}\ngroup_size = 4\n")
        assert found.caret == "`group_size` belongs in `[sampler]`"
        assert found.help == "an evaluator's number of responses to a question is `samples`"


DATA = 'use = "jsonl"\npath = "rows.jsonl"'
MODEL = 'use = "hf_causal"\nname = "some/model"'


@pytest.mark.parametrize(
    ("old", "new", "code", "help"),
    [
        (MODEL, 'use = "Qwen/Qwen2.5-0.5B"', "E0308", 'write `{ use = "hf_causal", name = "Qwen/Qwen2.5-0.5B" }`'),
        (DATA, 'use = "rows.jsonl"', "E0301", 'write `{ use = "jsonl", path = "rows.jsonl" }`'),
        (
            DATA,
            'use = "openai/gsm8k"',
            "E0308",
            'write `{ use = "hf_dataset", path = "openai/gsm8k" }` or `{ use = "jsonl", path = "openai/gsm8k" }`',
        ),
        (
            '"math_verify"',
            '"./mine.py"',
            "E0308",
            "a file with a verifier of yours is listed in `[plugins] files`, and the verifier is `local.NAME`",
        ),
        ('"math_verify"', '"math/verify"', "E0308", "names are lower-case words: `grpo`, `acme.fancy`, `grpo@1`"),
    ],
)
def test_a_file_or_a_repository_in_place_of_a_name_is_told_where_it_stands(
    old: str, new: str, code: str, help: str
) -> None:
    found = the_error(edit(old, new))
    assert (found.code, found.help) == (code, help)


@pytest.mark.parametrize("value", ['"linear"', "[0.1, 1.0]"])
def test_a_ramp_is_written_as_a_table(value: str) -> None:
    found = the_error(with_objective(f'use = "grpo", coefficient = {value}'))
    name = "linear" if "linear" in value else installed().names("ramp")[0]
    assert found.code == "E0201"
    assert found.help == f'a ramp is a table: write `{{ use = "{name}", start = ..., end = ..., steps = ... }}`'


def test_a_quoted_number_is_no_ramp() -> None:
    found = the_error(with_objective('use = "grpo", coefficient = "0.5"'))
    assert (found.code, found.caret, found.help) == ("E0201", "write `0.5`", None)


def test_from_is_not_where_a_ramp_starts() -> None:
    found = the_error(with_objective('use = "grpo", coefficient = { use = "linear", from = 0.0, to = 1.0 }'))
    assert found.code == "E0201"
    assert found.help is not None
    assert found.help.endswith("the settings of `linear` are start, end, steps")


def test_a_missing_setting_is_told_with_who_requires_it() -> None:
    found = the_error(edit('objective = "grpo"', 'objective = "grpo"\nrewards = ["format_bonus"]'))
    assert (found.code, found.message) == ("E0204", "missing key `weight`")
    assert found.help == 'write `{ use = "format_bonus", weight = ... }`'
    assert found.notes == ("`format_bonus` requires it",)


def test_a_missing_slot_is_told_with_a_name_and_where_others_are() -> None:
    where = "`prerl-spec components list --kind {}` shows all"
    found = the_error(with_objective('use = "policy_gradient"'))
    assert (found.code, found.path) == ("E0204", "phases[0].objective.advantage")
    assert found.help == f'write `advantage = "group_std"`, or another name: {where.format("advantage")}'
    found = the_error(BASE.replace('objective = "grpo"\n', ""))
    assert found.help == f'write `objective = "grpo"`, or another name: {where.format("objective")}'
    found = the_error(with_objective('use = "weighted_sum"'))
    assert found.help == f'write `terms = [{{ use = "..." }}]`: {where.format("objective")}'


def test_a_weight_of_zero_is_left_out_and_entropy_needs_no_minus() -> None:
    found = the_error(with_objective('use = "grpo", coefficient = 0.0'))
    assert (found.code, found.help) == ("E0202", "leave the term out, or use `nothing`, which trains nothing")
    found = the_error(with_objective('use = "weighted_sum", terms = ["grpo", { use = "entropy", coefficient = -0.1 }]'))
    assert found.code == "E0202"
    assert found.help == "`entropy` already rewards entropy: write a positive number, or leave the term out"


def test_settings_in_a_phase_beside_a_top_level_sampler_are_no_reason_to_remove_it() -> None:
    text = edit('objective = "grpo"', 'objective = "grpo"\nsampler.group_size = 1')
    found = {d.code.value: d for d in diagnose(resolve_text(text))}
    why = "a phase's own `sampler` replaces the top-level one whole: write it with `use` and every setting"
    assert found["E0308"].notes == (why,)
    assert found["W0701"].help == why
    own = edit('objective = "grpo"', 'objective = "grpo"\nsampler = { use = "transformers", group_size = 4 }')
    assert the_error(own).help == "remove it"


def test_a_missing_kl_is_not_told_where_kl_stands_beside_it(tmp_path: Path) -> None:
    told = []
    for terms in ('["grpo"]', '["grpo", { use = "kl", coefficient = 0.1 }]'):
        text = bent(('[phases.objective]\nuse = "grpo"', f'[phases.objective]\nuse = "weighted_sum"\nterms = {terms}'))
        plan = compile_spec(Path(written(tmp_path, text))).plan
        notes = " ".join(phase_notes(plan.phases[-1], None))
        assert "aggregation is sequence_mean" in notes
        told.append("no KL penalty" in notes)
    assert told == [True, False]


@pytest.mark.parametrize(
    ("study", "message", "help"),
    [
        ("arms.a = {}", "missing key `seeds`", "write `seeds = [0, 1, 2]`, for example"),
        (
            'seeds = [0, 1]\nprimary = "easy"\narms.a = {}',
            '`primary` must be a task and a metric with a slash between, as "gsm8k/avg@4", not "easy"',
            None,
        ),
    ],
)
def test_a_study_that_lacks_something_is_told_how_to_write_it(study: str, message: str, help: str | None) -> None:
    found = the_error(f"{BASE}\n[study]\n{study}\n")
    assert (found.message, found.help) == (message, help)


@pytest.mark.parametrize(
    ("old", "new", "right"),
    [
        ('name = "case"', 'name = "MyRun"', "my-run"),
        ('name = "case"', 'name = "GRPO on GSM8K (v2)"', "grpo-on-gsm8k-v2"),
        ('id = "refine"', 'id = "RefineIt"', "refine_it"),
        ('id = "refine"', 'id = "2nd phase"', "nd_phase"),
        ('id = "refine"', 'id = "--"', None),
    ],
)
def test_a_name_of_the_wrong_form_is_answered_with_one_of_the_right_form(old: str, new: str, right: str | None) -> None:
    found = the_error(edit(old, new))
    assert found.code == "E0202"
    assert [s.replacement for s in found.suggestions] == ([] if right is None else [f'"{right}"'])
    assert found.caret == ("" if right is None else f'write `"{right}"`')
