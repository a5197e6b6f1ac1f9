# ruff: noqa: E501
"""Bad specs of several places: parents, arms, overlays, command lines, references, plugin files, and what depends on what.

Each sentence of the language with the marked specs (`tests/language/marked.py`) that test it.
"""

from tests.language.marked import Marked
from tests.language.specs import LONG, SCORED, SHORT, long, short

CHILD = 'extends = ["base.toml"]\nspec = 1\n'
ANOTHER = (
    '[[phases]]\nid = "b"\nprompts_per_step = 3\nobjective = "grpo"\nschedule = { use = "fixed_steps", steps = 1 }\n'
)
NO_PARTS = ('sampler = { use = "transformers", group_size = 4 }\nverifier = "math_verify"\n', "")
DOCUMENTS = ('prompts_per_step = 8\nobjective = "grpo"', 'documents_per_step = 8\nobjective = "next_token"')
MINE = """\
from prerl_spec.sdk import Component
from pydantic import Field
class Mine(Component):
    kind = "verifier"
    version = 2
    renamed = {"old": "level"}
    removed = {"gone": "it is always on"}
    deprecated = {"level": "write `depth`"}
    level: int = Field(3, ge=1)
    depth: int = 1
    def provides(self):
        return frozenset({"reward[binary]"})
"""


def child(text: str, base: str = SHORT) -> Marked:
    return Marked(CHILD + text, {"base.toml": base})


def arm(overlay: str, **files: str) -> Marked:
    study = f"study = {{ seeds = [0], arms = {{ hi = {overlay} }} }}\nrun.name"
    return Marked(short(("run.name", study)), {f"{name}.toml": text for name, text in files.items()})


def given(argument: str, code: str, column: int) -> Marked:
    return Marked(SHORT, sets=(argument,), also=(("<--set #1>", code, 1, column),))


def taken_out(path: str, column: int) -> Marked:
    return Marked(SHORT, unsets=(path,), also=(("<--unset #1>", "E0403", 1, column),))


def overlaid(text: str) -> Marked:
    return Marked(SHORT, {"over.toml": text}, overlays=("over.toml",))


def referred(value: str, *variables: str) -> Marked:
    written = "".join(f"{v}\n" for v in variables)
    return Marked(short(("lr = 1e-6", f"lr = {value}"), ("run.name", f"{written}run.name")))


REFERRED = short(("lr = 1e-6", 'lr = "${vars.lr}"'), ("run.name", "vars.lr = 1e-6\nrun.name"))


def mine(verifier: str, source: str = MINE, file: str = '"mine.py"') -> Marked:
    text = short(("run.name", f"plugins.files = [{file}]\nrun.name"), ('verifier = "math_verify"', verifier))
    return Marked(text, {"mine.py": source}, local_code=True)


# fmt: off
SYNTAX = {
    "A failed node is poisoned and only what depends on it is skipped: a header": [
        Marked(long(("[phases.objective]", "[phases.«E0101».objective]"))),
        Marked(long(("[phases.objective]", "[phases.«E0101»]"))),
        Marked(long(("[phases.objective]", "[phases.objective«E0101»!]"))),
        Marked(long(("[run]", "[run]«E0101»]"))), Marked(long(("[[phases]]", "«E0104»[[phases]"))), Marked(long(("[model]", "«E0104»[[model]"))),
    ],
    "`[phases]` beside `[[phases]]`: E0208 at the second": [
        Marked(long(("[[phases]]", "[phases]\n[[«E0208»phases]]"))), Marked(LONG + '[«E0208»phases]\nid = "c"\n[phases.objective]\nuse = "grpo"\n'),
        Marked(long(("[verifier]\n", '[verifier]\nuse = "exact_match"\n[[«E0208»verifier]]\n'))),
    ],
    "a second label where another place matters": [
        Marked(long(("[phases.schedule]\n", '[«label»phases.schedule]\nuse = "fixed_steps"\nsteps = 1\n[«E0103»phases.schedule]\n'))),
        Marked(short(('id = "a"', '«label»id = "a"\n«E0102»"id" = "b"'))),
        Marked(short(('run.name = "x"', 'run.«label»name = "x"\nrun.«E0102»name = "y"'))),
    ],
    "Several syntax errors in one run, with the rest": [
        Marked(short(("steps = 3", "steps = «E0106».5"), ("lr = 1e-6", "lr = «E0105»null"), ('id = "a"', 'id = «E0104»"a'))),
        Marked(short(("steps = 3", "steps = «E0106»017"), ('"math_verify"', '«E0301>math_verify»"math_verfy"'))),
    ],
    "Columns count code points, a BOM is none": [
        Marked("\ufeff" + short(("spec = 1", "spec = «E0210»9"))), Marked(short(("lr = 1e-6", "lr = «E0202»0")).replace("\n", "\r\n")),
        Marked(short(('path = "t.jsonl"', 'path = "ü𝒳é", system = "日本", max_prompt_tokens = «E0202»0'))), Marked(short(("lr = 1e-6", "lr =\t\t«E0202»0"))),
        Marked(short(('path = "t.jsonl"', "path = '''a\nb\nc''', max_prompt_tokens = «E0202»0"))), Marked(short(("lr = 1e-6", 'lr = 1, «E0203»"é" = 1'))),
    ],
}

