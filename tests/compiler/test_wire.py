"""Rules between components: which code, and under which word the carets stand."""

import pytest

from prerl_spec.compiler.rules.port_rules import fits
from tests.compiler.specs import TINY, bent, found_in, under
from tests.compiler.strangers import registry

SAMPLER = '[sampler]\nuse = "transformers"\ngroup_size = 4\nmax_new_tokens = 60\n'
PRUNE = '[phases.objective]\nuse = "marginal_nsr"\ncoefficient = 0.01\n'
GRPO = '[phases.objective]\nuse = "grpo"\n'

ONE_MISTAKE = {
    "documents where prompts belong": (
        bent(('id = "prune"\nprompts_per_step = 6', 'id = "prune"\ndocuments_per_step = 6')),
        "E0701",
        "documents_per_step",
    ),
    "prompts where documents belong": (bent(("documents_per_step", "prompts_per_step")), "E0701", "prompts_per_step"),
    "no step size": (bent(("documents_per_step = 32\n", "")), "E0204", "phases"),
    "no multiple of the updates": (
        bent(("updates_per_batch = 2", "updates_per_batch = 4")),
        "E0701",
        "prompts_per_step",
    ),
    "group baseline over one attempt, default advantage": (
        bent(("group_size = 4", "group_size = 1"), (GRPO, '[phases.objective]\nuse = "entropy"\n')),
        "E0701",
        '"marginal_nsr"',
    ),
    "group baseline over one attempt, written later": (
        bent(
            ("group_size = 4", "group_size = 1"),
            (GRPO, '[phases.objective]\nuse = "entropy"\n'),
            ("coefficient = 0.01", 'coefficient = 0.01\nadvantage = "group_mean"'),
        ),
        "E0701",
        '"group_mean"',
    ),
    "truncating sampler with ratios": (bent(("group_size = 4", "group_size = 4\ntop_p = 0.9")), "E0701", "2"),
    "truncating sampler with importance": (
        bent(
            ("group_size = 4", "group_size = 4\ntop_k = 20"),
            ("updates_per_batch = 2\n", ""),
            ("coefficient = 0.01", 'importance = "truncate"'),
        ),
        "E0701",
        '"truncate"',
    ),
    "greedy training": (bent(("group_size = 4", "group_size = 4\ntemperature = 0.0")), "E0701", "0.0"),
    "moments of another optimizer": (
        bent(("steps = 9 }", 'steps = 9, optimizer = "carry" }')),
        "E0701",
        '"carry"',
    ),
    "falling rate without a number of steps": (
        bent(("steps = 5\n", 'tokens = 5000\n[phases.optimizer]\nuse = "adamw"\nlr = 1e-4\nlr_schedule = "linear"\n')),
        "E0701",
        '"linear"',
    ),
    "reference switched off": (
        bent(
            ("[run]\n", 'reference = "off"\n[run]\n'),
            (GRPO, '[phases.objective]\nuse = "weighted_sum"\nterms = ["grpo", "kl"]\n'),
        ),
        "E0701",
        '"kl"',
    ),
    "unknown data set": (bent(('data = "corpus"', 'data = "corpsu"')), "E0604", '"corpsu"'),
    "unknown data set in a mixture": (
        bent(('id = "prune"', 'id = "prune"\ndata = { train = 1.0, trian = 2.0 }')),
        "E0604",
        "trian",
    ),
    "unknown data set of an evaluator": (bent(('data = "easy"', 'data = "eazy"')), "E0604", '"eazy"'),
    "unknown data set of a tokenizer": (bent(('"data:corpus"', '"data:korpus"')), "E0604", '"data:korpus"'),
    "tokenizer from a data set without one": (
        bent(
            ('"data:corpus"', '"data:rows"'), ("[sampler]", '[data.rows]\nuse = "jsonl"\npath = "x.jsonl"\n[sampler]')
        ),
        "E0601",
        '"from_scratch"',
    ),
    "unknown phase": (bent(('id = "refine"', 'id = "refine"\nafter = "prun"')), "E0604", '"prun"'),
    "phase after itself": (bent(('id = "refine"', 'id = "refine"\nafter = "refine"')), "E0602", '"refine"'),
    "clip without ratio": (bent(("coefficient = 0.01", "clip_low = 0.1")), "W0702", "0.1"),
    "cap without importance": (bent(("coefficient = 0.01", "importance_cap = 3.0")), "W0702", "3.0"),
    "hand-over of the last phase": (bent(("steps = 7", 'steps = 7\ndata = "restart"')), "W0702", '"restart"'),
    "sharding without shards": (
        bent(("[run]\n", "[distributed]\nfsdp = { reshard_after_forward = true }\n[run]\n")),
        "W0702",
        "{ reshard_after_forward = true }",
    ),
    "reference that nobody asks for": (bent(("[run]\n", 'reference = "initial"\n[run]\n')), "W0702", '"initial"'),
    "unused data set": (
        bent(("[sampler]", '[data.spare]\nuse = "arithmetic_chains"\n[sampler]')),
        "W0701",
        "data.spare",
    ),
    "unused optimizer": (
        bent(
            (
                '[phases.schedule]\nuse = "reincarnate_after"',
                "[phases.optimizer]\nuse = 'muon'\nlr = 0.1\n[phases.schedule]\nuse = \"reincarnate_after\"",
            ),
            ("updates_per_batch = 2\n", "updates_per_batch = 2\noptimizer = { use = 'muon', lr = 0.1 }\n"),
        ),
        "W0701",
        "optimizer",
    ),
}


