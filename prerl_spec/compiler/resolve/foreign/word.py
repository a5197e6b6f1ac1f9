"""What a word of another framework is here: the key, the table it stands in, and how the number differs."""

from collections.abc import Sequence
from dataclasses import dataclass

from prerl_spec.language.spec import holds_list

TRL, VERL, PRIME, OPENRLHF = "TRL", "verl", "prime-rl", "OpenRLHF"
PEFT, VLLM, HF, KERAS, LM_EVAL = "PEFT", "vLLM", "transformers", "Keras", "lm-eval"
ANY = "any"
"""In place of a kind: the key is one of every component."""


@dataclass(frozen=True)
class Home:
    """Where a key of ours stands: `Home("[optimizer]", kind="optimizer")`, `Home("[checkpoint]", section="checkpoint")`.

    `kind` is the kind of the component whose setting it is, `use` its name where only one has it; `section` is a core
    table. Neither: the top level.
    """

    header: str
    kind: str | None = None
    use: str | None = None
    section: str | None = None

    def fits(self, kind: str, use: str) -> bool:
        """Whether a component of this kind and name has the key."""
        return self.kind in (kind, ANY) and self.use in (None, use)

    @property
    def table(self) -> str:
        """The top-level table that a spec lacks without it: "optimizer"; "" for what has none of its own."""
        return (
            self.section
            or (self.kind if self.kind in ("model", "data", "sampler", "optimizer", "verifier") else "")
            or ""
        )


RUN = Home("`[run]`", section="run")
PHASE = Home("`[[phases]]`", section="phases")
CHECKPOINT = Home("`[checkpoint]`", section="checkpoint")
DISTRIBUTED = Home("`[distributed]`", section="distributed")
COMPONENT = Home("a component's table", kind=ANY)
MODEL = Home("`[model]`", kind="model")
ADAPTER = Home('`[model.adapter]`, whose `use` is "lora"', kind="adapter")
DATA = Home("`[data.train]`", kind="data")
SAMPLER = Home("`[sampler]`", kind="sampler")
ENGINE = Home("a `vllm` sampler", kind="sampler", use="vllm")
OPTIMIZER = Home("`[optimizer]`", kind="optimizer")
SCHEDULE = Home("`[phases.schedule]`", kind="schedule")
OBJECTIVE = Home("`[phases.objective]`", kind="objective")
KL = Home("a `kl` term of a `weighted_sum`", kind="objective", use="kl")
ENTROPY = Home("an `entropy` term of a `weighted_sum`", kind="objective", use="entropy")
EVALUATE = Home("`[[evaluate]]`", kind="evaluator")
HARNESS = Home('`[[evaluate]]`, whose `use` is "lm_eval"', kind="evaluator", use="lm_eval")
HOLDOUT = Home('`[[evaluate]]`, whose `use` is "holdout"', kind="evaluator", use="holdout")
TRACKERS = Home("`[[trackers]]`", kind="tracker")
WANDB = Home('`[[trackers]]`, whose `use` is "wandb"', kind="tracker", use="wandb")
REWARDS = Home("`[[rewards]]`", kind="reward")
OVERLONG = Home('`[[rewards]]`, whose `use` is "overlong_penalty"', kind="reward", use="overlong_penalty")
FILTERS = Home("`[[filters]]`", kind="filter")
TERMS = Home("the `terms` of a `weighted_sum`", kind="objective", use="weighted_sum")
VERIFIER = Home("`[verifier]`", kind="verifier")
TOP_ENTROPY = Home("the selection `top_entropy` of a `policy_gradient`", kind="selection", use="top_entropy")


@dataclass(frozen=True)
class ForeignWord:
    """A key of other frameworks: `ForeignWord("learning_rate", (TRL,), "lr", OPTIMIZER)`; one row for each table where it
    means another key of ours.

    `ours` is the key here, or what is written (`use = "vllm"`); "" if there is none: `note` then says why. Otherwise `note`
    says what the number means there where it means another here.
    """

    word: str
    houses: tuple[str, ...]
    ours: str
    home: Home | None = None
    note: str = ""

    @property
    def key(self) -> str:
        """The key of ours alone: `use` of `use = "vllm"`."""
        return self.ours.partition(" ")[0]

    def stands_for_use(self, kind: str) -> bool:
        """Whether it names the component, in the table of one of this kind."""
        return self.ours == "use" and self.home is not None and self.home.kind in (kind, ANY)

    @property
    def whose(self) -> str:
        """`learning_rate` is TRL's word"""
        return f"`{self.word}` is {possessive(self.houses)} word"

    def instead(self, *, is_home: bool = False) -> str:
        """here `lr` in `[optimizer]`, and how the number differs. Without the table where it stands there already."""
        if not self.ours:
            return self.note
        assert self.home is not None, f"{self.word} has a word of ours and no table"
        place = "" if is_home else f" in {self.home.header}"
        return "; ".join(filter(None, (f"here `{self.ours}`{place}", self.note)))

    def sentence(self, *, is_home: bool) -> str:
        """`learning_rate` is TRL's word; here it is `lr` in `[optimizer]`. Without the table where it stands there already."""
        if not self.ours:
            return f"{self.whose}; {self.note}"
        assert self.home is not None, f"{self.word} has a word of ours and no table"
        return f"{self.whose}; here it is `{self.ours}`{'' if is_home else f' in {self.home.header}'}"

    @property
    def help(self) -> str | None:
        """How the number differs, None where it does not."""
        return self.note if self.ours and self.note else None


@dataclass(frozen=True)
class ForeignTable:
    """A table of other frameworks: `ForeignTable("rollout", (VERL,), "sampler")`, "" where several of ours take its keys.

    `use` is the component where the table stands for one: "wandb" among the trackers.
    """

    word: str
    houses: tuple[str, ...]
    ours: str = ""
    use: str = ""

    @property
    def replacement(self) -> str:
        """What the table's name may be replaced by: "" where a name alone makes no table of ours."""
        return "" if self.use or holds_list(self.ours) else self.ours

    def sentence(self) -> str:
        whose = f"`{self.word}` is {possessive(self.houses)} table"
        header = f"`[[{self.ours}]]`" if holds_list(self.ours) else f"`[{self.ours}]`"
        named = f' with `use = "{self.use}"`' if self.use else ""
        return f"{whose}; here it is {header}{named}" if self.ours else whose


@dataclass(frozen=True)
class ForeignValue:
    """A value of other frameworks for a key that is ours too: `ForeignValue("estimator", "low_var_kl", (VERL,), "k3")`."""

    key: str
    value: str
    houses: tuple[str, ...]
    ours: str
    note: str = ""

    def sentence(self, shown: str, ours: str) -> str:
        return f"{shown} is {possessive(self.houses)} word; here it is {ours}"


def possessive(houses: Sequence[str]) -> str:
    """TRL's, transformers' and OpenRLHF's."""
    words = [f"{house}'" if house == HF else f"{house}'s" for house in houses]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
