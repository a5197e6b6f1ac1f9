"""Code in an include folder's YAML: found where lm-eval runs it and nowhere else, run with leave only, planned and hashed."""

from contextlib import suppress
from pathlib import Path

import pytest
from lm_eval.tasks._yaml_loader import load_yaml
from prerl_components.evaluators.lm_eval import LmEval

from prerl_spec.cli import main as cli
from prerl_spec.compiler.compile import check_spec, compile_spec
from prerl_spec.errors import Drift, EnvironmentUnmet, SpecInvalid
from prerl_spec.evaluation.tasks.catalogue import load_tasks
from prerl_spec.evaluation.tasks.strange_code import without_strange_code
from prerl_spec.evaluation.tasks.yaml_code import code_of_folder

EVIL = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\ndef go(*_, **__): return []\n"
TASK = """task: sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{text}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n"]}}
metric_list: [{{metric: {metric}, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 1}}
"""

RUNS = {
    "a plain tag": "x: !function evil.go",
    "a verbatim tag": "x: !<!function> evil.go",
    "a percent sign in the tag": "x: !%66unction evil.go",
    "a tag handle": "%TAG !e! !func\n---\nx: !e!tion evil.go",
    "a quoted value": 'x: !function "evil.go"',
    "deep in a list": "a: [{b: [c, {d: !function evil.go}]}]",
    "as a key": "? !function evil.go\n: 1",
    "an anchored node": "a: &f !function evil.go\nb: *f",
    "the class of a Python task": "task: x\nclass: !function evil.go",
    "a metric": "metric_list: [{metric: !function evil.go}]",
    "another file of the folder": "include: other.yml",
    "a file outside": "include: ../outside.cfg",
    "an absolute file": "include: {parent}/outside.cfg",
    "the second of several": "include: [harmless.txt, ../outside.cfg]",
    "a chain of files": "include: chain.txt",
    "an include from a merge key": "<<: {{include: ../outside.cfg}}",
    "UTF-16": "x: !function evil.go",
}
RUNS_NOTHING = {
    "a comment": "x: 1  # !function evil.go",
    "a quoted text": 'x: "!function evil.go"',
    "a block of text": "x: |\n  !function evil.go",
    "a text in a list": "x: ['!function', evil.go]",
    "the tag of a text": "x: ! function evil.go",
    "a longer tag": "x: !functional evil.go",
    "a second document": "x: 1\n---\ny: !function evil.go",
    "an include below the top": "a: {{include: ../outside.cfg}}",
    "a tag that the handle renames": "%TAG ! tag:example.com,2000:\n---\nx: !function evil.go",
    "not YAML": "x: [!function evil.go",
}


def written(folder: Path, text: str, *, encoding: str = "utf-8") -> Path:
    tasks = folder / "tasks"
    tasks.mkdir()
    for file in (folder / "evil.py", tasks / "evil.py"):
        file.write_text(EVIL)
    for name in ("outside.cfg", "tasks/other.yml"):
        (folder / name).write_text("y: !function evil.go\n")
    (tasks / "harmless.txt").write_text("z: 1\n")
    (tasks / "chain.txt").write_text("include: harmless2.txt\n")
    (tasks / "harmless2.txt").write_text("include: ../outside.cfg\n")
    (tasks / "a.yaml").write_text(text.replace("{parent}", str(folder)), encoding=encoding)
    return tasks


@pytest.mark.parametrize("way", [*RUNS, *RUNS_NOTHING])
def test_code_is_found_exactly_where_lm_eval_runs_it(way: str, tmp_path: Path) -> None:
    text = (RUNS | RUNS_NOTHING)[way].replace("{{", "{").replace("}}", "}")
    tasks = written(tmp_path, text, encoding="utf-16" if way == "UTF-16" else "utf-8")
    found = code_of_folder(tasks)
    assert not (tmp_path / "ran").exists()
    assert not (tasks / "ran").exists()
    with suppress(Exception):  # whatever lm-eval raises for a file that is no task
        load_yaml(tasks / "a.yaml", resolve_func=True)
    ran = {file.with_name("evil.py") for file in (tmp_path / "ran", tasks / "ran") if file.exists()}
    assert bool(ran) == bool(found.places) == (way in RUNS)
    assert ran <= {Path(file) for file in found.files}


def test_files_in_sub_folders_and_behind_links_count_and_those_of_lm_eval_do_not(tmp_path: Path) -> None:
    import lm_eval

    tasks = written(tmp_path, "x: 1")
    stock = Path(lm_eval.__file__).parent / "tasks" / "hellaswag" / "hellaswag.yaml"
    (tasks / "a.yaml").write_text(f"include: {stock}\ntask: mine\n")
    assert not code_of_folder(tasks).places
    below = tasks / "deep" / "er"
    below.mkdir(parents=True)
    (below / "linked.yaml").symlink_to(tmp_path / "outside.cfg")
    (found,) = code_of_folder(tasks).places
    assert found.endswith("runs `evil.go` of evil.py")
    assert str(tmp_path / "evil.py") in code_of_folder(tasks).files


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("x: !function os.system", "runs `os.system` of the importable module `os`"),
        ("x: !!python/name:os.system", "makes a Python object"),
        ("group: g\ntask: [{task: t, dataset_path: pandas}]", "reads pickles"),
        ("use_prompt: promptsource:GPT-3", "imports the package `promptsource`"),
    ],
)
def test_code_of_others_is_named(text: str, what: str, tmp_path: Path) -> None:
    (place,) = code_of_folder(written(tmp_path, text)).places
    assert what in place