NAMES = {
    "Suggestions: same name after folding, else nearest, folded or not": [
        Marked(short(('use = "adamw"', 'use = «E0301>adamw»"Adam-W"'))), Marked(short(('use = "adamw"', 'use = «E0301>adamw»"Adam"'))),
        Marked(short(('use = "jsonl"', 'use = «E0301>jsonl»"JSON-L"'))), Marked(short(("lr = 1e-6", "lr = 1e-6, «E0203>weight_decay»Weight-Decay = 1"))),
        Marked(short(("lr = 1e-6", "«E0203>lr»Lr = 1e-6"))), Marked(short(('use = "hf_causal"', '«E0203>use»Use = "hf_causal"'))),
    ],
    "A reference in `use` is E0308, and still uses its variable": [
        Marked(short(('"grpo"', '«E0308»"${vars.o}"'), ("run.name", 'vars.o = "grpo"\nrun.name'))),
        Marked(short(('"grpo"', '{ use = «E0308»"${vars.o}" }'), ("run.name", 'vars.o = "grpo"\nrun.name'))),
    ],
    "A nested table where there is no slot: E0309 if it has `use`, else E0203": [
        Marked(LONG + '[checkpoint.«E0309»x]\nuse = "grpo"\n'), Marked(LONG + '[checkpoint.«E0203»x]\ny = 1\n'), Marked(LONG + '[phases.«E0203>optimizer»optimzer]\nuse = "adamw"\nlr = 1\n'),
        Marked(short(("group_size = 4", 'group_size = 4, «E0309»verifier = { use = "math_verify" }'))), Marked(LONG + '[«E0203»foo]\nuse = "grpo"\n'), Marked(short(('id = "a"', 'id = "a"\n«E0309»critic = { use = "lora" }'))),
    ],
    "A value is wrong once": [
        Marked(short(('name = "m"', 'name = "m", adapter = { use = "lora", targets = [«E0201»1] }'))),
        Marked(short(('name = "m"', 'name = "m", adapter = { use = "lora", targets = «E0202»[] }'))),
    ],
    "A plugin file: renamed, removed and deprecated settings, versions, names": [
        mine('verifier = "local.mine@2"'), mine('verifier = { use = "local.mine", «E0205>level»old = 3 }'), mine('verifier = { use = "local.mine", «E0206»gone = 3 }'),
        mine('verifier = { use = "local.mine", «W0310»level = «E0202»0 }'), mine('verifier = «E0307>local.mine@2»"local.mine@1"'), mine('verifier = «E0301>local.mine»"local.mien"'),
        mine('verifier = «E0306»"local.mine"', MINE.replace("version = 2", "version = 2\n    api = 99")),
        Marked(short(('"math_verify"', '«E0301»"local.mine"'))),
    ],
    "Plugin files without `--local-code`, missing or failing: E0304 at the file's string": [
        Marked(short(("run.name", 'plugins.files = [«E0304»"mine.py"]\nrun.name'), ('"math_verify"', '"local.mine"')), {"mine.py": MINE}),
        mine('verifier = "local.mine"', "raise RuntimeError('no')\n", '«E0304»"mine.py"'), mine('verifier = "local.mine"', "def (\n", '«E0304»"mine.py"'),
        mine('verifier = "math_verify"', MINE, '«E0304»"other.py"'),
    ],
}

