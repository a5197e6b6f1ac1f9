"""Words of TRL, verl, prime-rl and OpenRLHF: one error that says ours, the table that it stands in, and another number."""

from collections.abc import Mapping

import pytest

from prerl_spec.compiler.resolve.foreign.lookup import ALL, SENSES, words_inside
from prerl_spec.compiler.resolve.foreign.running import IN_TABLES, TABLES
from prerl_spec.compiler.resolve.foreign.values import BOUNDS, NAMES, VALUES
from prerl_spec.compiler.resolve.foreign.word import ANY, ForeignTable, ForeignValue, ForeignWord, Home
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import Diagnostic
from prerl_spec.language.spec import Spec
from prerl_spec.language.toml import read_text
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


@pytest.mark.parametrize("word", [senses[0] for senses in SENSES.values()], ids=lambda word: word.word)
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
    """Words for keys that the base spec's own components have, or an evaluator."""
    found = [w for w in ALL if w.home is not None and (w.home.section or w.home.kind) in IN_HOME and w.home.use is None]
    found += [w for w in ALL if w.home is not None and w.home.kind == "evaluator" and w.ours]
    return [w for w in found if w.key != "use" and "hf_dataset" not in w.note]


EVALUATORS = {"lm_eval": '[[evaluate]]\nuse = "lm_eval"\ntasks = ["gsm8k"]', "holdout": '[[evaluate]]\nuse = "holdout"'}


@pytest.mark.parametrize("word", replaced_at_home(), ids=lambda word: f"{word.word}-{word.key}")
def test_a_word_in_the_right_table_is_replaced_there(word: ForeignWord) -> None:
    assert word.home is not None
    if word.home.kind == "evaluator":
        text = end(f"{EVALUATORS[word.home.use or 'lm_eval']}\n{word.word} = 1")
    else:
        beside = IN_HOME[word.home.section or word.home.kind or ""]
        text = edit(beside, f"{beside}\n{word.word} = 1")
    found = the_error(text)
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
    assert len({(w.word, w.home) for w in ALL}) == len(ALL) >= 60


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


def test_a_word_beside_ours_is_told_where_ours_is_written() -> None:
    foreign = the_error(edit("lr = 1e-6", "lr = 1e-6\nlearning_rate = 1e-6"))
    assert [(label.span.line, label.text) for label in foreign.labels] == [(23, "`lr` is written here")]
    misspelt = the_error(edit("group_size = 8", "group_size = 8\ngroup_sise = 8"))
    assert misspelt.caret == "did you mean `group_size`?"
    assert [(label.span.line, label.text) for label in misspelt.labels] == [(16, "`group_size` is written here")]
    one_more = the_error(end("[[phase]]\nid = 'more'"))
    assert (one_more.caret, one_more.labels) == ("did you mean `phases`?", ()), "it may follow"


@pytest.mark.parametrize(
    ("beside", "written", "word", "ours"),
    [
        ("group_size = 8", "num_generation = 8", "num_generations", "group_size"),
        ("group_size = 8", "max_completion_lenght = 8", "max_completion_length", "max_new_tokens"),
        ("lr = 1e-6", "learning_rat = 1e-6", "learning_rate", "lr"),
        ("lr = 1e-6", "epsilonn = 1e-6", "epsilon", "eps"),
    ],
)
def test_a_word_with_one_letter_wrong_is_that_word(beside: str, written: str, word: str, ours: str) -> None:
    found = the_error(edit(beside, f"{beside}\n{written}"))
    assert found.caret.startswith(f"`{word}` is ")
    assert found.caret.endswith(f"; here it is `{ours}`")


