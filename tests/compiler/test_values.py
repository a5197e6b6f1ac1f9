"""Every value of the resolved spec with what was given and where it came from; secrets nowhere."""

import json
from pathlib import Path

import pytest

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.plan import Plan, Value
from tests.compiler.specs import TINY, bent, written

CHILD = """
spec = 1
extends = ["spec.toml"]
[vars]
lr = 1e-3
[[phases]]
id = "refine"
optimizer = { use = "adamw", lr = "${vars.lr}" }
"""
TOKEN = "hf_" + "a" * 24


def values(plan: Plan) -> dict[str, Value]:
    found = {v.path: v for v in plan.values}
    assert len(found) == len(plan.values)
    return found


def test_each_value_says_what_was_given_and_where(tmp_path: Path) -> None:
    parent = written(tmp_path, TINY)
    child = tmp_path / "child.toml"
    child.write_text(CHILD)
    plan = compile_spec(child, sets=("sampler.group_size=4", "verifier=exact_match")).plan
    found = values(plan)
    line = 1 + TINY[: TINY.index("model_type")].count("\n")
    assert found["model.config.model_type"] == Value(
        "model.config.model_type", '"qwen3"', "qwen3", f"{parent}:{line}:14"
    )
    last = next(n for n, p in enumerate(plan.phases) if p.id == "refine")
    assert found[f"phases[{last}].optimizer.lr"] == Value(
        f"phases[{last}].optimizer.lr", '"${vars.lr}"', 1e-3, f"{child}:8:35", f"{child}:5:6"
    )
    assert found["sampler.group_size"] == Value("sampler.group_size", "4", 4, "--set #1")
    assert found["verifier.use"] == Value("verifier.use", "exact_match", "exact_match", "--set #2")
    assert found["verifier.extract"] == Value("verifier.extract", None, "last_boxed", "default")
    assert found["checkpoint.keep"] == Value("checkpoint.keep", None, 2, "default")


def test_every_setting_of_every_component_is_there(tmp_path: Path) -> None:
    plan = compile_spec(written(tmp_path, TINY)).plan
    paths = values(plan)
    for where, component in (
        ("model", plan.model),
        *((f"data.{n}", d.component) for n, d in plan.data.items()),
        *(
            (f"phases[{n}].{role}", getattr(p, role))
            for n, p in enumerate(plan.phases)
            for role in ("objective", "schedule")
        ),
    ):
        for key in ("use", *component.settings):
            assert any(p == f"{where}.{key}" or p.startswith((f"{where}.{key}.", f"{where}.{key}[")) for p in paths)


def test_a_plan_that_was_written_keeps_its_origins(tmp_path: Path) -> None:
    plan = compile_spec(written(tmp_path, TINY)).plan
    (tmp_path / "plan.json").write_text(plan.text())
    again = compile_spec(tmp_path / "plan.json").plan
    assert again.values == plan.values != ()
    older = json.loads(plan.text())
    del older["values"]
    assert Plan.from_json(older).values == ()


def test_no_secret_is_given_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_KEY", "hush-hush")
    monkeypatch.setenv("SOME_TOKEN", TOKEN)
    server = 'use = "vllm_server"\nurls = ["http://127.0.0.1:8000", "http://h/${env:SOME_TOKEN}"]\nkey = "KEY"'
    texts = []
    for key in ("${secret:SERVER_KEY}", "hush-hush"):
        text = bent(('use = "transformers"', server.replace("KEY", key)))
        found = values(compile_spec(written(tmp_path, text)).plan)
        texts.append(" ".join(map(str, found.values())))
        assert found["sampler.urls[1]"].given == '"http://h/${env:SOME_TOKEN}"'
        assert found["sampler.urls[1]"].resolved == "http://h/" + "*" * len(TOKEN)
        given = found["sampler.key"].given
        assert given == (json.dumps(key) if key.startswith("$") else "(secret)")
    assert not any("hush" in text or TOKEN in text for text in texts)
