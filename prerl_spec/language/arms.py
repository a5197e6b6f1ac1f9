"""The arms of a study: each is the spec with one overlay merged over it, a table in the spec or a file beside it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic
from prerl_spec.language.compose import Composition, over, parent_of
from prerl_spec.language.document import Document, Scalar, Table, copied, join_path
from prerl_spec.language.toml import read_text

BY_STUDY = "<study>"
"""The file name, in spans, of what a study itself sets in every arm."""


def arms(composition: Composition, last: str = "") -> Iterator[tuple[str, Composition]]:
    """Name and composition of every arm that can be read; an unreadable file is reported in the composition itself. `last`
    is a text that is merged over every arm.

    Call this before interpolation: each arm interpolates its own references.
    """
    study = composition.root.get("study")
    written = study.get("arms") if isinstance(study, Table) else None
    main = composition.documents[0]
    for name, entry in written.entries.items() if isinstance(written, Table) else ():
        overlay: Document | None = None
        if isinstance(entry.value, Table):
            overlay = Document(main.file, main.text, entry.value, [])
        elif isinstance(entry.value, Scalar) and isinstance(entry.value.value, str):
            known = len(composition.documents)
            overlay = parent_of(composition, main, entry.value, join_path("study.arms", name))
            composition.diagnostics += [d for document in composition.documents[known:] for d in document.diagnostics]
        if overlay is not None:
            arm = _with(composition, overlay)
            if last:
                _merge_last(arm, last)
            yield name, arm


def _with(composition: Composition, overlay: Document) -> Composition:
    root = copied(composition.root)
    assert isinstance(root, Table), "a composition is a table"
    root.entries.pop("study", None)
    arm = replace(
        composition,
        root=root,
        documents=list(composition.documents),
        folders=dict(composition.folders),
        layers=list(composition.layers),
        diagnostics=[],
    )
    over(arm, overlay)
    own = arm.documents[len(composition.documents) :]
    arm.diagnostics[:0] = [d for document in own for d in document.diagnostics]
    # Of a parent that the overlay extends it may be there by right: the spec itself, say.
    arm.root.entries.pop("study", None)
    if (written := overlay.root.entries.get("study")) is not None:
        arm.diagnostics.append(
            Diagnostic(
                Code.UNKNOWN_KEY,
                "an arm has no `study` of its own",
                written.span,
                "study",
                help="seeds, match, budget and primary are those of the spec's [study], the same for every arm",
            )
        )
    return arm


def _merge_last(arm: Composition, text: str) -> None:
    document = read_text(text, BY_STUDY)
    arm.documents.append(document)
    arm.folders[BY_STUDY] = Path()
    over(arm, document)
