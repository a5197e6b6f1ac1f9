"""Words of TRL, verl, prime-rl and OpenRLHF: one error that says ours, the table that it stands in, and another number."""

from collections.abc import Mapping

import pytest

from prerl_spec.compiler.resolve.foreign.lookup import ALL
from prerl_spec.compiler.resolve.foreign.running import IN_TABLES, TABLES
from prerl_spec.compiler.resolve.foreign.values import BOUNDS, VALUES
from prerl_spec.compiler.resolve.foreign.word import ANY, ForeignTable, ForeignValue, ForeignWord, Home
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import Diagnostic
from prerl_spec.language.spec import Spec
from prerl_spec.registry.entry_points import installed, load
from prerl_spec.registry.settings import settings_of
from tests.language.cases import BASE, edit, end

IN_HOME: Mapping[str, str] = {
    "run": '[run]\nname = "case"',
    "phases": 'id = "refine"',
    "model": 'name = "some/model"',
    "data": 'path = "rows.jsonl"',
    "sampler": "group_size = 8",
    "optimizer": "lr = 1e-6",
    "schedule": "steps = 20",
    "verifier": 'use = "math_verify"',
}
"""Home of a word -> a line of the base spec beside which it is written there."""


REGISTRY = installed()
"""Read once: this is half of what a small spec takes."""


def found_in(text: str) -> list[Diagnostic]:
    return list(diagnose(resolve_text(text, registry=REGISTRY)))


def the_error(text: str) -> Diagnostic:
    (found,) = found_in(text)
    return found


def settings_at(home: Home) -> set[str]:
    """Every key that a table of this home may have."""
    if home.section is not None:
        section = settings_of(Spec)[home.section].section
        assert section is not None
        return set(settings_of(section))
    entries = [e for e in REGISTRY.entries if e.is_own and home.kind in (e.kind, ANY)]
    return {"use"}.union(*(settings_of(load(e)) for e in entries if home.use in (None, e.name)))


@pytest.mark.parametrize("word", ALL, ids=lambda word: word.word)
def test_a_word_from_elsewhere_is_one_error_that_says_ours(word: ForeignWord) -> None:
    """Written in a phase, where most are out of place, beside all that a spec needs."""
    found = the_error(edit('objective = "grpo"', f'{word.word} = 1\nobjective = "grpo"'))
    assert (found.code, found.path) == ("E0203", f"phases[0].{word.word}")
    assert found.caret.startswith(f"`{word.word}` is ")
    assert all(house in found.caret for house in word.houses)
    assert found.caret.partition("; ")[2]
    if not word.ours:
        return
    assert word.home is not None
    assert f"here it is `{word.ours}`" in found.caret
    assert word.key in settings_at(word.home), f"{word.home.header} has no `{word.key}`"
    assert word.note in ("", found.help)
    assert word.home.section == "phases" or word.home.header in found.caret


def replaced_at_home() -> list[ForeignWord]:
    """Words for keys that the base spec's own components have."""
    found = [w for w in ALL if w.home is not None and (w.home.section or w.home.kind) in IN_HOME and w.home.use is None]
    return [w for w in found if w.key != "use" and "hf_dataset" not in w.note]


@pytest.mark.parametrize("word", replaced_at_home(), ids=lambda word: word.word)
def test_a_word_in_the_right_table_is_replaced_there(word: ForeignWord) -> None:
    assert word.home is not None
    beside = IN_HOME[word.home.section or word.home.kind or ""]
    found = the_error(edit(beside, f"{beside}\n{word.word} = 1"))
    assert found.code == "E0203"
    assert [s.replacement for s in found.suggestions] == [word.ours]
    assert " in `[" not in found.caret


def test_no_word_of_ours_is_taken_for_a_foreign_one() -> None:
    """A key of ours in the wrong table is told where it belongs, before any other framework is asked."""
    ours = set(settings_of(Spec)).union(
        *(settings_of(s.section) for s in settings_of(Spec).values() if s.section is not None),
        *(settings_of(load(e)) for e in REGISTRY.entries if e.is_own),
    )
    assert {w.word for w in ALL} & ours <= {"path", "delta"}, "`delta` is known in few places, and TRL's elsewhere"
    words = [w.word for w in ALL]
    assert len(set(words)) == len(words) >= 60


def test_learning_rate_is_one_error_with_both_places() -> None:
    inside = the_error(edit("lr = 1e-6", "learning_rate = 1e-6"))
    assert inside.caret == "`learning_rate` is TRL's word; here it is `lr`"
    assert inside.notes == ("`lr` is missing",)
    assert [s.replacement for s in inside.suggestions] == ["lr"]
    elsewhere = edit("group_size = 8", "group_size = 8\nlearning_rate = 1e-6")
    beside = the_error(elsewhere)
    assert beside.caret == "`learning_rate` is TRL's word; here it is `lr` in `[optimizer]`"
    assert [(label.span.line, label.text) for label in beside.labels] == [(24, "`lr` is written here")]
    without = the_error(elsewhere.replace('use = "adamw"\nlr = 1e-6', 'use = "adamw"'))
    assert [(label.span.line, label.span.column, label.text) for label in without.labels] == [
        (22, 2, "`lr` is missing here")
    ]