def test_the_spec_that_the_others_bend_has_no_diagnostics() -> None:
    assert found_in(TINY) == []


@pytest.mark.parametrize(("text", "code", "word"), ONE_MISTAKE.values(), ids=ONE_MISTAKE)
def test_one_mistake_is_one_diagnostic_at_its_word(text: str, code: str, word: str) -> None:
    found = found_in(text)
    assert [d.code for d in found] == [code], found
    assert under(text, found[0]) == word


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (bent((SAMPLER, "")), "sampler"),
        (bent(('[verifier]\nuse = "exact_match"\n', "")), "verifier"),
        (bent(('[optimizer]\nuse = "adamw"\nlr = 1e-4\n', "")), "optimizer"),
        (bent(('[data.train]\nuse = "arithmetic_chains"\n', "")), "data set"),
    ],
)
def test_a_role_that_nobody_fills_is_told_at_the_objective_of_each_phase(text: str, what: str) -> None:
    errors = [d for d in found_in(text) if d.path.startswith("phases")]
    assert [(d.code, under(text, d)) for d in errors] == [("E0601", '"marginal_nsr"'), ("E0601", '"grpo"')]
    assert all(what in d.message for d in errors)


def test_a_verifier_of_the_data_set_serves() -> None:
    text = bent(
        ('[verifier]\nuse = "exact_match"\n', ""),
        (
            '[data.train]\nuse = "arithmetic_chains"',
            '[data.train]\nuse = "jsonl"\npath = "x"\nverifier = "exact_match"',
        ),
        ("limit = 10", 'limit = 10\nverifier = "exact_match"'),
    )
    assert found_in(text) == []


def test_an_evaluator_that_needs_verdicts_says_so_where_nobody_judges() -> None:
    text = bent(('[verifier]\nuse = "exact_match"\n', ""))
    told = [d for d in found_in(text) if d.path.startswith("evaluate")]
    assert [(d.code, under(text, d)) for d in told] == [("E0601", '"holdout"')]


def test_a_misspelt_role_is_not_also_missing() -> None:
    assert [d.code for d in found_in(bent(("[sampler]", "[smapler]")))] == ["E0203"]
    assert [d.code for d in found_in(bent(("[verifier]", "[verifer]")))] == ["E0203"]


def test_a_broken_component_silences_only_what_would_have_asked_it() -> None:
    text = bent(('use = "transformers"', 'use = "transfromers"'), ("updates_per_batch = 2", "updates_per_batch = 4"))
    assert sorted(d.code for d in found_in(text)) == ["E0301", "E0701"]


def test_a_phase_is_not_told_to_come_after_itself() -> None:
    (found,) = found_in(bent(('id = "refine"', 'id = "refine"\nafter = "refin"')))
    assert not any(suggestion.replacement == "refine" for suggestion in found.suggestions)
    assert "`refine`" not in f"{found.caret} {found.help}"


def test_phases_in_a_cycle_are_one_error_at_the_first_with_a_label_at_the_other() -> None:
    text = bent(('id = "prune"', 'id = "prune"\nafter = "refine"'), ('id = "refine"', 'id = "refine"\nafter = "prune"'))
    (found,) = found_in(text)
    assert (found.code, under(text, found), len(found.labels)) == ("E0602", '"refine"', 1)


