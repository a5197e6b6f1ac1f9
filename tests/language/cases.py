# ruff: noqa: E501
"""Bad specs, each with the sentence of the language that it tests and the exact code and place of every mistake.

The places are marked in the text: «» encloses what the carets of the first code stand under, and so on in file order.
"""

from dataclasses import dataclass, field

BASE = """\
spec = 1

[run]
name = "case"

[model]
use = "hf_causal"
name = "some/model"

[data.train]
use = "jsonl"
path = "rows.jsonl"

[sampler]
use = "transformers"
group_size = 8

[verifier]
use = "math_verify"

[optimizer]
use = "adamw"
lr = 1e-6

[[phases]]
id = "refine"
prompts_per_step = 8
objective = "grpo"

[phases.schedule]
use = "fixed_steps"
steps = 20
"""


@dataclass(frozen=True)
class Case:
    """A marked text and the codes of its marks, in file order; `also` are (code, line, column) without a mark."""

    sentence: str
    codes: tuple[str, ...]
    marked: str
    also: tuple[tuple[str, int, int], ...] = ()
    files: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.marked.replace("«", "").replace("»", "")

    @property
    def places(self) -> list[tuple[str, int, int, int]]:
        """(code, line, column, end column) of every mark."""
        found: list[tuple[str, int, int, int]] = []
        codes = iter(self.codes)
        for number, line in enumerate(self.marked.split("\n"), 1):
            column, opened = 1, 0
            for char in line:
                if char == "«":
                    opened = column
                elif char == "»":
                    found.append((next(codes), number, opened, column))
                else:
                    column += 1
        assert next(codes, None) is None, f"{self.sentence}: more codes than marks"
        return found


def edit(old: str, new: str) -> str:
    assert BASE.count(old) == 1, f"{old!r} stands {BASE.count(old)} times in the base"
    return BASE.replace(old, new)


def top(text: str) -> str:
    return edit("spec = 1\n", f"spec = 1\n{text}\n")


def end(text: str) -> str:
    return BASE + text + "\n"


LR = "lr = 1e-6"
NAME = 'name = "case"'
OBJECTIVE = 'objective = "grpo"'