WIRING = {
    "E0701 the value of the later written place, `use` included": [
        Marked(short(("group_size = 4", "group_size = «label»1"), ('"grpo"', '{ use = "marginal_nsr", advantage = «E0701»"group_mean" }'))),
        Marked(short(("group_size = 4", "group_size = «label»1"), ('"grpo"', '{ use = "weighted_sum", terms = [«E0701»"grpo"] }'))),
        Marked(short(("group_size = 4", "top_p = «label»0.9"), ('id = "a"', 'id = "a"\nupdates_per_batch = «E0701»2'))),
        Marked(short(("group_size = 4", "top_k = «label»5"), ('"grpo"', '{ use = "marginal_pg", importance = «E0701»"mask" }'))),
        Marked(short(("lr = 1e-6", 'lr = 1e-6, lr_schedule = «label»"linear"'), ('use = "fixed_steps", steps = 3', 'use = "reincarnate_after", tokens = «E0701»300'))),
        Marked(short(('"grpo"', '{ use = «label»"marginal_psr", advantage = «E0701»"minus_one" }'))),
        Marked(short(("verifier =", 'reference = «label»"off"\nverifier ='), ('"grpo"', '{ use = "weighted_sum", terms = ["grpo", { use = «E0701»"kl" }] }'))),
        Marked(short(("group_size = 4", "top_p = «label»0.9"), ("run.name", "vars.u = «label»2\nrun.name"), ('id = "a"', 'id = "a"\nupdates_per_batch = «E0701»"${vars.u}"'))),
    ],
    "prompts_per_step belongs to a phase that samples, documents_per_step to one that does not: E0701 at the key": [
        Marked(short(("prompts_per_step", "«E0701»documents_per_step"))), Marked(short(("prompts_per_step = 8", "prompts_per_step = 8\n«E0701»documents_per_step = 8"))),
        Marked(short(DOCUMENTS, NO_PARTS).replace("documents_per_step", "«E0701»prompts_per_step")), Marked(short(DOCUMENTS, NO_PARTS).replace("documents_per_step = 8", "«E0701»documents_per_step = 9\nupdates_per_batch = 2")),
    ],
    "A mixture: positive weights, at least one, each a data set of the spec": [
        Marked(short(('id = "a"', f'id = "a"\ndata = {value}'))) for value in ("{ «E0604>train»trian = 0.5 }", "{ train = «E0202»-1.5 }", '{ train = «E0201»"1" }', "{ train = «E0202»nan }", "«E0202»{}", '«E0201»["train"]')
    ],
    "cycles: the first member in file order; the other places are labels": [
        Marked(long(('id = "refine"', 'id = "refine"\nafter = «label»"prune"'), ('id = "prune"', 'id = "prune"\nafter = «E0602»"refine"'))), Marked(short(('id = "a"', 'id = "a"\nafter = «E0602»"a"'))),
    ],
    "missing sampler, verifier, optimizer or data set: E0601 at the phase's objective": [
        Marked(short(NO_PARTS, ('"grpo"', '«E0601»«E0601»"grpo"'))), Marked(short(("data.train", "data.«W0701»math"), ('"grpo"', '«E0601»"grpo"'))),
        Marked(SCORED + 'data.h = { use = "jsonl", path = "h" }\nevaluate = [{ use = «E0601»"holdout", data = "h" }]\n'),
        Marked(short(('use = "hf_causal", name = "m"', 'use = «E0601»"from_scratch", config = { model_type = "qwen3" }, tokenizer = "data:train"'))),
        Marked(short(('use = "hf_causal", name = "m"', 'use = "from_scratch", config = { model_type = "qwen3" }, tokenizer = «E0604»"data:trian"'))),
    ],
    "W0702 a setting without effect": [
        *(Marked(short(('"grpo"', f'{{ use = "grpo", {k} }}'))) for k in ("clip_low = «W0702»0.1", "clip_high = «W0702»0.2", "dual_clip = «W0702»3", "importance_cap = «W0702»3")),
        *(Marked(short(("steps = 3", f"steps = 3, {k}"))) for k in ('optimizer = «W0702»"carry"', 'lr_schedule = «W0702»"carry"', 'reference = «W0702»"keep"', 'data = «W0702»"restart"')),
        Marked(short(("verifier =", 'reference = «W0702»"initial"\nverifier ='))), Marked(short(('"grpo"', '{ use = "weighted_sum", terms = [{ use = "grpo", clip_low = «W0702»0.3 }] }'))),
        Marked(short(("prompts_per_step = 8", "prompts_per_step = 8\nupdates_per_batch = 2"), ('"grpo"', '{ use = "marginal_nsr", clip_low = 0.1, clip_high = «W0702»0.3, dual_clip = 3 }'))),
        Marked(short(("prompts_per_step = 8", "prompts_per_step = 8\nupdates_per_batch = 2"), ('"grpo"', '{ use = "marginal_psr", clip_low = «W0702»0.1, clip_high = 0.3, unparsable = «W0702»"mask" }'))),
        Marked(long(("seed = 17", 'seed = 17\nstreams = «label»"phase"'), ("steps = 20", 'steps = 20\ndata = «W0702»"carry"'))), Marked(long(("seed = 17", 'seed = 17\nstreams = "phase"'), ("steps = 328", 'steps = 328\ndata = «W0702»"restart"'))),
        Marked(long(("seed = 17", 'seed = 17\nstreams = "global"'), ("steps = 20", 'steps = 20\ndata = "carry"'))),
        Marked(long(('id = "prune"', 'id = "prune"\nafter = "refine"'), ("steps = 20", 'steps = 20\noptimizer = «W0702»"reset"'))),
    ],
    "W0701 declared but never used": [
        Marked(short(("run.name", "vars = { «W0701»x = 3 }\nrun.name"))), Marked(long(('[[evaluate]]\nuse = "holdout"\ndata = "heldout"\n\n', ""), ("[data.heldout]", "[«W0701»data.heldout]"))),
        Marked(short(('verifier = "math_verify"', '«W0701»verifier = "math_verify"'), ('path = "t.jsonl"', 'path = "t.jsonl", verifier = "exact_match"'))),
        Marked(short(("sampler =", "«W0701»sampler =")) + 'sampler = "vllm"\n'), Marked(short(DOCUMENTS, ("sampler =", "«W0701»sampler ="), ("verifier =", "«W0701»verifier ="))),
        Marked(short(DOCUMENTS, NO_PARTS, ("run.name", '«W0701»filters = ["mixed_groups"]\nrun.name'))), Marked(short(("data.train =", 'data.«W0701»"a. b" = { use = "jsonl", path = "p" }\ndata.train ='))),
        Marked(SCORED + '«W0701»optimizer = { use = "adamw", lr = 1 }\nevaluate = [{ use = "lm_eval", tasks = ["a"] }]\n'),
    ],
}

