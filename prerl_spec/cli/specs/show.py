"""`show SPEC` prints the resolved spec, where its values came from, or its graph."""

import argparse
import json
from pathlib import Path
from typing import Any

from prerl_spec.cli.shared.overrides import add_overrides, overrides


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", type=Path, nargs="?", help="spec file")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--resolved", action="store_true", help="the composed spec, with its defaults as comments")
    what.add_argument("--origins", action="store_true", help="each value with the place that it came from")
    what.add_argument(
        "--graph",
        nargs="?",
        const="mermaid",
        metavar="mermaid|json",
        help="the graph as a Mermaid flowchart (default) or as JSON",
    )
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    from prerl_spec.cli.shared.diagnostics import print_results, print_text
    from prerl_spec.compiler.compile import check_spec
    from prerl_spec.compiler.render.draw_graph import draw
    from prerl_spec.compiler.render.human_units import table
    from prerl_spec.compiler.render.write_resolved import resolved_toml
    from prerl_spec.language.document import plain
    from prerl_spec.language.secrets import masked_line

    form, spec = _form_and_spec(arguments.graph, arguments.spec)
    resolved, warnings = check_spec(spec, **overrides(arguments))
    print_text(warnings, resolved.sources)
    if arguments.resolved:
        print_results(masked_line(resolved_toml(resolved)))
    elif arguments.origins:
        nodes = {path: resolved.node(path) for path in resolved.origins}
        rows = [(p, _shown(p, plain(n)), resolved.origins[p]) for p, n in nodes.items() if n is not None]
        print_results("\n".join(table(rows, indent=0)))
    elif form == "json":
        print_results(json.dumps(draw(resolved).as_json(), indent=2))
    else:
        print_results(draw(resolved).as_mermaid())
    return 0


def _shown(path: str, value: Any) -> str:
    """A value as JSON, with what looks like a secret starred out."""
    from prerl_spec.language.secrets import masked_value

    return masked_value(json.dumps(value, default=str), path.rpartition(".")[2])


def _form_and_spec(graph: str | None, spec: Path | None) -> tuple[str | None, Path]:
    """`--graph SPEC` means what `--graph=mermaid SPEC` does: an option with an optional value takes the next word."""
    from prerl_spec.errors import UsageError

    if graph not in (None, "mermaid", "json") and spec is None:
        assert graph is not None
        return "mermaid", Path(graph)
    if graph not in (None, "mermaid", "json"):
        raise UsageError(f"--graph={graph} is no form", hint="choose --graph=mermaid or --graph=json")
    if spec is None:
        raise UsageError("show needs a spec file", hint="prerl-spec show SPEC --graph")
    return graph, spec