def test_a_misspelt_word_is_not_one_that_is_as_near_to_ours() -> None:
    assert the_error(edit("lr = 1e-6", "lr = 1e-6\nbetas1x = 1")).caret.startswith("`betas1` is ")
    assert the_error(edit("lr = 1e-6", "lr = 1e-6\nbetass = 1")).caret == "did you mean `betas`?"
    assert the_error(edit("lr = 1e-6", "lr = 1e-6\nrr = 1")).caret == "did you mean `lr`?"
    assert the_error(edit("id =", "warmup_step = 1\nid =")).caret == "", "near to ours in another table"
    assert the_error(edit("lr = 1e-6", "lr = 1e-6\nlearning_ra = 1")).caret == "", "two letters away"


def test_an_evaluator_of_rows_takes_their_chat_from_the_data_set() -> None:
    found = the_error(end(f"{EVALUATORS['holdout']}\ndata = 'train'\nsystem_prompt = 'x'"))
    assert found.caret.endswith("; here it is `system` in `[data.train]`")
    sized = the_error(end(f"{EVALUATORS['lm_eval']}\nbatch_size = 8"))
    assert (sized.caret, sized.suggestions) == (
        "`batch_size` is lm-eval's word; an evaluator has no batch size to set",
        (),
    )


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


def test_the_name_of_a_table_from_elsewhere_may_have_a_letter_wrong() -> None:
    assert the_error(end("[rolout]\nn = 8")).caret == "`rollout` is verl's and OpenRLHF's table; here it is `[sampler]`"
    assert the_error(end("[tracker]\nn = 8")).caret == "did you mean `trackers`?", (
        "as near to ours as to `trainer`, or nearer"
    )


def test_the_words_of_verl_are_told_by_their_paths_and_nothing_seems_missing() -> None:
    model = '[model]\nuse = "hf_causal"\nname = "some/model"\n'
    optimizer = '[optimizer]\nuse = "adamw"\nlr = 1e-6\n'
    theirs = '[actor_rollout_ref]\nrollout.n = 8\nmodel.path = "x"\nactor.optim.lr = 1e-6\nactor.seed = 1\n'
    found = the_error(edit(model, "").replace(optimizer, theirs))
    assert found.notes == (
        "`actor_rollout_ref.rollout.n`: here `group_size` in `[sampler]`; verl's is 1 unless set, ours 8",
        "`actor_rollout_ref.model.path`: here `name` in `[model]`",
        "`actor_rollout_ref.actor.optim.lr`: here `lr` in `[optimizer]`",
        "`actor_rollout_ref.actor.seed`: here `seed` in `[run]`",
    )
    for _, word in IN_TABLES:
        assert word.note if word.home is None else word.key in settings_at(word.home)


VERL_DATA = """\
[data]
train_files = "train.parquet"
val_files = "test.parquet"
prompt_key = "prompt"
image_key = "images"
shuffle = true
train_batch_size = 1024
max_prompt_length = 512
max_response_length = 1024
"""


def test_a_table_of_ours_with_the_words_of_another_framework_is_one_error_with_ours_for_each() -> None:
    found = the_error(edit('[data.train]\nuse = "jsonl"\npath = "rows.jsonl"\n', VERL_DATA))
    assert (found.code, found.path, found.message) == ("E0203", "data", "`data` holds no data set")
    assert found.caret == "verl's words; here a data set is a table: `[data.train]`"
    assert [note.partition(": ")[0] for note in found.notes] == [
        f"`data.{key}`"
        for key in (
            "train_files",
            "val_files",
            "prompt_key",
            "train_batch_size",
            "max_prompt_length",
            "max_response_length",
        )
    ]
    assert "`data.max_prompt_length`: here `max_prompt_tokens` in `[data.train]`; " in "".join(found.notes)


def test_words_beside_a_data_set_are_an_error_each() -> None:
    files = 'train_files = "train.parquet"\nmax_prompt_length = 512\nquestion = "q"'
    found = found_in(edit("[data.train]", f"[data]\n{files}\n[data.train]"))
    assert [(d.code, d.path) for d in found] == [
        ("E0203", f"data.{key}") for key in ("train_files", "max_prompt_length", "question")
    ]
    assert found[1].caret == "`max_prompt_length` is verl's word; here it is `max_prompt_tokens` in `[data.train]`"
    assert found[2].caret == "`question` belongs in `[data.train]`"