COMPOSITION = {
    "a value that came through a reference -> where it is used, second label where it is defined": [
        referred('«E0201»"${vars.lr}"', 'vars.lr = «label»"1"'), referred('«E0202»"${vars.lr}"', "vars.lr = «label»0"), referred('«E0201»"x${vars.lr}"', "vars.lr = «label»1.0"),
        Marked(short(('id = "a"', 'id = "a"\ndata = «E0604>train»"${vars.d}"'), ("run.name", 'vars.d = «label»"trian"\nrun.name'))),
        Marked(short(('path = "t.jsonl"', 'path = «E0201»"${vars.p}"'), ("run.name", 'vars.p = «label»["a"]\nrun.name'))),
        Marked(short(("lr = 1e-6", 'lr = 1e-6, betas = «E0201»"${vars.b}"'), ("run.name", 'vars.b = [0.9, «label»"x"]\nrun.name'))),
    ],
    "References: undefined, malformed, cyclic: E0405": [
        referred('«E0405>${vars.lr}»"${vars.lrr}"', "vars.lr = 1"), *(referred(f'«E0405»"{word}"') for word in ("${}", "${vars.lr", "${vars..a}", "${optimizer.lr}", "${optimizer.eps}", "${env:}", "${env:1A}", "${secret:}")),
        referred('"${vars.a}"', 'vars.a = «E0405»"${vars.b}"', 'vars.b = «label»"${vars.a}"'), Marked(short(('path = "t.jsonl"', 'path = «E0405»"x${vars.t}"'), ("run.name", "vars.t = { a = 1 }\nrun.name"))),
        Marked(short(('"transformers"', '"vllm"'), ("group_size = 4", 'engine = { x = [«E0405»"${vars.nope}"] }'))),
    ],
    "`${secret:NAME}` only in settings typed secret": [
        referred('«E0407»"${secret:X}"'), referred('"${vars.k}"', 'vars.k = «E0407»"${secret:X}"'), Marked(short(('"transformers"', '"vllm"'), ("group_size = 4", 'engine = { x = «E0407»"${secret:X}" }'))),
        Marked(short(('path = "t.jsonl"', 'path = "p", system = «E0407»"a ${secret:X}"'))),
    ],
    "a variable whose only use was written over is used": [
        Marked(REFERRED, sets=("optimizer.lr=1",)), Marked(REFERRED, sets=("optimizer.use=muon", "optimizer.lr=1")), Marked(REFERRED, sets=("optimizer={ use = 'muon', lr = 1 }",)),
        Marked(REFERRED, {"over.toml": "optimizer.lr = 1\n"}, overlays=("over.toml",)), child("optimizer.lr = 1\n", REFERRED),
        Marked(REFERRED.replace("optimizer =", "«E0204»optimizer ="), unsets=("optimizer.lr",)),
        Marked(REFERRED.replace("run.name", "vars.«W0701»other = 1\nrun.name"), sets=("optimizer.lr=1",)),
    ],
    "`unset` suggests the nearest inherited key": [
        child('unset = [«E0408>sampler.group_size»"sampler.group_sise"]\n'), child('unset = [«E0408>sampler.group_size»"smapler.group_size"]\n'), child('unset = [«E0408>sampler.group_size»"group_size"]\n'),
        child('unset = [«E0408>phases.a.schedule»"phases.a.shedule"]\n'), child('unset = [«E0408>phases[0].schedule»"phases[0].shedule"]\n'), child('unset = [«E0408>optimizer.lr»"optimizer.LR"]\n'),
    ],
    "a byte-order mark stands once, at the start": [
        Marked("\ufeff«E0101»\ufeff" + SHORT), child("", "\ufeff«E0101»\ufeff" + SHORT), overlaid("\ufeff«E0101»\ufeffrun.seed = 1\n"), overlaid("\ufeffrun.seed = 1\n"),
    ],
    "E0401 `extends` missing, cyclic, unreadable": [
        Marked('extends = [«E0401»"nope.toml"]\nspec = 1\n'), Marked('extends = [«E0401»"spec.toml"]\n' + SHORT), Marked('extends = [«E0401»"base.toml"]\nspec = 1\n', {"base.toml": 'extends = [«label»"spec.toml"]\n' + SHORT}),
        Marked('extends = ["base.toml", «E0401»"no.toml"]\nspec = 1\n', {"base.toml": SHORT}), Marked('extends = [«E0401»"."]\n' + SHORT), Marked("extends = [«E0201»5]\n" + SHORT),
    ],
    "Only the composed result is checked (syntax always)": [
        child("", short(("lr = 1e-6", "lr = «E0202»0"))), child("optimizer.lr = 1\n", short(("lr = 1e-6", "lr = «E0106».5"))), child("verifier.«E0203>workers»worker = 3\n"),
        Marked('extends = ["a.toml"]\nspec = 1\nrun.seed = «E0202»-1\n', {"a.toml": 'extends = ["b.toml"]\nsampler.«E0203>top_p»top_pp = 1\n', "b.toml": short(("steps = 3", 'steps = «E0201»"3"'))}),
    ],
    "A component table that brings its own `use` replaces the old one whole": [
        child('«E0204»optimizer = { use = "muon" }\n'), child('[«E0204»optimizer]\nuse = "adamw"\n'), Marked(SHORT, sets=("optimizer.use=muon",), also=(("<--set #1>", "E0204", 1, 1),)),
    ],
    "`[[phases]]` merge by `id` (same id merges, new id appends)": [
        child('[[phases]]\nid = "a"\nprompts_per_step = «E0201»"3"\n'), child('[[«E0204»phases]]\nid = "b"\nprompts_per_step = 3\nobjective = "grpo"\n'), child(ANOTHER.replace("prompts", 'after = «E0604>a»"aa"\nprompts')),
        child(ANOTHER + ANOTHER.replace('"b"', '«E0209»"b"')),
    ],
    "`unset` applies to what is inherited, before the file itself merges": [
        child('unset = [«E0408»"sampler.stop"]\n'), Marked('spec = 1\nunset = [«E0408»"run.seed"]\nrun.seed = 3\n' + SHORT.removeprefix("spec = 1\n")), child('unset = «E0201»"sampler"\n'),
        child('unset = ["optimizer"]\n', short(('"grpo"', '«E0601»"grpo"'))), child('unset = ["optimizer.lr"]\n', short(("optimizer =", "«E0204»optimizer ="))),
    ],
    "`validate` composes every study arm": [
        arm("{ optimizer = { lr = «E0202»0 } }"), arm("{ optimizer = { «E0203>eps»epps = 1 } }"), arm("{ «E0203>optimizer»optimiser = { lr = 1 } }"), arm('«E0401»"nope.toml"'), arm("«E0201»5"),
        arm('"hi.toml"', hi='optimizer.lr = «E0201»"x"\n'), arm('"hi.toml"', hi="optimizer.lr = «E0106».5\n"), arm('"hi.toml"', hi='extends = ["deep.toml"]\n', deep="optimizer.lr = «E0106».5\n"),
        arm('"hi.toml"', hi='extends = [«E0401»"nope.toml"]\n'), Marked(SHORT + '[study]\nseeds = [0]\n[[study.arms.hi.phases]]\nid = "a"\nprompts_per_step = «E0202»0\n'),
        Marked(short(("lr = 1e-6", "lr = «E0202»0")) + "[study]\nseeds = [0]\narms = { lo = {}, hi = { run.seed = 3 } }\n"),
    ],
    "`--set` errors: file `<--set #1>`, line 1, column in the argument": [
        given("optimizer.lr=0", "E0202", 14), given("optimizer.lr=abc", "E0402", 14), given('optimizer.lr="abc"', "E0201", 14), given("optimizer.lrr=1", "E0403", 11), given("optimiser.lr=1", "E0403", 1),
        given("phases.b.prompts_per_step=1", "E0403", 8), given("phases[9].id=x", "E0403", 8), given("phases.a.objective.coefficient=0", "E0202", 32), given("run.seed=017", "E0402", 10), given("run.seed=[1", "E0402", 10),
        given("sampler.use=vlm", "E0301", 13), given("verifier=exact_mach", "E0301", 10), given("reference=of", "E0207", 11), given("run.name=Foo Bar", "E0202", 10), given("vars.lr=1", "E0403", 6), given("data.trian.path=x", "E0403", 6),
        given("phases[0].objective=5", "E0308", 21), given("run.name=", "E0402", 10),
        *(given(f"{path}=3", "E0403", column) for path, column in (("run.seed.deep", 10), ("run.name.x.y", 10), ("optimizer.lr.x", 14), ("optimizer.betas.x", 17), ("optimizer.betas[0]", 11), ("sampler.use.x", 13), ("reference.x", 11), ("data.train.path.x", 17), ("evaluate.every", 10), ("spec.x", 6), ("use", 1), ("run.use", 5))),
        given("run..seed=3", "E0403", 4), given(".run.seed=3", "E0403", 1), given("=3", "E0403", 1), given("\ufeffrun.seed=3", "E0403", 1), given('extends=["a"]', "E0403", 1), given('unset=["run.seed"]', "E0403", 1),
        Marked(short(("run.name", "vars.n = 3\nrun.seed = \"${vars.n}\"\nrun.name")), sets=("vars.n.x=1",), also=(("<--set #1>", "E0403", 1, 8),)),
 Marked(SHORT, sets=("run.seed=3", "optimizer.lr=0"), also=(("<--set #2>", "E0202", 1, 14),)),
        Marked(short(("steps = 3", "steps = «E0202»0")), sets=("optimizer.lr=0",), also=(("<--set #1>", "E0202", 1, 14),)),
    ],
    "settings merge into a string as into `{ use }`, in lists as well": [
        Marked(short(("run.name", 'probes = ["thoughts"]\nrun.name')), sets=("probes[0].every=3",)), Marked(short(("run.name", 'probes = ["thoughts"]\nrun.name')), sets=("probes[0].every=0",), also=(("<--set #1>", "E0202", 1, 17),)),
        Marked(short(("run.name", 'probes = ["thoughts"]\nrun.name')), sets=("probes[0].evry=1",), also=(("<--set #1>", "E0403", 1, 11),)), Marked(short(('"grpo"', '{ use = "weighted_sum", terms = ["grpo", "kl"] }')), sets=("phases.a.objective.terms[1].coefficient=0.1",)),
        Marked(SHORT.replace("[[phases]]", "[[«E0204»«E0204»«E0204»phases]]"), sets=("phases[0]=1", "phases[0].objective=grpo")),
    ],
    "An unknown path is an error": [taken_out("sampler.stop", 9), taken_out("smapler", 1), taken_out("phases.b", 8), Marked(short(("optimizer =", "«E0204»optimizer =")), unsets=("optimizer.lr",))],
    "extends < file < overlays": [overlaid("optimizer.lr = «E0202»0\n"), overlaid("[optimizer]\n«E0203>eps»ep = 1\n"), overlaid("optimizer.lr = «E0106».5\n"), overlaid('unset = [«E0408»"run.seed"]\n')],
}
# fmt: on

CASES = [
    (sentence, case)
    for table in (SYNTAX, NAMES, WIRING, COMPOSITION)
    for sentence, cases in table.items()
    for case in cases
]
