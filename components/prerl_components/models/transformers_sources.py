"""What the installed transformers accepts, read from its sources: importing it takes seconds, and torch.

Where a source is not as expected, or transformers is not installed, nothing is known, and nothing is refused.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

BASE = "PreTrainedConfig"
ALSO_TAKEN = frozenset({"model_type", "rope_theta", "rope_scaling", "attn_implementation"})
"""Keys that configurations accept without declaring them: older spellings of rope_parameters."""
WRITTEN = frozenset({"_name_or_path", "output_attentions"})
"""Keys that every configuration writes without declaring them."""
_PAIR = re.compile(r'\(\s*"([\w.-]+)",\s*"(\w+)"|"([\w.-]+)":\s*"(\w+)"')


@cache
def causal_types() -> frozenset[str]:
    """`model_type` of every causal language model; empty where that cannot be read."""
    return frozenset(_pairs("modeling_auto.py", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"))


@cache
def configuration_keys(model_type: str) -> frozenset[str]:
    """Every key that the configuration of a model type declares, its bases' included; empty where that cannot be read."""
    classes = _configuration(model_type)
    own = frozenset(key for found in classes for key in _keys(found))
    return own | ALSO_TAKEN | WRITTEN if classes else own


@cache
def settable_properties(model_type: str) -> frozenset[str]:
    """What else from_pretrained sets of a configuration: what its classes compute, where they say how it is set."""
    return frozenset(
        decorator.value.id
        for found in _configuration(model_type)
        for node in found.body
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Attribute) and decorator.attr == "setter" and isinstance(decorator.value, ast.Name)
    )


@cache
def _configuration(model_type: str) -> tuple[ast.ClassDef, ...]:
    """The class of a model type's configuration and its bases'; empty where they cannot be read."""
    names = _pairs("auto_mappings.py", "CONFIG_MAPPING_NAMES") | _pairs("configuration_auto.py", "CONFIG_MAPPING_NAMES")
    module = _pairs("auto_mappings.py", "SPECIAL_MODEL_TYPE_TO_MODULE_NAME")
    module |= _pairs("configuration_auto.py", "SPECIAL_MODEL_TYPE_TO_MODULE_NAME")
    folder = module.get(model_type, model_type).replace("-", "_")
    place = _root()
    if place is None or model_type not in names:
        return ()
    file = place / "models" / folder / f"configuration_{folder}.py"
    try:
        return tuple(_classes(file, names[model_type]))
    except (OSError, SyntaxError, LookupError):
        return ()


def class_name(model_type: str) -> str:
    """Of the configuration: "Qwen3Config"."""
    return _pairs("auto_mappings.py", "CONFIG_MAPPING_NAMES").get(model_type, "its configuration")


@cache
def loading_words() -> frozenset[str]:
    """Every word in `from_pretrained` of models: its arguments are among them. Empty where that cannot be read."""
    place = _root()
    if place is None:
        return frozenset()
    words: set[str] = set()
    for file in ("modeling_utils.py", "models/auto/auto_factory.py"):
        try:
            text = (place / file).read_text(encoding="utf-8")
        except OSError:
            return frozenset()
        found = re.search(r"^    def from_pretrained\(.*?(?=^    (?:def |@)|\Z)", text, re.MULTILINE | re.DOTALL)
        if found is None:
            return frozenset()
        words.update(re.findall(r"\w+", found[0]))
    return frozenset(words)


def _classes(file: Path, name: str) -> Iterator[ast.ClassDef]:
    """Raises LookupError for a class or a base that is not where it is expected."""
    tree = _parsed(file)
    found = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)
    if found is None:
        raise LookupError(f"{file}: no class {name}")
    yield found
    # The bases of the common one declare no keys.
    for base in () if name == BASE else found.bases:
        if isinstance(base, ast.Name):
            yield from _classes_of_base(file, tree, base.id)


def _keys(found: ast.ClassDef) -> Iterator[str]:
    for node in found.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if "ClassVar" not in ast.unparse(node.annotation):
                yield node.target.id
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield from _assigned(node)
        elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
            yield from (argument.arg for argument in (*node.args.args, *node.args.kwonlyargs) if argument.arg != "self")


def _assigned(node: ast.Assign) -> Iterator[str]:
    """The keys of an `attribute_map`, which are other names of declared ones."""
    target = node.targets[0]
    if isinstance(target, ast.Name) and target.id == "attribute_map" and isinstance(node.value, ast.Dict):
        yield from (
            key.value for key in node.value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
        )


def _classes_of_base(file: Path, tree: ast.Module, name: str) -> Iterator[ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            yield from _classes(file, name)
            return
        if isinstance(node, ast.ImportFrom) and node.level and any(alias.name == name for alias in node.names):
            above = file.parents[node.level - 1]
            yield from _classes(above.joinpath(*(node.module or "").split(".")).with_suffix(".py"), name)
            return
    raise LookupError(f"{file}: {name} is neither defined nor imported")


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def _pairs(file: str, name: str) -> dict[str, str]:
    """Of every table of texts that is assigned to the name, or added to it, at the top of a file of `models/auto`."""
    place = _root()
    if place is None:
        return {}
    try:
        text = (place / "models" / "auto" / file).read_text(encoding="utf-8")
    except OSError:
        return {}
    found: dict[str, str] = {}
    for table in re.finditer(rf"^{name}(?: = OrderedDict\(|\.update\()(.*?)^\)", text, re.MULTILINE | re.DOTALL):
        for one, its, other, others in _PAIR.findall(table[1]):
            found[one or other] = its or others
    return found


@cache
def _root() -> Path | None:
    try:
        place = Path(str(metadata.distribution("transformers").locate_file("transformers")))
    except metadata.PackageNotFoundError:
        return None
    return place if place.is_dir() else None
