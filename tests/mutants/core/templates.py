"""Faults in templates."""

from tests.mutants.mutant import Mutant
from tests.mutants.places import EQUAL, RENDERING, TEMPLATE_FAULTS, TEMPLATES

ROWS = (
    Mutant(
        "tp01",
        f"{TEMPLATES}/environment.py",
        "extensions=[GenerationBlock, loopcontrols]",
        "extensions=[loopcontrols]",
        "the tag of templates that mark what the assistant wrote is unknown",
        (EQUAL,),
    ),
    Mutant(
        "tp02",
        f"{TEMPLATES}/environment.py",
        "separators=separators, sort_keys=sort_keys)",
        ")",
        "tojson forgets two of its arguments",
        (EQUAL,),
    ),
    Mutant(
        "tp03",
        f"{TEMPLATES}/render_worker.py",
        "signal.setitimer(signal.ITIMER_PROF, seconds)",
        "pass",
        "a template that does not end costs two minutes",
        (f"{RENDERING}::test_a_bomb_ends_with_its_cause_and_the_next_template_renders",),
    ),
    Mutant(
        "tp04",
        f"{TEMPLATES}/renderer.py",
        "                self.close()\n                raise\n",
        "                raise\n",
        "after a signal, the answer to the question before is taken for the next one's",
        (RENDERING,),
    ),
    Mutant(
        "tp05",
        f"{TEMPLATES}/renderer.py",
        'if "strftime_now" not in template:',
        "if True:",
        "a template's date is that of its first rendering",
        (RENDERING,),
    ),
    Mutant(
        "tp06",
        f"{TEMPLATES}/render_process.py",
        "env=_environment(),",
        "env={**os.environ, **_environment()},",
        "our secrets are in the environment of the process that renders a stranger's template",
        (RENDERING,),
    ),
    Mutant(
        "tp07",
        f"{TEMPLATES}/chat_templates.py",
        '        raise Unrenderable(\n            f"the tokenizer has several',
        '        return None\n        raise Unrenderable(\n            f"the tokenizer has several',
        "several templates without a default silently become none",
        (EQUAL, TEMPLATE_FAULTS),
    ),
    Mutant(
        "tp21",
        f"{TEMPLATES}/chat_templates.py",
        "if wanted not in self.named and not any(mark in wanted for mark in JINJA):",
        "if False:",
        "a misspelt template name is every prompt",
        (EQUAL,),
    ),
    Mutant(
        "tp08",
        f"{TEMPLATES}/row_templates.py",
        "    return ROW.parse(template)\n",
        "    ROW.from_string(template)\n    return ROW.parse(template)\n",
        "validate computes a template's constant expressions",
        ("tests/templates/test_row_templates.py",),
    ),
    Mutant(
        "tp22",
        f"{TEMPLATES}/renderer.py",
        "not self._renders_at_all()",
        "False",
        "a machine that is out of memory is the template's fault",
        (RENDERING,),
    ),
)