SPEC = """spec = 1
run.name = "included"
model = { use = "from_scratch", tokenizer = "data:train", config = { model_type = "qwen3", hidden_size = 32, \
num_hidden_layers = 1, num_attention_heads = 1, num_key_value_heads = 1, head_dim = 32, intermediate_size = 32 } }
data.train = "arithmetic_chains"

[[evaluate]]
use = "lm_eval"
tasks = ["sums"]
include = ["plain", "tasks"]
max_new_tokens = 4
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    tasks = written(tmp_path, TASK.format(rows=tmp_path / "rows.jsonl", text="{{question}}", metric="exact_match"))
    (tmp_path / "plain").mkdir()
    (tmp_path / "rows.jsonl").write_text('{"question": "1 + 1 =", "answer": "2"}\n' * 2)
    with (tasks / "a.yaml").open("a") as file:
        file.write("process_docs: !function evil.go\n")
    (tmp_path / "spec.toml").write_text(SPEC)
    return tmp_path / "spec.toml"


def test_an_include_folder_with_code_needs_local_code(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("validate", "plan", "show --resolved", "lock", "diff", "run"):
        word, *options = command.split()
        second = [str(spec)] if word == "diff" else []
        assert cli.main([word, str(spec), *second, *options]) == 3, command
        told = capsys.readouterr().err
        assert "error[E0304]: `include` names code, which this command may not run: a.yaml runs `evil.go`" in told
        assert f"--> {spec}:9:21" in told
        assert "--local-code allows it" in told
    assert not (spec.parent / "tasks" / "ran").exists()
    _, warnings = check_spec(spec, local_code=True)
    assert warnings == ()


def test_what_would_run_stands_in_the_plan_and_in_its_digest(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", str(spec), "--local-code"]) == 0
    assert "--local-code: evaluate[0].include[1]: a.yaml runs `evil.go` of evil.py" in capsys.readouterr().out
    before = compile_spec(spec, local_code=True).plan
    assert [Path(file).name for file in before.code_files] == ["evil.py", "a.yaml"]
    file = spec.with_name("plan.json")
    file.write_text(before.text())
    with pytest.raises(EnvironmentUnmet, match=r"E0304: the plan runs Python code, `evil\.py`, `a\.yaml`"):
        compile_spec(file)
    assert compile_spec(file, local_code=True).graph.digest == before.digest
    (spec.parent / "tasks" / "a.yaml").write_text("x: !function ../evil.go\n")
    (spec.parent / "evil.py").write_text(EVIL + "# another thought\n")
    with pytest.raises(Drift, match="has changed since the plan was made"):
        compile_spec(file, local_code=True)


def test_code_outside_the_folder_is_part_of_the_meaning(spec: Path) -> None:
    (spec.parent / "tasks" / "a.yaml").write_text("include: ../outside.cfg\ntask: sums\n")
    before = compile_spec(spec, local_code=True).plan.digest
    (spec.parent / "evil.py").write_text(EVIL + "# another thought\n")
    assert compile_spec(spec, local_code=True).plan.digest != before


def test_an_arm_with_code_is_refused_too(spec: Path) -> None:
    text = SPEC.replace('include = ["plain", "tasks"]', 'include = ["plain"]')
    arm = '\n[study]\nseeds = [0]\narms = { b = { evaluate = [{ use = "lm_eval", tasks = ["sums"], include = ["tasks"] }] } }\n'
    spec.write_text(text + arm)
    with pytest.raises(SpecInvalid) as refused:
        check_spec(spec)
    assert {(d.code, d.path) for d in refused.value.diagnostics} == {("E0304", "evaluate[0].include[0]")}


def test_eval_runs_no_code_of_a_folder_without_leave(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = spec.parent / "tasks"
    assert cli.main(["eval", str(spec.parent), "--tasks", "sums", "--include", str(tasks)]) == 3
    assert "E0304: --include: a.yaml runs `evil.go` of evil.py" in capsys.readouterr().err
    assert not (tasks / "ran").exists()


@pytest.mark.parametrize(
    ("text", "metric", "why"),
    [
        ("{{ cycler.__init__.__globals__.os.system('touch ran') }}", "exact_match", "reaches for Python's internals"),
        ("{{ lipsum.__globals__ }}", "exact_match", "reaches for Python's internals"),
        ("{{ question }}", "./metric_script", "the metric `./metric_script` is none of lm-eval's"),
        ("{{ question }}", "bertscore", "the metric `bertscore` is none of lm-eval's"),
    ],
)
def test_templates_and_metrics_run_no_code_at_all(text: str, metric: str, why: str, tmp_path: Path) -> None:
    rows, tasks = tmp_path / "rows.jsonl", tmp_path / "tasks"
    tasks.mkdir()
    rows.write_text('{"question": "1 + 1 =", "answer": "2"}\n')
    (tasks / "a.yaml").write_text(TASK.format(rows=rows, text=text, metric=metric))
    assert LmEval(tasks=("sums",), include=(str(tasks),)).local_code() == ()
    with pytest.raises(EnvironmentUnmet) as refused:
        load_tasks(["sums"], include=[tasks], data={}, folder=tmp_path)
    assert why in refused.value.message
    assert "task `sums`" in refused.value.message


def test_a_template_in_the_sandbox_reads_as_outside_it() -> None:
    from lm_eval.utils import apply_template

    text = "{{ q|regex_replace('a', 'b') }}{% for x in xs %}{{ loop.index }}{{ x.strip() }}{% endfor %}\n"
    row = {"q": "banana", "xs": [" a", "b "]}
    plain = apply_template(text, row)
    with without_strange_code():
        assert apply_template(text, row) == plain == "bbnbnb1a2b\n"