# fmt: off
SYNTAX = [
    Case("E0101 first offending character: a missing `=`", ("E0101",), edit(LR, "lr «1»e-6")),
    Case("E0101 first offending character: two values", ("E0101",), edit(LR, "lr = 1e-6 «2»")),
    Case("E0101 first offending character: a bare word", ("E0101",), edit(NAME, "name = «case»")),
    Case("E0101 first offending character: True", ("E0101",), top("distributed.activation_checkpointing = «True»")),
    Case("E0101 first offending character: no key", ("E0101",), edit(LR, "lr = 1e-6\n«=» 5")),
    Case("E0101 first offending character: colon for equals", ("E0101",), edit(LR, "lr«:» 1e-6")),
    Case("E0101 first offending character: two equals", ("E0101",), edit(LR, "lr =«=» 1e-6")),
    Case("E0101 first offending character: semicolon", ("E0101",), edit(LR, "lr = 1e-6«;»")),
    Case("E0101 first offending character: a C comment", ("E0101",), edit(LR, "lr = 1e-6 «/»/ low")),
    Case("E0101 first offending character: unknown escape", ("E0101",), edit(NAME, 'name = "«\\c»ase"')),
    Case("E0101 first offending character: an escape for half a character", ("E0101",), edit(NAME, 'name = "«\\u»D800ase"')),
    Case("E0101 first offending character: an escape for no character", ("E0101",), edit(NAME, 'name = "«\\U»00110000ase"')),
    Case("E0101 first offending character: a blank in a header", ("E0101",), edit("[sampler]", "[sam «p»ler]")),
    Case("E0101 first offending character: missing comma in a list", ("E0101",),
         edit("group_size = 8", 'stop = ["a" «"»b"]')),
    Case("E0101 first offending character: comma at the end of an inline table", ("E0101",),
         edit(OBJECTIVE, 'objective = { use = "grpo", «}»')),
    Case("E0102 duplicate key", ("E0102",), edit(LR, "lr = 1e-6\n«lr» = 1e-5")),
    Case("E0102 duplicate key, dotted: the segment at fault", ("E0102",), top("checkpoint.keep = 1\ncheckpoint.«keep» = 2")),
    Case("E0102 duplicate key in an inline table", ("E0102",), edit(OBJECTIVE, 'objective = { use = "grpo", «use» = "grpo" }')),
    Case("E0102 dotted key over a value", ("E0102",), edit(LR, 'lr = 1e-6\n«lr».x = 1')),
    Case("E0103 table defined twice", ("E0103",), end("[«optimizer»]\nweight_decay = 0.1")),
    Case("E0103 keys of the second table fill gaps and are no duplicates", ("E0103",), end('[«optimizer»]\nuse = "adamw"')),
    Case("a header after dotted keys of that table: E0103", ("E0103",), top("checkpoint.every = 5").replace("[sampler]", "[«checkpoint»]\nkeep = 3\n[sampler]")),
    Case("E0104 the opening quote", ("E0104",), edit(NAME, 'name = «"case»')),
    Case("E0104 the opening quote of a literal string", ("E0104",), edit(NAME, "name = «'case»")),
    Case("E0104 the opening bracket", ("E0104",), edit("group_size = 8", 'stop = «[»"a", "b"')),
    Case("E0104 the opening bracket, many lines", ("E0104",), edit("group_size = 8", 'stop = «[»\n  "a",\n  "b",\n')),
    Case("E0104 the opening brace", ("E0104",), edit(OBJECTIVE, 'objective = «{» use = "grpo"')),
    Case("E0104 the bracket of a header", ("E0104",), edit("[sampler]", "«[»sampler")),
    Case("E0104 the brackets of a list header", ("E0104",), edit("[[phases]]", "«[»[phases]")),
    Case("E0105 null written", ("E0105",), edit("group_size = 8", "stop = «null»")),
    Case("E0105 None written", ("E0105",), edit("group_size = 8", "stop = «None»")),
    Case("E0106 malformed number .5", ("E0106",), edit(LR, "lr = «.5»")),
    Case("`017`, `1e`: E0106", ("E0106",), edit("steps = 20", "steps = «017»")),
    Case("`017`, `1e`: E0106 (2)", ("E0106",), edit(LR, "lr = «1e»")),
    Case("E0106 5.", ("E0106",), edit(LR, "lr = «5.»")),
    Case("E0106 1__0", ("E0106",), edit("steps = 20", "steps = «1__0»")),
    Case("several syntax errors in one run", ("E0101", "E0104", "E0106"),
         edit(NAME, "name = «case»").replace('path = "rows.jsonl"', 'path = «"rows.jsonl»').replace(LR, "lr = «.5»")),
    Case("syntax, shape, names, settings together, without cascades", ("E0101", "E0301", "E0203", "E0202"),
         edit(NAME, "name = «case»").replace('"transformers"', '«"transformer"»').replace("lr = 1e-6", 'lr = 1e-6\n«weight_decy» = 1').replace("steps = 20", "steps = «0»")),
    Case("a key that cannot be read does not seem missing as well", ("E0101",), edit(LR, "«=» 1e-6")),
    Case("a value that cannot be read does not seem missing as well", ("E0101",), edit(LR, "lr = «fast»")),
    Case("a header with a bracket too many still opens its table", ("E0101",), edit("[[phases]]", "[phases]«]»")),
    Case("columns count code points", ("E0101",), edit(NAME, 'name = "ünïcödé𝒳" «5»')),
    Case("a key of two words is one mistake", ("E0101",), top("out «p»ut = 1")),
    Case("a key of two words is one mistake: in a component", ("E0101",), edit(LR, "lr = 1e-6\nmax «g»rad norm = 1")),
    Case("a key of two words does not make a required one seem missing", ("E0101",), edit(LR, "learning «r»ate = 1e-6")),
    Case("a key of two words is no duplicate of the right one", ("E0101",), edit(LR, "lr «r»ate = 1e-5\nlr = 1e-6")),
    Case("a misspelt key without its `=` is one mistake", ("E0101",), edit(LR, "lrr «1»e-6")),
]