def test_a_missing_key_that_no_foreign_word_stands_for_is_still_told() -> None:
    text = edit('use = "adamw"\nlr = 1e-6', 'use = "adamw"').replace("group_size = 8", "num_generations = 8")
    assert sorted(d.code for d in found_in(text)) == ["E0203", "E0204"]


def test_a_nearer_word_of_the_table_itself_comes_first() -> None:
    assert the_error(edit("lr = 1e-6", "lr = 1e-6\nbeta = 0.9")).caret == "did you mean `betas`?"
    assert the_error(edit('objective = "grpo"', 'objective = "grpo"\nlr = 1')).caret == "`lr` belongs in `[optimizer]`"


def test_hyphens_and_capitals_do_not_hide_a_word() -> None:
    found = the_error(edit("group_size = 8", "Num-Generations = 8"))
    assert found.caret == "`num_generations` is TRL's word; here it is `group_size`"


def test_a_word_whose_value_is_a_table_is_a_word_all_the_same() -> None:
    beside = 'path = "rows.jsonl"'
    found = the_error(edit(beside, f"{beside}\nchat_template_kwargs = {{ enable_thinking = false }}"))
    assert found.caret == "`chat_template_kwargs` is TRL's word; here it is `chat`"
    component = edit('name = "some/model"', 'name = "some/model"\npeft_config = { use = "lora" }')
    assert the_error(component).code == "E0309"


def test_a_word_on_the_command_line_is_answered_with_a_path() -> None:
    (found,) = resolve_text(BASE, sets=["learning_rate=1e-6"], registry=REGISTRY).diagnostics
    assert (found.code, [s.replacement for s in found.suggestions]) == ("E0403", ["optimizer.lr"])
    assert [label.text for label in found.labels] == ["`lr` is written here"]


def test_type_names_a_component_elsewhere() -> None:
    found = the_error(edit('use = "adamw"', 'type = "adamw"'))
    assert (found.code, found.caret) == ("E0203", "`type` is prime-rl's word; here it is `use`")
    assert found.notes == ("`use` is missing: it names the optimizer",)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.word)
def test_a_table_from_elsewhere_is_told_with_its_words(table: ForeignTable) -> None:
    found = the_error(end(f"[{table.word}]\nlearning_rate = 1e-6\nno_such_word = 1"))
    assert (found.code, found.message) == ("E0203", f"unknown table `{table.word}`")
    assert found.caret.startswith(f"`{table.word}` is ")
    assert found.notes == (f"`{table.word}.learning_rate`: here `lr` in `[optimizer]`",)
    assert table.ours in ("", *settings_of(Spec))


def test_the_words_of_verl_are_told_by_their_paths_and_nothing_seems_missing() -> None:
    model = '[model]\nuse = "hf_causal"\nname = "some/model"\n'
    optimizer = '[optimizer]\nuse = "adamw"\nlr = 1e-6\n'
    theirs = '[actor_rollout_ref]\nrollout.n = 8\nmodel.path = "x"\nactor.optim.lr = 1e-6\nactor.seed = 1\n'
    found = the_error(edit(model, "").replace(optimizer, theirs))
    assert found.notes == (
        "`actor_rollout_ref.rollout.n`: here `group_size` in `[sampler]`",
        "`actor_rollout_ref.model.path`: here `name` in `[model]`",
        "`actor_rollout_ref.actor.optim.lr`: here `lr` in `[optimizer]`",
        "`actor_rollout_ref.actor.seed`: here `seed` in `[run]`",
    )
    for _, word in IN_TABLES:
        assert word.home is not None
        assert word.key in settings_at(word.home)


TABLE_OF: Mapping[str, str] = {
    "aggregation": 'objective = {{ use = "grpo", aggregation = {} }}',
    "importance": 'objective = {{ use = "grpo", importance = {} }}',
    "estimator": 'objective = {{ use = "weighted_sum", terms = ["grpo", {{ use = "kl", estimator = {} }}] }}',
}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{value.key}={value.value}")
def test_a_choice_that_is_called_otherwise_is_told_with_ours(value: ForeignValue) -> None:
    written = f'"{value.value}"'
    if value.key in TABLE_OF:
        text = edit('objective = "grpo"', TABLE_OF[value.key].format(written))
    elif value.key in ("precision", "strategy"):
        text = end(f"[distributed]\n{value.key} = {written}")
    elif value.key == "mode":
        text = end(f'[[trackers]]\nuse = "wandb"\nmode = {written}')
    else:
        beside = {"lr_schedule": "lr = 1e-6", "dtype": 'name = "some/model"'}[value.key]
        text = edit(beside, f"{beside}\n{value.key} = {written}")
    found = the_error(text)
    assert found.code == "E0207"
    assert [s.replacement for s in found.suggestions] == [f'"{value.ours}"']
    assert value.ours in found.caret
    if "did you mean" not in found.caret:
        assert all(house in found.caret for house in value.houses)
        assert value.note in ("", *found.notes)


def test_off_is_not_minus_one() -> None:
    (value,) = BOUNDS
    found = the_error(edit("group_size = 8", f"{value.key} = {value.value}"))
    assert (found.code, found.caret) == ("E0202", "-1 is verl's and vLLM's word; here it is 0")
