"""The words of docs/evidence.md between its tables; `write_evidence.py` checks what they say of the studies."""

HEAD = """# Evidence: does optimising log P(y) help before GRPO?

DSRL ([arXiv 2604.14142](https://arxiv.org/abs/2604.14142)) first lowers `log P(y)` of wrong responses, without their
question, and then goes on with GRPO. Is such a warm-up worth its steps? Asked here of a small transformer ({parameters:,}
parameters) that was pre-trained on chains of arithmetic with a systematic mistake. Arms, seeds, margin and rule were
written down before any cell ran ([log.md](log.md), "pre-registered"); how the rule reads equal updates and seconds was not
([below](#the-rule)). Of models of billions of parameters nothing is said.

## The answer

It was not found to help. Difference of pass@1 (avg@16) on easy chains in points (1 point = .01) at equal generated tokens,
with 95 % t intervals over seeds:
"""

ANSWER = """
- **dsrl against grpo.** Below it in all three studies, at every amount (generated tokens, updates, seconds) that is known.
  The pre-registered run is *undecided* for one pair of twenty, at equal seconds (its two cores were shared with other work):
  the scores between which the difference would be read lie {gap:.2f} % of the amount apart, where 25 % may be, and it counts as
  known only where it is in every pair. Neither the 25 % nor "every pair" stands in the pre-registered text: both are how
  `compare` reads it ([below](#the-rule)). Exploratory: the difference at equal seconds is {dsrl_known:+.1f} points over the
  other {known_pairs} pairs, {dsrl_all:+.1f} over all when that one is read too; with either the rule would say *{said}*.
  With that pair the difference is smaller: a pair is left out for its seconds, not by chance.
- **The repeat** was decided on for that reason, but after the scores of the first run were known, and no rule for reading
  two runs together had been written down. Its *hurts by more than the margin* is the verdict of the same rule on a second
  sample (another machine: the last digits differ from pre-training on), not the pre-registered verdict.
- **The second base** is *undecided* by itself: five seeds, and an interval that reaches over 0. Its sign is that of the
  first base, which is what the rule asks of a claim in the README; the README says what each study found.
- **dsrl against null**, the same steps thrown away: the two runs do not agree in their verdict, nor the bases in sign.
  Nothing is claimed. From the first base most of what dsrl lacks is what null lacks: the steps that the warm-up takes from
  GRPO.
- **centred against grpo** is not claimed either: the first run does not know equal seconds in one pair (exploratory:
  {centred_known:+.1f} over the others, {centred_all:+.1f} over all, so that the sign turns), and from the second base it
  turns at equal seconds too.

![The held-out score of each arm over generated tokens, a panel a study](figures/evidence.svg)

Held-out curve (64 questions × 2, every 6 steps), mean over seeds with its 95 % interval: exploratory. A curve ends at the
last step at which all seeds of the arm were scored. The scores of the table are another, larger set's.
"""

BEFORE_WARM_UP = """## What was run

| arm | |
| --- | --- |
| **grpo** | 60 steps of GRPO, 16 prompts × 8 responses each, lr 2e-4 |
| **dsrl** | 12 steps of raw NSR-PreRL on log P(y), lr 1e-4, then GRPO |
| **null** | 12 steps that sample and take no update, then GRPO: the same steps thrown away |
| **centred** | 12 steps of NSR-PreRL whose weights sum to zero in each group, lr 1e-4, then GRPO |

- All arms of a study begin from one base, pre-trained once. All arms of a seed meet the same prompts and sample streams at
  the same step of a phase: the steps of null are those of grpo, to the last bit, in every seed of every study, and the
  first samples of the three warm-ups are the same.
- Each ends at the first step that reaches the generated tokens which grpo took with that seed, and is scored there.
- Specs: [base.toml](../specs/paper/base.toml) and [core-question.toml](../specs/paper/core-question.toml); the second base
  with `--set run.seed=1 --set run.name=chains-base-1`, its study with `--set run.name=core-question-1`, `--set
  start.from=chains-base-1@pretrain` and `--set 'study.seeds=[0, 1, 2, 3, 4]'`.

## The rule

- The unit is the seed; differences are paired. p after Holm in each family: dsrl, null and centred against grpo; dsrl and
  centred against null.
- **helps**, **hurts**: p after Holm is below 5 %, and the sign is the same at equal generated tokens, updates and seconds.
  **by more than the margin**: the whole interval lies beyond ± 2 points. **no relevant difference**: it lies within ± 2.
  Else **undecided**. A claim in the README needs the same sign from both bases.
- **Not pre-registered: how equal updates and seconds are read.** The text asks for the same sign there and says no more, and
  calls the held-out curve exploratory. Here they are read as [`compare`](compare.md) reads them. Ends within 2 % or one step
  of each other are compared as they are. Else the run that went further is read from its held-out curve at the other's end,
  between two scores at most a quarter of that amount apart. A difference is known where it is in every pair, and where it is
  not known nothing is claimed. A wider bound, or the mean over the pairs that are known, can give another verdict;
  the tables give both means.
- When that was fixed (2026-11-30, UTC; text at 23:12, first cell at 23:42): the quarter, "every pair" and "not known, not
  claimed" were in code at 22:36 (86ae189d, on a branch that the text's commit does not contain), the quarter in compare.md at
  22:59 (150ad493); `--curve`, by which another task's curve serves the primary, came at 23:32 (e63dd4bb), after the text and
  before the first cell. That it is `curve/avg@2` here, the only curve of the spec, was first written down in this page's
  script, while the first run ran (9855fbb2, 2026-12-01, 00:14).
- At equal updates dsrl is set against null at 48 updates: 12 of NSR-PreRL and 36 of GRPO against 48 of GRPO. What is asked
  at equal tokens is whether the warm-up is better than nothing, at equal updates whether it is as good as GRPO.

## Why it may be so

The held-out score after the first 12 steps: that of the base (null has taken no update), and what 12 steps of each other
arm have added, in points; the norm of their gradients. Exploratory.
"""