SHAPE = [
    Case("no \"200\" -> int", ("E0201",), edit("steps = 20", 'steps = «"20"»')),
    Case("no true -> 1", ("E0201",), edit("steps = 20", "steps = «true»")),
    Case("no 8.0 -> int", ("E0201",), edit("prompts_per_step = 8", "prompts_per_step = «8.0»")),
    Case("wrong type: a number for a text", ("E0201",), edit(NAME, "name = «5»")),
    Case("wrong type: a text for a number", ("E0201",), edit(LR, 'lr = «"1e-6"»')),
    Case("`spec = \"1\"`: E0201", ("E0201",), edit("spec = 1", 'spec = «"1"»')),
    Case("spec = true", ("E0201",), edit("spec = 1", "spec = «true»")),
    Case("E0210 language version not understood", ("E0210",), edit("spec = 1", "spec = «2»")),
    Case("run = 5 is no table", ("E0201",), edit('[run]\nname = "case"', "run = «5»")),
    Case("a list where a text belongs", ("E0201",), edit('path = "rows.jsonl"', 'path = «["rows.jsonl"]»')),
    Case("a text where a list belongs", ("E0201",), edit("group_size = 8", 'stop = «"x"»')),
    Case("a text where a list of choices belongs", ("E0201",), end('[[evaluate]]\nuse = "holdout"\ndata = "train"\nat = «"base"»')),
    Case("the wrong item of a list", ("E0201",), edit("group_size = 8", 'stop = ["x", «5»]')),
    Case("Integers are >= 1", ("E0202",), edit("steps = 20", "steps = «0»")),
    Case("lr > 0", ("E0202",), edit(LR, "lr = «0.0»")),
    Case("0 < top_p <= 1", ("E0202",), edit("group_size = 8", "top_p = «1.5»")),
    Case("betas in [0, 1)", ("E0202",), edit(LR, "lr = 1e-6\nbetas = [0.9, «1.0»]")),
    Case("weight_decay >= 0", ("E0202",), edit(LR, "lr = 1e-6\nweight_decay = «-0.1»")),
    Case("nan: E0202", ("E0202",), edit(LR, "lr = «nan»")),
    Case("inf: E0202", ("E0202",), edit(LR, "lr = «inf»")),
    Case("a wrong item does not seem to leave its list empty", ("E0202",), end("[study]\nseeds = [«-1»]\narms.a = {}")),
    Case("an integer in a list is >= 1", ("E0202",), edit('use = "jsonl"\npath = "rows.jsonl"', 'use = "arithmetic_chains"\nsteps = [«0», 3]')),
    Case("seed >= 0", ("E0202",), edit(NAME, 'name = "case"\nseed = «-1»')),
    Case("run.name matches its pattern", ("E0202",), edit(NAME, 'name = «"Case"»')),
    Case("phase id matches its pattern", ("E0202",), edit('id = "refine"', 'id = «"Refine"»')),
    Case("dual_clip is off or > 1", ("E0202",), edit(OBJECTIVE, 'updates_per_batch = 2\nobjective = { use = "grpo", dual_clip = «0.5» }')),
    Case("a mixture has positive weights", ("E0202",), edit(OBJECTIVE, 'data = { train = «0» }\nobjective = "grpo"')),
    Case("a mixture has at least one", ("E0202",), edit(OBJECTIVE, 'data = «{}»\nobjective = "grpo"')),
    Case("lm_eval tasks are required and not empty", ("E0202",), end('[[evaluate]]\nuse = "lm_eval"\ntasks = «[]»')),
    Case("unknown key -> the key", ("E0203",), edit(LR, "lr = 1e-6\n«wieght_decay» = 0.1")),
    Case("unknown table -> the segment of its header", ("E0203",), end("[«distributd»]\nprocesses = 1")),
    Case("[modle] is one error", ("E0203",), edit("[model]", "[«modle»]")),
    Case("a misspelt required key is one error", ("E0203",), edit(LR, "«lrr» = 1e-6")),
    Case("a misspelt optional table does not cascade to wiring", ("E0203",), edit("[sampler]", "[«samplr»]")),
    Case("a misspelt phase table", ("E0203",), edit("[[phases]]", "[[«phase»]]").replace("[phases.schedule]", "[phase.schedule]")),
    Case("`ues` for `use` is one error", ("E0203",), edit('use = "adamw"', '«ues» = "adamw"')),
    Case("unknown segment of a deeper header", ("E0203",), end("[phases.schedule.«extra»]\nx = 1")),
    Case("a dotted key: the segment at fault", ("E0203",), top("run.name = \"case\"\nrun.«sed» = 1").replace('[run]\nname = "case"\n', "")),
    Case("a quoted key: quotes included", ("E0203",), edit(LR, 'lr = 1e-6\n«"l r"» = 1')),
    Case("unknown key of an inline table", ("E0203",), edit(OBJECTIVE, 'objective = { use = "grpo", «clip» = 1 }')),
    Case("unknown key of a phase", ("E0203",), edit(OBJECTIVE, 'objective = "grpo"\n«group_size» = 4')),
    Case("a nested table without `use` where there is no slot: E0203", ("E0203",), end("[optimizer.«inner»]\nx = 1")),
    Case("missing `spec`: 1:1", (), BASE.replace("spec = 1\n", ""), also=(("E0204", 1, 1),)),
    Case("missing `run.name` without [run]: 1:1", (), edit('[run]\nname = "case"\n', ""), also=(("E0204", 1, 1),)),
    Case("missing `run.name` at [run] where it stands", ("E0204",), edit('[run]\nname = "case"', "[«run»]\nseed = 1")),
    Case("missing [model]: 1:1", (), edit('[model]\nuse = "hf_causal"\nname = "some/model"\n', ""), also=(("E0204", 1, 1),)),
    Case("missing phases and evaluate: 1:1", (), BASE[: BASE.index("[[phases]]")], also=(("E0204", 1, 1),)),
    Case("missing key of a component -> the header of its table", ("E0204",), edit('[optimizer]\nuse = "adamw"\nlr = 1e-6', '[«optimizer»]\nuse = "adamw"')),
    Case("missing key of an inline component -> the key that names it", ("E0204",), edit('[optimizer]\nuse = "adamw"\nlr = 1e-6\n', "").replace("spec = 1\n", 'spec = 1\n«optimizer» = { use = "adamw" }\n')),
    Case("missing key of a component named by a text", ("E0204",), edit('[optimizer]\nuse = "adamw"\nlr = 1e-6\n', "").replace("spec = 1\n", 'spec = 1\n«optimizer» = "adamw"\n')),
    Case("missing key of a dotted component", ("E0204",), edit('[optimizer]\nuse = "adamw"\nlr = 1e-6\n', "").replace("spec = 1\n", 'spec = 1\n«optimizer».use = "adamw"\n')),
    Case("a missing id of a phase: at its header", ("E0204",), edit('[[phases]]\nid = "refine"', "[[«phases»]]")),
    Case("a missing objective of a phase: at its header", ("E0204",), edit('[[phases]]', "[[«phases»]]").replace(OBJECTIVE + "\n", "")),
    Case("a missing schedule of a phase: at its header", ("E0204",), edit("[[phases]]", "[[«phases»]]").replace('[phases.schedule]\nuse = "fixed_steps"\nsteps = 20\n', "")),
    Case("missing prompts_per_step where it samples: at the phase's header", ("E0204",), edit("[[phases]]", "[[«phases»]]").replace("prompts_per_step = 8\n", "")),
    Case("not one of the choices", ("E0207",), edit(LR, 'lr = 1e-6\nlr_schedule = «"linaer"»')),
    Case("not one of the choices, in a table of the core", ("E0207",), edit(NAME, NAME + '\nstreams = «"phases"»')),
    Case("not one of the choices, in a list", ("E0207",), end('[[evaluate]]\nuse = "holdout"\ndata = "train"\nat = ["base", «"phase"»]')),
    Case("a bare name that was ours: E0205 at the string", ("E0205", "E0205"), end('[[evaluate]]\nuse = "lm_eval"\ninclude = ["tasks"]\ntasks = ["gsm8k_boxed", «"aime24"», «"math500"»]')),
    Case("protocol is a closed choice", ("E0207",), end('[[evaluate]]\nuse = "lm_eval"\ntasks = ["aime24_boxed"]\nprotocol = «"open_r1"»')),
    Case("k: list of integers <= samples", ("E0701",), end('[[evaluate]]\nuse = "lm_eval"\ntasks = ["aime24_boxed"]\nsamples = 4\nk = «[1, 8]»')),
    Case("`reference` is a closed choice (E0207 else)", ("E0207",), top('reference = «"intial"»')),
    Case("off is the literal \"off\"", ("E0207",), end('[[evaluate]]\nuse = "holdout"\ndata = "train"\nevery = «"of"»')),
    Case("the extract of a data set", ("E0207",), edit('path = "rows.jsonl"', 'path = "rows.jsonl"\nextract = «"whle"»')),
    Case("E0208 a table where a list of tables belongs", ("E0208",), edit("[[phases]]", "[«phases»]")),
    Case("E0208 a list of tables where a table belongs", ("E0208",), edit("[run]", "[[«run»]]")),
    Case("E0208 a list of tables where a component belongs", ("E0208",), edit("[model]", "[[«model»]]")),
    Case("`evaluate = \"lm_eval\"`: E0208", ("E0208",), top('evaluate = «"lm_eval"»')),
    Case("[evaluate] is E0208 at its segment", ("E0208",), end('[«evaluate»]\nuse = "holdout"\ndata = "train"')),
    Case("[phases] beside [[phases]]: E0208 at the second", ("E0208",), end("[«phases»]\nx = 1")),
    Case("[[phases.objective]] is E0208 at the segment", ("E0208",), edit(OBJECTIVE, '[[phases.«objective»]]\nuse = "grpo"')),
    Case("right key of the wrong table", ("E0203",), edit("group_size = 8", "group_size = 8\n«lr» = 1e-6")),
    Case("a key of a table at the top level", ("E0203",), top("«seed» = 4")),
    Case("`reference` takes no component: E0207", ("E0207",), end('[«reference»]\nuse = "x"')),
    Case("nan and inf are refused in tables that are handed on, too", ("E0202", "E0202"), edit('use = "transformers"', 'use = "vllm"\nengine = { a = «nan», b = [1.0, «inf»] }')),
    Case("a list of tables where a handed-on table belongs", ("E0208",), edit('use = "transformers"\ngroup_size = 8', 'use = "vllm"\n[[sampler.«engine»]]\nx = 1')),
    Case("terms is a list of components", ("E0208",), edit(OBJECTIVE, 'objective = { use = "weighted_sum", terms = «"grpo"» }')),
    Case("a component in a list without `use`", ("E0308",), edit(OBJECTIVE, 'objective = { use = "weighted_sum", «terms» = ["grpo", { coefficient = 0.5 }] }')),
    Case("E0209 duplicate phase id", ("E0209",), end('[[phases]]\nid = «"refine"»\nprompts_per_step = 8\nobjective = "grpo"\nschedule = { use = "fixed_steps", steps = 1 }')),
]

