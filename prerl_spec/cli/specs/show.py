"""`show SPEC` prints the resolved spec, the origins of its values, or its graph."""

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.cli.shared.output_format import add_format, print_json
from prerl_spec.cli.shared.overrides import add_overrides, overrides


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", type=file_path, nargs="?", help="spec file")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--resolved", action="store_true", help="print the composed spec, with defaults as comments")
    what.add_argument("--origins", action="store_true", help="print each value with the place where it is set")
    what.add_argument(
        "--graph",
        nargs="?",
        const="mermaid",
        metavar="mermaid|json",
        help="print the graph as a Mermaid flowchart (default) or as JSON",
    )
    add_format(parser)
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    from prerl_spec.cli.shared.diagnostics import print_results, print_text
    from prerl_spec.compiler.compile import check_spec
    from prerl_spec.compiler.planning.component_plan import MASK
    from prerl_spec.compiler.render.draw_graph import draw
    from prerl_spec.compiler.render.human_units import table
    from prerl_spec.compiler.render.write_resolved import resolved_toml
    from prerl_spec.language.document import plain
    from prerl_spec.language.secrets import masked_line

    form, spec = _format_and_spec(arguments.graph, arguments.spec)
    as_json = arguments.format == "json"
    resolved, warnings = check_spec(spec, **overrides(arguments))
    print_text(warnings, resolved.sources)
    hidden = resolved.literals
    if arguments.resolved and as_json:
        whole = tomllib.loads(hidden.masked(masked_line(resolved_toml(resolved))))
        print_json(whole)
    elif arguments.resolved:
        print_results(resolved.literals.masked(masked_line(resolved_toml(resolved))))
    elif arguments.origins:
        nodes = {path: resolved.node(path) for path in resolved.origins}
        rows = [
            (p, _rendered(p, MASK if n.span in hidden.spans else hidden.masked_json(plain(n))), resolved.origins[p])
            for p, n in nodes.items()
            if n is not None
        ]
        if as_json:
            print_json([{"path": path, "value": _value(text), "place": place} for path, text, place in rows])
        else:
            print_results("\n".join(table(rows, indent=0)))
    elif form == "json" or as_json:
        print_results(json.dumps(draw(resolved).as_json(), indent=2))
    else:
        print_results(draw(resolved).as_mermaid())
    return 0


def _rendered(path: str, value: Any) -> str:
    """A value as JSON, with apparent secrets masked."""
    from prerl_spec.language.secrets import masked_value

    return masked_value(json.dumps(value, default=str), path.rpartition(".")[2])


def _value(text: str) -> Any:
    """The value that was rendered; its text where a secret in it is masked."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _format_and_spec(graph: str | None, spec: Path | None) -> tuple[str | None, Path]:
    """Reads `--graph SPEC` as `--graph=mermaid SPEC`: argparse consumes the next word as the option's optional value."""
    from prerl_spec.errors import UsageError

    if graph not in (None, "mermaid", "json") and spec is None:
        assert graph is not None
        return "mermaid", Path(graph)
    if graph not in (None, "mermaid", "json"):
        raise UsageError(f"--graph={graph} is not a graph format", hint="choose --graph=mermaid or --graph=json")
    if spec is None:
        raise UsageError("`show` needs a spec file", hint="usage: prerl-spec show SPEC --graph")
    return graph, spec
