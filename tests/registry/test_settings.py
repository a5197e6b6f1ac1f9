"""What a settings model allows, and how its refusals become codes at exact places."""

from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from prerl_spec.registry.component import Component, PassedThrough, Secret, Slot, SpecPath
from prerl_spec.registry.settings import SettingFault, settings_of, validate


class Example(Component):
    kind: ClassVar[Literal["filter"]] = "filter"

    count: int = Field(1, ge=1)
    share: float = Field(0.5, gt=0, le=1)
    flag: bool = False
    form: Literal["sum", "mean"] = "sum"
    cap: Literal["off"] | Annotated[float, Field(gt=1)] = "off"
    below: int = Field(0, lt=1)
    words: tuple[str, ...] = ()
    few: Literal["all"] | Annotated[tuple[str, ...], Field(max_length=1)] | tuple[int, ...] = "all"
    pair: tuple[int, int] = (1, 2)
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    target: str = Field("whole", pattern=r"^(whole|after:.+)$")
    path: Annotated[str, SpecPath()] = ""
    token: Annotated[str, Secret()] = ""
    extra: Annotated[dict[str, Any], PassedThrough()] = Field(default_factory=dict)
    inner: Annotated[Component | None, Slot("verifier")] = None


def refusals(**values: Any) -> list[tuple[str, tuple[str | int, ...]]]:
    return [(r.code, r.steps) for r in validate(Example, values)[1]]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"count": "200"}, [("E0201", ("count",))]),
        ({"count": True}, [("E0201", ("count",))]),
        ({"count": 8.0}, [("E0201", ("count",))]),
        ({"count": 0}, [("E0202", ("count",))]),
        ({"share": 1}, []),
        ({"share": True}, [("E0201", ("share",))]),
        ({"share": float("nan")}, [("E0202", ("share",))]),
        ({"flag": 1}, [("E0201", ("flag",))]),
        ({"form": "men"}, [("E0207", ("form",))]),
        ({"form": 5}, [("E0207", ("form",))]),
        ({"cap": "of"}, [("E0207", ("cap",))]),
        ({"cap": "2"}, [("E0201", ("cap",))]),
        ({"cap": 0.5}, [("E0202", ("cap",))]),
        ({"cap": True}, [("E0201", ("cap",))]),
        ({"words": "x"}, [("E0201", ("words",))]),
        ({"words": ["x", 5]}, [("E0201", ("words", 1))]),
        ({"pair": [1]}, [("E0202", ("pair",))]),
        ({"weights": {"a": 0, "b": "x"}}, [("E0202", ("weights", "a")), ("E0201", ("weights", "b"))]),
        ({"target": "whle"}, [("E0207", ("target",))]),
        ({"target": 5}, [("E0201", ("target",))]),
        ({"count": 0, "form": "x"}, [("E0202", ("count",)), ("E0207", ("form",))]),
    ],
)
def test_each_refusal_has_its_code_and_place(values: dict[str, Any], wanted: list[tuple[str, tuple[Any, ...]]]) -> None:
    assert refusals(**values) == wanted


def test_a_refusal_says_the_value_seen_and_what_would_be_right() -> None:
    _, (refusal,) = validate(Example, {"count": 0})
    assert refusal == SettingFault("E0202", ("count",), "`count` must be at least 1, not 0")
    for value, said in [(0, "more than 0.0, not 0"), (1.5, "at most 1.0, not 1.5")]:
        _, (refusal,) = validate(Example, {"share": value})
        assert refusal == SettingFault("E0202", ("share",), f"`share` must be {said}")
    _, (refusal,) = validate(Example, {"below": 1})
    assert refusal == SettingFault("E0202", ("below",), "`below` must be less than 1, not 1")
    _, (refusal,) = validate(Example, {"form": "men"})
    assert refusal.choices == ("sum", "mean")


def test_a_broken_item_does_not_hide_that_the_list_breaks_a_rule() -> None:
    _, found = validate(Example, {"few": ["x", "y"]})
    assert found[0] == SettingFault("E0202", ("few",), "`few` is too long")
    assert [(r.code, r.steps) for r in found[1:]] == [("E0201", ("few", 0)), ("E0201", ("few", 1))]
    assert refusals(weights={"a": "x"}) == [("E0201", ("weights", "a"))], "no rule of the table: its item says all"


def test_a_setting_knows_what_it_takes() -> None:
    settings = settings_of(Example)
    assert settings["cap"].choices == ("off",)
    assert settings["target"].choices == ("whole",)
    assert settings["path"].is_path
    assert settings["token"].is_secret
    assert settings["extra"].handed_on
    assert settings["inner"].slot == Slot("verifier")
    assert settings["cap"].wanted == '"off" or a number'
    assert settings["form"].only_choices
    assert not settings["cap"].only_choices


def test_a_setting_is_known_by_the_key_that_a_spec_writes() -> None:
    class Spanning(Component):
        kind: ClassVar[Literal["filter"]] = "filter"
        start: int = Field(0, alias="from")

    (setting,) = settings_of(Spanning).values()
    assert list(settings_of(Spanning)) == ["from"]
    assert (setting.key, setting.attribute) == ("from", "start")
    assert [(r.code, r.steps) for r in validate(Spanning, {"from": "x"})[1]] == [("E0201", ("from",))]


def test_what_is_missing_is_not_refused_here() -> None:
    class Needs(Component):
        kind: ClassVar[Literal["filter"]] = "filter"
        limit: int

    assert validate(Needs, {}) == (None, [])