NAMES = [
    Case("E0301 unknown component", ("E0301",), edit(OBJECTIVE, 'objective = «"marginal_nrs"»')),
    Case("E0301 in a table: the use value", ("E0301",), edit('use = "transformers"', 'use = «"transformer"»')),
    Case("The settings of an unknown component are not checked", ("E0301",), edit('use = "adamw"\nlr = 1e-6', 'use = «"adamv"»\nlrr = "x"')),
    Case("a word that matches once folded is E0301", ("E0301",), edit(OBJECTIVE, 'objective = «"GRPO"»')),
    Case("a word that matches once folded is E0301 (2)", ("E0301",), edit(OBJECTIVE, 'objective = «"marginal-nsr"»')),
    Case("a word that matches once folded is E0301 (3)", ("E0301",), edit(OBJECTIVE, 'objective = «"Marginal NSR"»')),
    Case("an unknown namespace", ("E0301",), edit(OBJECTIVE, 'objective = «"acme.fancy"»')),
    Case("E0302 a wrong `from`", ("E0302",), edit('use = "adamw"', 'use = "adamw"\nfrom = «"acme"»')),
    Case("E0303 component of another kind", ("E0303",), edit(OBJECTIVE, 'objective = «"vllm"»')),
    Case("The settings of a wrong-kind component are not checked", ("E0303",), edit(OBJECTIVE, 'objective = { use = «"vllm"», enginee = 1 }')),
    Case("E0307 behaviour version not available", ("E0307",), edit(OBJECTIVE, 'objective = «"grpo@7"»')),
    Case("no `use`", ("E0308",), edit('[optimizer]\nuse = "adamw"', "[«optimizer»]")),
    Case("`use = 5`: E0308", ("E0308",), edit('use = "adamw"', "use = «5»")),
    Case("`objective = 5`: E0308", ("E0308",), edit(OBJECTIVE, "objective = «5»")),
    Case("`objective` a list: E0308", ("E0308",), edit(OBJECTIVE, 'objective = «["grpo"]»')),
    Case("a reference in use: E0308", ("E0308",), edit(OBJECTIVE, 'objective = «"${vars.o}"»')),
    Case("two dots or more are an import path", ("E0308",), edit(OBJECTIVE, 'objective = «"prerl.objectives.grpo"»')),
    Case("an import path with a colon", ("E0308",), edit(OBJECTIVE, 'objective = «"pkg.mod:Class"»')),
    Case("not a name", ("E0308",), edit(OBJECTIVE, 'objective = «"gr/po"»')),
    Case("not a name: empty", ("E0308",), edit(OBJECTIVE, 'objective = «""»')),
    Case("`@0`: E0308 (versions start at 1)", ("E0308",), edit(OBJECTIVE, 'objective = «"grpo@0"»')),
    Case("bad `@`", ("E0308",), edit(OBJECTIVE, 'objective = «"grpo@new"»')),
    Case("E0309 a component where there is no slot", ("E0309",), end('[optimizer.«adapter»]\nuse = "lora"')),
    Case("E0309 inline", ("E0309",), edit(LR, 'lr = 1e-6\n«adapter» = { use = "lora" }')),
    Case("a nested component of the wrong kind", ("E0303",), edit('name = "some/model"', 'name = "some/model"\nadapter = «"adamw"»')),
    Case("a nested component's settings", ("E0202",), edit('name = "some/model"', 'name = "some/model"\nadapter = { use = "lora", rank = «0» }')),
    Case("terms hold objectives", ("E0301",), edit(OBJECTIVE, 'objective = { use = "weighted_sum", terms = ["grpo", «"kll"»] }')),
]

