"""Faults in what is written to the disk and read again."""

from tests.mutants.mutant import Mutant
from tests.mutants.places import (
    CHAINED,
    CHECKED,
    DISK,
    ENTRIES,
    FRAMED,
    FRAMES,
    KEPT,
    NOTED,
    PARTS,
    ROLLOUTS,
    SEALED,
    STORED,
)

ROWS = (
    Mutant(
        "j01",
        DISK,
        "    sync(file)\n    if is_new:",
        "    if is_new:",
        "a verdict is trained on before it is synced",
        NOTED,
    ),
    Mutant(
        "j10",
        FRAMES,
        "if end > len(content):",
        "if False:",
        "a torn frame is read as if it were whole",
        NOTED,
    ),
    Mutant(
        "j12",
        ENTRIES,
        "groups = {key: without_verdicts(group) for key, group in groups.items()}",
        "pass",
        "refused verdicts count in the next start",
        ROLLOUTS,
    ),
    Mutant("k03", SEALED, "value[SEAL] != check_of(plain)", "False", "a manifest that forgot a file is whole", KEPT),
    Mutant("w01", DISK, "        sync(partial)\n", "", "a renamed file's bytes are not on the disk", STORED),
    Mutant(
        "w02",
        DISK,
        "    sync_folder(file.parent)\n\n\ndef make",
        "\n\ndef make",
        "a renamed file's name is lost",
        STORED,
    ),
    Mutant(
        "w03", DISK, "    if is_new:\n        sync_folder(file.parent)", "    pass", "a new journal is lost", STORED
    ),
    Mutant(
        "w04",
        DISK,
        "        sync(partial)\n        rename(partial, file)",
        "        rename(partial, file)\n        sync(file)",
        "a file has its name before its bytes",
        STORED,
    ),
    Mutant(
        "w05", FRAMES, "if google_crc32c.value(payload) != check:", "if False:", "a changed token is trained on", FRAMED
    ),
    Mutant("w06", FRAMES, "if found != number:", "if False:", "a missing frame goes unnoticed", FRAMED),
    Mutant(
        "w07",
        CHAINED,
        "body if found and sha256_start(body) == found[1].decode() else None",
        "body",
        "a changed value in an event counts",
        CHECKED,
    ),
    Mutant("w08", CHAINED, "if found != expected:", "if False:", "a missing event goes unnoticed", CHECKED),
    Mutant("w09", SEALED, " or _text(file) != _dump(value)", "", "a changed space goes unnoticed", CHECKED),
    Mutant("w10", SEALED, 'if row["check"] != check:', "if False:", "a changed score counts", CHECKED),
    Mutant(
        "a05",
        ENTRIES,
        '        header["parts"] = {name: [a.parts.get(name)',
        '        header["other"] = {name: [a.parts.get(name)',
        "the journal forgets what a reward is the sum of",
        PARTS,
    ),
    Mutant(
        "a06",
        ENTRIES,
        "and (terms is not None or reward == verdict.score)",
        "",
        "a sum of an earlier version passes for the verdict alone",
        PARTS,
    ),
    Mutant(
        "vp05",
        ENTRIES,
        "return [*fields, True] if verdict.by_answer else fields",
        "return fields",
        "a resumed run takes an answer's timeout for the verifier's",
        NOTED,
    ),
)