def test_the_later_of_two_written_places_is_primary_and_the_other_a_label() -> None:
    text = bent(("group_size = 4", "group_size = 4\ntop_p = 0.9"))
    (found,) = found_in(text)
    assert found.path == "phases[2].updates_per_batch"
    assert [text.split("\n")[label.span.line - 1] for label in found.labels] == ["top_p = 0.9"]


def test_a_rule_about_a_top_level_component_is_told_once_not_once_a_phase() -> None:
    assert len(found_in(bent(("group_size = 4", "group_size = 4\ntemperature = 0.0")))) == 1


# --- ports -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provided", "required", "serves"),
    [
        ("reward[binary]", "reward[scalar]", True),
        ("reward[scalar]", "reward[binary]", False),
        ("reward[binary]", "reward[binary]", True),
        ("reward[binary]", "reward", True),
        ("reward", "reward[binary]", False),
        ("rewards[binary]", "reward[binary]", False),
        ("logprobs[sampling]", "logprobs[policy]", False),
    ],
)
def test_a_binary_port_fits_where_a_scalar_is_wanted_and_not_the_other_way_round(
    provided: str, required: str, serves: bool
) -> None:
    assert fits(provided, required) is serves


NEEDY = (GRPO, '[phases.objective]\nuse = "acme.needy"\n')


def test_a_port_that_nothing_provides_is_told_at_who_requires_it() -> None:
    text = bent(NEEDY)
    (found,) = found_in(text, registry())
    assert (found.code, under(text, found)) == ("E0601", '"acme.needy"')


def test_one_provider_serves_and_two_are_ambiguous() -> None:
    one = bent(NEEDY, ("updates_per_batch = 2", 'updates_per_batch = 2\nprobes = ["acme.signal"]'))
    assert found_in(one, registry()) == []
    two = bent(NEEDY, ("updates_per_batch = 2", 'updates_per_batch = 2\nprobes = ["acme.signal", "acme.other_signal"]'))
    (found,) = found_in(two, registry())
    assert (found.code, under(two, found), len(found.labels)) == ("E0603", '"acme.needy"', 2)


def test_a_port_that_a_term_requires_is_told_at_the_term_and_not_at_the_sum() -> None:
    text = bent((GRPO, '[phases.objective]\nuse = "weighted_sum"\nterms = ["grpo", "acme.needy"]\n'))
    (found,) = found_in(text, registry())
    assert (found.code, under(text, found)) == ("E0601", '"acme.needy"')


def test_reward_terms_make_the_reward_a_scalar() -> None:
    text = bent((GRPO, '[phases.objective]\nuse = "acme.binary_only"\n'))
    assert found_in(text, registry()) == []
    with_terms = text.replace("updates_per_batch = 2", 'updates_per_batch = 2\nrewards = ["acme.bonus"]')
    (found,) = found_in(with_terms, registry())
    assert (found.code, under(with_terms, found)) == ("E0601", '"acme.binary_only"')


def test_of_several_data_sets_verifiers_each_must_provide_the_port() -> None:
    """A prompt is judged by its own data set's verifier: a port that only one of them provides is missing for others."""
    graded = '[data.train]\nuse = "jsonl"\npath = "x"\nverifier = "acme.graded"'
    text = bent(
        ('[data.train]\nuse = "arithmetic_chains"', graded),
        ('id = "prune"', 'id = "prune"\ndata = "train"'),
        ('id = "refine"', 'id = "refine"\ndata = { train = 1.0, easy = 1.0 }'),
        (GRPO, '[phases.objective]\nuse = "acme.binary_only"\n'),
    )
    (found,) = found_in(text, registry())
    assert (found.code, found.path, under(text, found)) == ("E0601", "phases[2].objective.use", '"acme.binary_only"')
    assert found_in(text.replace('"acme.graded"', '"exact_match"'), registry()) == []
    assert found_in(text.replace('"acme.binary_only"', '"grpo"'), registry()) == [], "a binary reward fits a scalar"


@pytest.mark.parametrize(
    ("change", "word"),
    [(("group_size = 4", "group_size = 1"), '"acme.silent"'), (("group_size = 4", "group_size = 4\ntop_k = 5"), "2")],
)
def test_the_compiler_knows_the_rules_that_a_component_leaves_to_it(change: tuple[str, str], word: str) -> None:
    text = bent(
        change, (GRPO, '[phases.objective]\nuse = "acme.silent"\n'), (PRUNE, '[phases.objective]\nuse = "entropy"\n')
    )
    (found,) = found_in(text, registry())
    assert (found.code, under(text, found)) == ("E0701", word)