AFTER_WARM_UP = """
From the first base raw NSR-PreRL has the longest gradient and adds least. Single responses do push log P(y) and log P(y|x)
in like directions (cosine .57: [log.md](log.md), "gradients of log P(y) and of log P(y|x)"). But y is drawn from π(y|x),
not from π(y), so that the mean of ∇log π(y) over responses is not zero; weights of one sign leave that part in, whichever
responses were right, and weights that sum to zero in a group take it out: the centred gradient is about a fifth as long,
and adds more there. From the second base, with five seeds, the two cannot be told apart. Neither adds in these steps what
GRPO adds, at twice the learning rate, and part of that is still missing at the end. This is a reading of the table, not a
test of it.

## What this does not say

- One task, one size of model, two bases. The task has no transition thoughts (0 a response), so that their growth, which
  the paper reports, cannot be seen here. Reflections at the end of dsrl are above those of null from the first base, and
  below from the second.
- Settings are the quickstart's but for the numbers of steps, and were tuned for no arm: S is 20 % of the steps (paper: 19
  of 348 updates), the warm-up's learning rate half of GRPO's, its coefficient 1 (paper: .01).
- At 60 steps all arms still climb. Where they level off is not known.
- Seeds are runs from one base. Two bases, one of them with five seeds, say little about other bases.
- Differences at equal seconds have no interval; they are read on another set of questions, and a machine's load is in them.
"""

ORIGIN = """
- The rule's text was written down in commit 2f29bcd8 (2026-11-30, 23:12 UTC), the specs in 7c0e9564 (23:22); the first cell
  began at 23:42. Between them, in a3c2951c (23:39), the exploratory curve was set from every 12 to every 6 steps, in spec and
  text. The specs are unchanged since: the archives hold the same bytes, and every plan in them is what they compile to
  (`tests/test_evidence.py`).
- While the first run ran, at 22 of 80 cells, a trial of `compare` on a copy printed partial differences from null. Nothing
  was changed for it.
- Every cell of every study was finished at the first try, and all stand here.
- The page follows from the archives alone: events, scores, results of single questions, plans and manifests of all cells,
  as the runs wrote them. `tar -xJf docs/evidence/NAME.tar.xz` and `prerl-spec compare NAME` give any other view;
  `prerl-spec fsck` finds all of it whole, and names what is not kept. Not kept: checkpoints, journals (prompts and tokens:
  their hashes stand in the events), and the runs of the bases, of which the hash of what was handed on is kept. Machines
  differ in the last digits: a study of one's own will not repeat the figures, only what they say.
"""

TIMES = """
The last column: seconds of a cell's mean step, slowest cell over quickest. The first run and the second base had two cells
at a time on two shared cores, the repeat one at a time, on a core that was nearly always its own. The bases' 650 steps of
pre-training took 97, 86 and 91 s, in this order ([log.md](log.md)). A cell's {files} files of single questions, one a task
and place, take {questions:.0f} kB beside {events:.0f} kB of events; a file of 128 questions, 23 kB, is written in 2 ms of
CPU, 6 ms with the disk ([log.md](log.md)).
"""
