"""Faults in entry points, settings and what authors may write."""

from tests.mutants.mutant import Mutant
from tests.mutants.places import BLAMED, MESSAGES, METADATA, SETTINGS, SHELF, STATES

ROWS = (
    Mutant(
        "a11",
        "prerl_spec/registry/author_code.py",
        "islice(walk_tb(error.__traceback__), 2, None)",
        "islice(walk_tb(error.__traceback__), 2, 3)",
        "the first frame is blamed, not the author's deepest",
        BLAMED,
    ),
    Mutant("t02", SETTINGS, '("more than", "gt")', '("at least", "gt")', "a message allows what is refused", MESSAGES),
    Mutant(
        "t03",
        SETTINGS,
        "if goes_deeper and all(_says_less_than_an_item(d) for d in found):",
        "if goes_deeper:",
        "a broken item hides that the list breaks a rule",
        MESSAGES,
    ),
    Mutant(
        "t10",
        SETTINGS,
        "found[key] = Setting(\n            key=key,",
        "found[attribute] = Setting(\n            key=key,",
        "a setting is known by its attribute, not by the key that a spec writes",
        MESSAGES,
    ),
    Mutant(
        "t11",
        SHELF,
        'return not self.is_own and "." not in self.name',
        "return False",
        "a stranger may take a built-in's name",
        METADATA,
    ),
    Mutant("t12", SHELF, "if found.api != API:", "if False:", "a plugin of another API is used", METADATA),
    Mutant(
        "t13",
        SHELF,
        "if name not in found or (is_running and",
        "if name not in found or not (is_running and",
        "of two distributions of a name the wrong one counts",
        METADATA,
    ),
    Mutant(
        "s01",
        "prerl_spec/registry/kinds/model.py",
        "            embedding.padding_idx = None\n",
        "            pass\n",
        "the token that is padding gets no gradient as an input",
        ("tests/engine/test_embedding_rows.py",),
    ),
    Mutant(
        "st01",
        STATES,
        "= states[place.path]\n    return by_part",
        "= place.component.initial()\n    return by_part",
        "a credit sees the first state for ever",
        ("tests/engine/test_component_state.py",),
    ),
    Mutant(
        "st04",
        STATES,
        " and math.isfinite(number)",
        "",
        "a state may be NaN",
        ("tests/engine/test_component_state.py",),
    ),
    Mutant(
        "is09",
        "prerl_spec/registry/kinds/judging.py",
        "secret = [name for name in names if _SECRETS",
        "secret = [name for name in () if _SECRETS",
        "a verifier is handed a secret that nothing masks",
        ("tests/engine/test_worker_needs.py::test_what_cannot_be_given_breaks_the_contract",),
    ),
)
