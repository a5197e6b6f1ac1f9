"""Faults in the reading of specs."""

from tests.mutants.mutant import Mutant

ROWS = (
    Mutant(
        "t17",
        "prerl_spec/language/lexing.py",
        "if len(body) >= LONG_STRING and not self.has_faults:",
        "if len(body) >= LONG_STRING:",
        "what looks like a long string behind a fault is kept from tomllib",
        ("tests/language/test_toml.py",),
    ),
    Mutant(
        "t18",
        "prerl_spec/language/lexing.py",
        'single = body.replace("\\\\\\\\", _PAIR)',
        "single = body",
        "in a long string an escaped backslash begins another escape",
        ("tests/language/test_toml.py",),
    ),
    Mutant(
        "t19",
        "prerl_spec/language/interpolate.py",
        "_COPY = 64",
        "_COPY = 1",
        "lists that double each other are counted by their text alone",
        ("tests/language/test_interpolate.py",),
    ),
    Mutant(
        "s05",
        "prerl_spec/language/compose.py",
        "    if (why := _no_spec(document)) is not None:\n",
        "    if (why := None) is not None:\n",
        "an error quotes any file that a spec names as its parent",
        ("tests/cli/test_nothing_leaks.py",),
    ),
)