def test_the_keys_of_a_data_set_in_the_table_of_all_are_one_error() -> None:
    found = the_error(edit('[data.train]\nuse = "jsonl"', '[data]\nquestion = "q"'))
    assert (found.code, found.caret) == ("E0203", "`question` and `path` belong in `[data.train]`")
    assert (
        the_error(edit('[data.train]\nuse = "jsonl"\npath = "rows.jsonl"', '[data]\ntrain = "jsonll"')).code == "E0301"
    )


def test_a_table_without_use_says_ours_for_the_words_in_it() -> None:
    model = edit('use = "hf_causal"\nname = "some/model"', 'path = "some/model"\ntorch_dtype = "bfloat16"')
    found = the_error(model)
    assert (found.code, found.message) == ("E0308", "this model has no `use`")
    assert found.notes == ("`model.path`: here `name`", "`model.torch_dtype`: here `dtype`")
    named = the_error(edit('use = "adamw"\nlr = 1e-6', 'optim = "adamw_torch"\nlearning_rate = 1e-6'))
    assert named.help == '"adamw_torch", TRL\'s unless set, is "adamw"'
    assert named.notes[1:] == ("`optimizer.learning_rate`: here `lr`",)


def test_evaluation_in_a_foreign_table_is_an_evaluators() -> None:
    found = the_error(end("[rollout]\nn = 8\nval_kwargs.n = 4\nval_kwargs.top_k = 5\nmax_response_lenght = 9"))
    assert found.notes == (
        "`rollout.n`: here `group_size` in `[sampler]`; verl's is 1 unless set, ours 8",
        "`rollout.val_kwargs.n`: here `samples` in `[[evaluate]]`",
        "`rollout.val_kwargs.top_k`: an evaluator draws with `temperature` and `top_p` alone",
        "`rollout.max_response_lenght`: here `max_new_tokens` in `[sampler]`; verl's is 512 unless set, ours 1024",
    )


def test_a_table_for_a_tracker_says_which_and_where_its_project_stands() -> None:
    found = the_error(end('[wandb]\nproject = "p"\nname = "n"'))
    assert found.caret == '`wandb` is prime-rl\'s table; here it is `[[trackers]]` with `use = "wandb"`'
    assert found.notes == (
        '`wandb.project`: here `project` in `[[trackers]]`, whose `use` is "wandb"',
        "`wandb.name`: here `name` in `[run]`",
    )
    assert [s.replacement for s in found.suggestions] == [""], "`[trackers]` would be no list"


def test_a_table_named_as_a_component_says_where_that_belongs() -> None:
    found = the_error(end('[lm_eval]\ntasks = ["gsm8k"]'))
    assert found.caret == '`lm_eval` is an evaluator: write `[[evaluate]]` with `use = "lm_eval"`'


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.value)
def test_a_component_that_is_called_otherwise_is_told_with_ours(name: ForeignValue) -> None:
    ours = {"optimizer": 'use = "adamw"', "sampler": 'use = "transformers"'}[name.key]
    found = the_error(edit(ours, f'use = "{name.value}"'))
    assert (found.code, [s.replacement for s in found.suggestions]) == ("E0301", [name.ours])
    assert all(house in found.caret for house in name.houses)
    assert name.note in (found.help or "")


def test_a_key_that_means_something_in_one_table_alone_is_found_there() -> None:
    root = read_text("".join(f"trainer.{table}.{key} = 1\n" for (table, key), _ in IN_TABLES), "theirs.toml").root
    found = {(i.path.removeprefix("trainer."), i.word) for i in words_inside(root.entries["trainer"])}
    assert found == {(f"{table}.{key}", word) for (table, key), word in IN_TABLES}


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