WIRING = [
    Case("missing sampler: E0601 at the phase's objective", ("E0601",), edit('[sampler]\nuse = "transformers"\ngroup_size = 8\n', "").replace('objective = "grpo"', 'objective = «"grpo"»')),
    Case("missing optimizer: E0601 at the phase's objective", ("E0601",), edit('[optimizer]\nuse = "adamw"\nlr = 1e-6\n', "").replace('objective = "grpo"', 'objective = «"grpo"»')),
    Case("missing verifier: E0601 at the objective that requires a reward", ("E0601",), edit('[verifier]\nuse = "math_verify"\n', "").replace('objective = "grpo"', 'objective = «"grpo"»')),
    Case("missing (unwritten) data set: E0601", ("E0601",), edit('[data.train]\nuse = "jsonl"\npath = "rows.jsonl"\n', "").replace('objective = "grpo"', 'objective = «"grpo"»')),
    Case("a *written* data name that isn't there: E0604 at it", ("E0604",), edit(OBJECTIVE, 'data = «"trian"»\nobjective = "grpo"')),
    Case("unknown phase (`after`)", ("E0604",), edit(OBJECTIVE, 'after = «"prune"»\nobjective = "grpo"')),
    Case("group size 1 with a group baseline: E0701", ("E0701",), edit("group_size = 8", "group_size = 1").replace('"grpo"', '«"grpo"»')),
    Case("a term that compares with a reference that is off: E0701 at the term", ("E0701",), top('reference = "off"').replace('"grpo"', '{ use = "weighted_sum", terms = ["grpo", «"kl"»] }')),
    Case("temperature 0 in a trained phase: E0701", ("E0701",), edit("group_size = 8", "temperature = «0»")),
    Case("prompts_per_step must be a multiple of updates_per_batch: E0701 at the key", ("E0701",), edit("prompts_per_step = 8", "«prompts_per_step» = 8\nupdates_per_batch = 3")),
]

