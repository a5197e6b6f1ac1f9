"""`schema` writes the JSON Schema of the spec language for editors, including installed plugins."""

import argparse
import json
import sys

from prerl_spec.cli.shared.option_values import file_path


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=file_path,
        help="output file, such as .prerl/spec.schema.json; refer to it in the first line of a spec: "
        "`#:schema ./.prerl/spec.schema.json`",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints to stdout without --out. Warns about plugins that cannot be imported; the schema allows any setting of them."""
    from prerl_spec.cli.shared.diagnostics import print_results
    from prerl_spec.compiler.render.schema import spec_schema
    from prerl_spec.registry.entry_points import installed
    from prerl_spec.situations import writing

    schema, faults = spec_schema(installed())
    for fault in faults:
        print(f"warning: {fault.message}; its settings are not checked\n  = help: {fault.help}", file=sys.stderr)
    text = json.dumps(schema, indent=2, ensure_ascii=False)
    if arguments.out is None:
        print_results(text)
        return 0
    with writing(arguments.out, "choose another --out"):
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 0
