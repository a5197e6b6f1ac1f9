"""Renders Jinja templates, of tokenizers and of rows, as transformers does: in a process of its own, which may be killed."""