COMPOSE = [
    Case("E0401 extends missing", ("E0401",), top('extends = [«"./nowhere.toml"»]')),
    Case("`extends` is an array", ("E0201",), top('extends = «"./base.toml"»')),
    Case("E0405 reference undefined", ("E0405",), edit(LR, 'lr = «"${vars.lr}"»')),
    Case("E0405 reference undefined, in a variable that nothing uses", ("W0701", "E0405"), top('vars.«rate» = «"${vars.b}"»')),
    Case("E0405 reference undefined, twice", ("E0405", "E0405"), top('vars.a = «"${vars.b}"»').replace(LR, 'lr = "${vars.a}"').replace(NAME, 'name = «"${vars.c}"»')),
    Case("a reference into a table that cannot be read is no second mistake", ("E0106",), top("vars = «.5»").replace(LR, 'lr = "${vars.a}"')),
    Case("a reference into a table of the wrong type is no second mistake", ("E0201",), top("vars = «5»").replace(LR, 'lr = "${vars.a}"')),
    Case("a reference to what a misspelt key was meant to be is no second mistake", ("E0203",), top('«vrs».lr = 1.0').replace(LR, 'lr = "${vars.lr}"')),
    Case("a reference to a key that cannot be read is no second mistake", ("E0101",), end('[vars]\n«=» 1.0').replace(LR, 'lr = "${vars.lr}"')),
    Case("malformed reference: E0405", ("E0405",), edit(LR, 'lr = «"${vars.lr"»')),
    Case("no expressions", ("E0405",), top("vars.lr = 1").replace(LR, 'lr = «"${vars.lr * 2}"»')),
    Case("E0406 environment variable not set", ("E0406",), edit(NAME, 'name = «"${env:PRERL_SPEC_NOT_SET}"»')),
    Case("E0407 secret where none is allowed", ("E0407",), edit(NAME, 'name = «"${secret:TOKEN}"»')),
    Case("E0408 unset names nothing inherited", ("E0408",), top('unset = [«"sampler.stop"»]')),
    Case("cyclic references", ("E0405", "E0405")[:1], top('vars.a = «"${vars.b}"»\nvars.b = "${vars.a}"').replace(NAME, 'name = "${vars.a}"')),
    Case("E0502 requires version not met: the value", ("E0502",), top('requires.prerl-spec = «">=99"»')),
    Case("E0503 requires distribution not installed: the key", ("E0503",), top('requires.«no-such-distribution» = ">=1"')),
    Case("Bad version specifier: E0202", ("E0202",), top('requires.prerl-spec = «"new"»')),
    Case("E0304 plugin files without --local-code", ("E0304",), top('plugins.files = [«"mine.py"»]')),
    Case("W0406 looks like a secret", ("W0406",), edit('name = "some/model"', 'name = «"hf_abcdefghijklmnopqrstuvwxyz"»')),
    Case("study: what is required", (), end("[«study»]\nmatch = \"steps\"").replace("«study»", "study"), also=(("E0204", 33, 2), ("E0204", 33, 2))),
    Case("study: budget and prior_sd > 0", ("E0202", "E0202"), end("[study]\nseeds = [0]\narms.a = {}\nbudget = «0»\nprior_sd = «-0.1»")),
    Case("study: budget is a number", ("E0201",), end('[study]\nseeds = [0]\narms.a = {}\nbudget = «"1e6"»')),
    Case("study: match is one of four", ("E0207",), end('[study]\nseeds = [0]\narms.a = {}\nmatch = «"updates"»')),
    Case("study: primary is a task and a metric", ("E0202",), end('[study]\nseeds = [0]\narms.a = {}\nprimary = «"avg@4"»')),
    Case("study: seeds are integers of 64 bits", ("E0202",), end('[study]\nseeds = [0, «9223372036854775808»]\narms.a = {}')),
    Case("study: an arm has no study of its own", ("E0203",), end('[study]\nseeds = [0, 1]\narms.a = {}\narms.b.«study».budget = 3')),
    Case("a value that came through a reference -> where it is used", ("E0202",), top("vars.lr = -1.0").replace(LR, 'lr = «"${vars.lr}"»')),
    Case("Declared but unused vars: W0701", ("W0701",), top("vars.«lr» = 1.0")),
]
# fmt: on

CASES = [*SYNTAX, *SHAPE, *NAMES, *WIRING, *COMPOSE]
