"""Names of benchmarks: `lm_eval/NAME` is the stock harness's own, and some names of ours have changed."""

from pydantic_core import PydanticCustomError

STOCK = "lm_eval/"
"""Before a name: lm-eval's own task, group or tag, whatever ours or an `include` folder's are called."""

FEWSHOT = ":fewshot"
"""Behind a task's name, a key of `data`: the rows of its few-shot examples."""

FORMER: dict[str, tuple[str, ...]] = {
    "aime24": ("aime24_boxed", f"{STOCK}aime24"),
    "aime25": ("aime25_boxed", f"{STOCK}aime25"),
    "math500": ("math500_boxed",),
    "amc23": ("amc23_boxed",),
}
"""Former name of a benchmark of ours -> what to write now: its name, and lm-eval's task that was hidden behind it."""


def is_stock(name: str) -> bool:
    """Whether a name asks for lm-eval's own."""
    return name.startswith(STOCK)


def bare(name: str) -> str:
    """The name as lm-eval itself has it."""
    return name.removeprefix(STOCK)


def fewshot_key(task: str) -> str:
    """The key of `data` for the rows of a task's few-shot examples."""
    return task + FEWSHOT


def task_of_rows(key: str) -> str:
    """The task that a key of `data` provides rows for."""
    return key.removesuffix(FEWSHOT)


def toml_key(name: str) -> str:
    """A task's name as a key of a TOML table."""
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else f'"{name}"'


def current_name(name: str) -> str:
    """The name itself; for a validator of settings. Raises the validation error "renamed" (E0205) for a former one."""
    if name not in FORMER:
        return name
    ours, *stock = FORMER[name]
    help = f"`{ours}` is prerl-spec's task" + "".join(f", `{other}` is lm-eval's" for other in stock)
    raise PydanticCustomError(
        "renamed",
        "the task `{former}` is now `{new}`",
        {"former": name, "new": ours, "ways": list(FORMER[name]), "help": help},
    )
