"""Faults that somebody could make tomorrow, each with the tests that must see it.

A row is an exact text of a file, what takes its place, what that breaks, and the tests (files, or single tests) every one
of which fails then. Whoever moves or rewrites such a line carries its row along: a text that is not there exactly once
fails the default suite.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """`Mutant("u01", "prerl_spec/…/updating.py", old, new, "every gradient is scaled up", ("tests/…/test_updating.py",))`."""

    name: str
    file: str
    old: str
    new: str
    breaks: str
    seen_by: tuple[str, ...]


PHASE = "prerl_spec/engine/training/trainer.py"
OBSERVING = "prerl_spec/engine/training/gradient_free_logprobs.py"
UPDATING = "prerl_spec/engine/training/updater.py"
PACKING = "prerl_spec/engine/policy/packing.py"
POLICY = "prerl_spec/engine/policy/policy.py"
SCORING = "prerl_spec/engine/policy/forward.py"
LOGPROBS = "prerl_spec/engine/policy/logprobs.py"
SOURCE = "prerl_spec/engine/batches/source.py"
JUDGED = "prerl_spec/engine/batches/judged_groups.py"
FAULTS = "prerl_spec/engine/author_faults.py"
SLOTS = "prerl_spec/engine/training/slots.py"
CURSOR = "prerl_spec/engine/batches/cursor.py"
JOURNAL = "prerl_spec/engine/batches/journal.py"
DISK = "prerl_spec/storage/disk.py"
FRAMES = "prerl_spec/storage/frames.py"
CHAINED = "prerl_spec/storage/chained_lines.py"
SEALED = "prerl_spec/storage/sealed.py"
ENTRIES = "prerl_spec/storage/journal_frames.py"
EVENTS = "prerl_spec/engine/record/events.py"
CHECKPOINT = "prerl_spec/engine/record/checkpoint.py"
VERIFICATION = "prerl_spec/engine/batches/verifier_pool.py"
NEEDS = "prerl_spec/compiler/objective_needs.py"
PORTS = "prerl_spec/compiler/rules/port_rules.py"
DIGEST = "prerl_spec/compiler/planning/digest.py"
HEARTBEAT = "prerl_spec/engine/processes/heartbeat.py"
ROUNDS = "prerl_spec/engine/run/kept_rounds.py"
STAGES = "prerl_spec/engine/run/stages.py"
STOPPING = "prerl_spec/process/stop_signals.py"
RUN_FOLDER = "prerl_spec/compiler/past_runs/run_folder.py"
SETTINGS = "prerl_spec/registry/settings.py"
SHELF = "prerl_spec/registry/entry_points.py"
COMPLETE = ("tests/registry/test_complete_components.py",)
TYPES = "prerl_spec/types.py"
PASSK = "prerl_spec/statistics/pass_at_k.py"
INTERVALS = "prerl_spec/statistics/intervals.py"
COMPONENTS = "components/prerl_components"
OBJECTIVES = f"{COMPONENTS}/objectives"
SAMPLERS = "components/prerl_components/samplers"
SCHEDULES = "components/prerl_components/schedules"
FILTERS = "components/prerl_components/filters"
REWARDS = "components/prerl_components/rewards"
OPTIMIZERS = "components/prerl_components/optimizers"

REFERENCE = ("tests/engine/test_outside_reference.py",)
ROLLOUTS = ("tests/engine/test_rollouts.py",)
TRAINER = ("tests/engine/test_trainer.py",)
UPDATES = ("tests/engine/test_updating.py",)
ROWS = ("tests/engine/test_packing.py",)
TILES = ("tests/engine/test_logprobs.py",)
KEPT = ("tests/engine/test_checkpoint.py",)
NOTED = ("tests/engine/test_journal.py",)
STORED = ("tests/storage/test_disk.py",)
FRAMED = ("tests/storage/test_frames.py",)
CHECKED = ("tests/storage/test_checked_json.py",)
INTEGRITY = ("tests/engine/test_integrity.py",)
ORDER = ("tests/engine/test_cursor.py",)
CREDIT = ("tests/components/test_objectives_credit.py",)
TERMS = ("tests/components/test_objectives_terms.py",)
EMBEDDED = ("tests/components/test_samplers_embedded.py",)
DRAW = ("tests/components/test_samplers_draw.py",)
ENDS = ("tests/components/test_schedules_end.py",)
GROUPS = ("tests/components/test_filters_mixed_groups.py",)
WITHIN_BOUNDS = ("tests/components/test_filters_bounds.py",)
ADDED = ("tests/components/test_rewards_terms.py",)
PARTS = ("tests/engine/test_reward_parts.py",)
BLAMED = ("tests/engine/test_author_faults.py",)
BLAMED_PARTS = ("tests/engine/test_faults_of_parts.py",)
REWARDED = ("tests/compiler/test_rewards.py",)
STEPS = ("tests/components/test_optimizers_steps.py",)
WIRE = ("tests/compiler/test_wire.py",)
MEANING = ("tests/compiler/test_digest.py",)
MESSAGES = ("tests/registry/test_settings.py",)
METADATA = ("tests/registry/test_entry_points.py",)
AT_K = ("tests/evaluation/test_passk.py",)
BOUNDS = ("tests/evaluation/test_intervals.py",)

MUTANTS = (
    # --- the trainer: old log-probabilities, temperature, what is reported -------------------------------------------
    Mutant(
        "p05b",
        PHASE,
        "                known = vectors.read(needs.terms, minibatch.samples)\n",
        "                vectors._vectors.clear()\n"
        "                vectors.compute(samples_to_score(needs.terms, minibatches))\n"
        "                known = vectors.read(needs.terms, minibatch.samples)\n",
        "old log-probabilities are taken again before each update: the ratio is 1 for ever and no clip acts",
        REFERENCE,
    ),
    Mutant(
        "p06",
        PHASE,
        'needs.policy, temperature=minibatch.step.temperature, of="policy")',
        'needs.policy, temperature=1.0, of="policy")',
        "the policy is scored at temperature 1, whatever drew the batch",
        REFERENCE,
    ),
    Mutant(
        "p07",
        "prerl_spec/engine/policy/batch_logprobs.py",
        "policy.logprobs(one, needs, temperature=batch.temperature, of=of, scoring=scoring)",
        "policy.logprobs(one, needs, temperature=1.0, of=of, scoring=scoring)",
        "old and reference log-probabilities are those of temperature 1",
        REFERENCE,
    ),
    Mutant(
        "p12",
        PHASE,
        "loss_of_share[share] += loss.detach().double()",
        "loss_of_share[share] = loss.detach().double()",
        "the reported loss is that of the last pass",
        REFERENCE,
    ),
    Mutant(
        "p04",
        PHASE,
        "loss=sum(losses) / max(1, len(losses)),",
        "loss=sum(losses),",
        "the reported loss is the sum over updates",
        REFERENCE,
    ),
    Mutant(
        "p10",
        PHASE,
        "if not np.isfinite(loss_value):",
        "if False:",
        "an infinite loss with a finite gradient is applied",
        TRAINER,
    ),
    Mutant(
        "p20",
        PHASE,
        "if minibatch.weighted_N.any():",
        "if True:",
        "an update without any weight is taken, and decays weights",
        REFERENCE,
    ),
    Mutant(
        "p21",
        PHASE,
        "trained_tokens=sum(m.num_weighted_tokens for m in minibatches),",
        "trained_tokens=batch.tokens.num_tokens,",
        "every token is reported as trained",
        REFERENCE,
    ),
    Mutant(
        "p22",
        "prerl_spec/engine/training/minibatch.py",
        "np.unique(self.step.group_S[self.step.tokens.sample_N[self.weighted_N]])",
        "np.unique(self.step.tokens.sample_N[self.weighted_N])",
        "samples are reported as groups",
        REFERENCE,
    ),
    Mutant(
        "p23",
        "prerl_spec/engine/training/pass_loss.py",
        "* terms[weighted]).sum()",
        "* terms[weighted]).mean()",
        "a pass is averaged: what shares a pass changes the gradient",
        REFERENCE,
    ),
    Mutant(
        "p24",
        OBSERVING,
        'if of != "reference":',
        "if True:",
        "the policy stands in for its reference: the penalty is 0",
        REFERENCE,
    ),
    Mutant(
        "p25",
        NEEDS,
        "(updates_per_batch > 1 or old._replace",
        "(False or old._replace",
        "with several updates a batch nobody asks for old log-probabilities of the own view",
        REFERENCE,
    ),
    # --- the update ----------------------------------------------------------------------------------------------------
    Mutant(
        "u01",
        UPDATING,
        "scale = torch.clamp(self.max_grad_norm / (norm + 1e-6), max=1.0)",
        "scale = self.max_grad_norm / (norm + 1e-6)",
        "every gradient is scaled to max_grad_norm, small ones up",
        UPDATES,
    ),
    Mutant(
        "u10",
        UPDATING,
        "            optimizer.step()\n        self.forget_gradients()\n",
        "            optimizer.step()\n",
        "an update's gradient is still there in the next",
        UPDATES,
    ),
    Mutant(
        "u11",
        UPDATING,
        'group["lr"] = lr * factor',
        'group["lr"] = lr',
        "the learning rate never leaves its start",
        UPDATES,
    ),
    Mutant(
        "u12",
        UPDATING,
        "if not torch.isfinite(norm):",
        "if False:",
        "a gradient of NaN is applied",
        ("tests/engine/test_views.py::test_a_gradient_that_is_not_finite_is_never_applied",),
    ),
    # --- forwards: rows, tiles, dropout --------------------------------------------------------------------------------
    Mutant(
        "q05",
        PACKING,
        "targets.append(tokens[i][places])",
        "targets.append(tokens[i][: len(places)])",
        "of an attempt with an environment's tokens the first ones are scored",
        (*ROWS, *REFERENCE),
    ),
    Mutant(
        "q04",
        PACKING,
        "rows[view] = build_rows([of_sample[samples[i]] for i in chosen], [starts[i] for i in chosen])",
        "rows[view] = build_rows([of_sample[samples[i]] for i in chosen], [starts[k] for k in range(len(chosen))])",
        "a view that holds some of a pass's samples writes to the places of others",
        (*ROWS, *REFERENCE),
    ),
    Mutant(
        "q10",
        PACKING,
        "position_BT[number, offset:end] = np.arange(lengths[i])",
        "position_BT[number, offset:end] = np.arange(offset, end)",
        "samples that share a row see each other",
        ROWS,
    ),
    Mutant(
        "q11",
        PACKING,
        "at.append(places + (number * width + offset + len(layouts[i].context) - 1))",
        "at.append(places + (number * width + offset + len(layouts[i].context)))",
        "a token is predicted from itself",
        ROWS,
    ),
    Mutant(
        "r04",
        POLICY,
        "found[need] = cast(Tensor, entropy_n) if need.entropy else logp_n",
        "found[need] = logp_n",
        "who asks for entropies gets log-probabilities",
        REFERENCE,
    ),
    Mutant(
        "r02", POLICY, "self.module.eval()", "self.module.train()", "dropout is on while responses are scored", TRAINER
    ),
    Mutant(
        "r10",
        SCORING,
        '"attention_mask": None',
        '"attention_mask": torch.ones_like(id_BT)',
        "a mask of ones switches off what keeps samples of a row apart",
        ROWS,
    ),
    Mutant(
        "l04",
        LOGPROBS,
        "recompute = torch.is_grad_enabled() and target_n.shape[0] > tile",
        "recompute = False",
        "the logits of all tiles stay in memory",
        TILES,
    ),
    Mutant(
        "l10", LOGPROBS, "logits = logits / temperature", "logits = logits * temperature", "temperature sharpens", TILES
    ),
    Mutant(
        "l11",
        LOGPROBS,
        "normaliser - (probability * logits).sum(-1)",
        "normaliser + (probability * logits).sum(-1)",
        "an entropy is no entropy",
        TILES,
    ),
    # --- batches: seeds, EOS, verdicts, rows -----------------------------------------------------------------------------
    Mutant(
        "n05",
        SOURCE,
        "(Segment(tokens, logps=generation.logps, entropies=generation.entropies),)",
        "(Segment(spoken, logps=generation.logps[: len(spoken)], entropies=generation.entropies),)",
        "the sampled EOS is cut off: a model never learns to stop",
        ROLLOUTS,
    ),
    Mutant(
        "n01",
        SOURCE,
        "named_seed(self.seed, self.phase.id, global_step, refill, slots[i], s)",
        "named_seed(self.seed, self.phase.id, 0, refill, slots[i], s)",
        "seeds are the same in every step",
        ROLLOUTS,
    ),
    Mutant(
        "n03",
        SOURCE,
        "named_seed(self.seed, self.phase.id, global_step, refill, slots[i], s)",
        "named_seed(self.seed, self.phase.id, global_step, refill, 0, s)",
        "seeds are the same for every prompt of a step",
        ROLLOUTS,
    ),
    Mutant(
        "n06",
        JUDGED,
        "None if verdict.score is None else verdict.score + sum(",
        "0.0 if verdict.score is None else verdict.score + sum(",
        "a timeout trains as a wrong answer",
        ROLLOUTS,
    ),
    Mutant(
        "n09",
        SOURCE,
        "tuple(kept),\n            sampler.temperature,",
        "tuple(kept),\n            1.0,",
        "a step says temperature 1, whatever drew it",
        ROLLOUTS,
    ),
    Mutant(
        "n10",
        SOURCE,
        '(a.text, g.prompt.gold or "", a.stop == "length")',
        '(a.text, g.prompt.gold or "", False)',
        "a response that was cut off is judged as if it were whole",
        ROLLOUTS,
    ),
    Mutant(
        "n11",
        SOURCE,
        "if len(faults) < 3 or len(faults) <= 0.05 * len(verdicts):",
        "if len(faults) < 3 or len(faults) <= 0.5 * len(verdicts):",
        "a step of faults is trained on until half of its verdicts are none",
        ROLLOUTS,
    ),
    Mutant(
        "n12",
        SOURCE,
        "first = refill * self.phase.prompts_per_step",
        "first = 0",
        "prompts of a refill take the slots of those that they replace",
        ROLLOUTS,
    ),
    Mutant(
        "o10",
        CURSOR,
        "epoch, position = epoch + 1, 0",
        "epoch, position = epoch, 0",
        "every epoch is the first",
        ORDER,
    ),
    Mutant(
        "o11",
        CURSOR,
        'named_generator(seed, "order", name, epoch)',
        'named_generator(seed, "order", name)',
        "every epoch has the same order",
        ORDER,
    ),
    Mutant(
        "o12", CURSOR, "if position + count > size:", "if position + count >= size:", "the last rows never come", ORDER
    ),
    Mutant("o13", CURSOR, ", p=weights / weights.sum()", "", "a mixture draws evenly", ORDER),
    Mutant(
        "y10",
        TYPES,
        "np.array([np.nan if a.reward is None else a.reward for a in self.samples]",
        "np.array([0.0 if a.reward is None else a.reward for a in self.samples]",
        "what was not scored counts as wrong",
        CREDIT,
    ),
    # --- the disk ---------------------------------------------------------------------------------------------------------
    Mutant(
        "j01",
        DISK,
        "    sync(file)\n    if is_new:",
        "    if is_new:",
        "a verdict is trained on before it is synced",
        NOTED,
    ),
    Mutant(
        "j10",
        FRAMES,
        "if end > len(content):",
        "if False:",
        "a torn frame is read as if it were whole",
        NOTED,
    ),
    Mutant(
        "j11",
        JOURNAL,
        "            cut_torn_frame(file, entries.file)\n",
        "",
        "a new frame is written behind a torn one",
        NOTED,
    ),
    Mutant(
        "j12",
        ENTRIES,
        "groups = {key: without_verdicts(group) for key, group in groups.items()}",
        "pass",
        "refused verdicts count in the next start",
        ROLLOUTS,
    ),
    Mutant(
        "j13",
        JOURNAL,
        "if group is not None and group.prompt == prompt}",
        "if group is not None}",
        "responses to another prompt are taken for this one's",
        NOTED,
    ),
    Mutant(
        "k02", CHECKPOINT, "        disk.sync(file)\n", "", "a folder is renamed before its bytes are on the disk", KEPT
    ),
    Mutant("k03", SEALED, "value[SEAL] != check_of(plain)", "False", "a manifest that forgot a file is whole", KEPT),
    Mutant(
        "k06",
        CHECKPOINT,
        "if found := problems(target):",
        "if found := list[str]():",
        "what the disk altered is found when it is needed",
        KEPT,
    ),
    Mutant(
        "k10",
        CHECKPOINT,
        "for folder in reversed(folders(root)):",
        "for folder in folders(root):",
        "oldest first",
        KEPT,
    ),
    Mutant(
        "k11",
        CHECKPOINT,
        "len(kept) - keep)",
        "len(kept) - keep - 1)",
        "one checkpoint more than asked for is kept",
        KEPT,
    ),
    Mutant(
        "k12",
        CHECKPOINT,
        "sorted(named, key=step_of)",
        "sorted(named)",
        "step 999,999 is newer than step 1,000,000",
        KEPT,
    ),
    Mutant(
        "k13",
        CHECKPOINT,
        "        _seal(work)\n        if target.exists():",
        "        if target.exists():",
        "a checkpoint without a manifest",
        KEPT,
    ),
    Mutant("w01", DISK, "        sync(partial)\n", "", "a renamed file's bytes are not on the disk", STORED),
    Mutant(
        "w02",
        DISK,
        "    sync_folder(file.parent)\n\n\ndef make",
        "\n\ndef make",
        "a renamed file's name is lost",
        STORED,
    ),
    Mutant(
        "w03", DISK, "    if is_new:\n        sync_folder(file.parent)", "    pass", "a new journal is lost", STORED
    ),
    Mutant(
        "w04",
        DISK,
        "        sync(partial)\n        rename(partial, file)",
        "        rename(partial, file)\n        sync(file)",
        "a file has its name before its bytes",
        STORED,
    ),
    Mutant(
        "w05", FRAMES, "if google_crc32c.value(payload) != check:", "if False:", "a changed token is trained on", FRAMED
    ),
    Mutant("w06", FRAMES, "if found != number:", "if False:", "a missing frame goes unnoticed", FRAMED),
    Mutant(
        "w07",
        CHAINED,
        "body if found and sha256_start(body) == found[1].decode() else None",
        "body",
        "a changed value in an event counts",
        CHECKED,
    ),
    Mutant("w08", CHAINED, "if found != expected:", "if False:", "a missing event goes unnoticed", CHECKED),
    Mutant("w09", SEALED, " or _text(file) != _dump(value)", "", "a changed space goes unnoticed", CHECKED),
    Mutant("w10", SEALED, 'if row["check"] != check:', "if False:", "a changed score counts", CHECKED),
    Mutant(
        "w11",
        "prerl_spec/engine/run/restoring.py",
        '    events.require(EventsHead(**saved.state["events"]), saved.folder.name)\n',
        "",
        "a run goes on without its earlier events",
        INTEGRITY,
    ),
    Mutant(
        "w12",
        "prerl_spec/engine/run/restoring.py",
        "            _require_no_commit_so_far(session, events)\n",
        "            pass\n",
        "a run whose checkpoints are gone starts again silently",
        INTEGRITY,
    ),
    Mutant(
        "w13",
        CHECKPOINT,
        "    if passed_over:\n",
        "    if False:\n",
        "a run whose checkpoints are all damaged starts again silently",
        KEPT,
    ),
    Mutant("w14", CHECKPOINT, "        disk.sync_folder(root)\n    except", "    except", "a new name is lost", KEPT),
    Mutant(
        "w15",
        "prerl_spec/compiler/past_runs/run_folder.py",
        "        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n    except",
        "        pass\n    except",
        "two processes write to one run",
        ("tests/compiler/test_runs.py",),
    ),
    Mutant(
        "w16",
        EVENTS,
        "if before is not None and _result(before) == _result(fields):",
        "if False:",
        "a step stands in the log twice",
        INTEGRITY,
    ),
    Mutant(
        "w17",
        "prerl_spec/compiler/compile.py",
        "if digest_of_plan(plan) != plan.digest:",
        "if False:",
        "a plan of another version's digest is run",
        INTEGRITY,
    ),
    # --- objectives --------------------------------------------------------------------------------------------------------
    Mutant(
        "c01",
        f"{COMPONENTS}/surrogates/clipping.py",
        "torch.maximum(-advantage_n * rho_n,",
        "torch.minimum(-advantage_n * rho_n,",
        "the clip cuts losses and not gains",
        TERMS,
    ),
    Mutant(
        "c02",
        f"{COMPONENTS}/surrogates/clipping.py",
        "1.0 - clip_low, 1.0 + clip_high)",
        "1.0 - clip_low, 1.0 + clip_low)",
        "clip_high has no effect",
        (*TERMS, *REFERENCE),
    ),
    Mutant(
        "c03",
        f"{COMPONENTS}/surrogates/clipping.py",
        "torch.where(advantage_n < 0, torch.minimum(",
        "torch.where(advantage_n > 0, torch.minimum(",
        "the dual clip bounds the wrong sign",
        TERMS,
    ),
    Mutant(
        "c04",
        f"{COMPONENTS}/corrections/levels.py",
        "trainer_n, sampler_n = trainer_n.detach(), sampler_n.detach()",
        "trainer_n, sampler_n = trainer_n, sampler_n.detach()",
        "importance weights are differentiated",
        TERMS,
    ),
    Mutant(
        "c05",
        f"{COMPONENTS}/corrections/levels.py",
        "return ratio(trainer_n, sampler_n)",
        "return ratio(sampler_n, trainer_n)",
        "importance weights are upside down",
        (*TERMS, *REFERENCE),
    ),
    Mutant(
        "c06",
        f"{COMPONENTS}/corrections/mask.py",
        "w_n.where(w_n <= self.cap,",
        "w_n.where(w_n >= self.cap,",
        "the mask keeps what it should drop",
        TERMS,
    ),
    Mutant(
        "c07",
        f"{COMPONENTS}/advantages/group_std.py",
        "np.std(reward_s, ddof=1)",
        "np.std(reward_s, ddof=0)",
        "the group's standard deviation is the biased one",
        (*CREDIT, *REFERENCE),
    ),
    Mutant(
        "c08", f"{COMPONENTS}/advantages/std_eps.py", "STD_EPS = 1e-6", "STD_EPS = 1e-4", "another whitening", CREDIT
    ),
    Mutant(
        "c09",
        f"{COMPONENTS}/advantages/minus_one.py",
        "0.0, reward_S - 1.0)",
        "0.0, reward_S)",
        "right answers earn, wrong ones do not",
        CREDIT,
    ),
    Mutant(
        "c10",
        "prerl_spec/statistics/baselines.py",
        "np.where(np.abs(difference_s) <= rounding, 0.0, difference_s)",
        "difference_s",
        "rounding chooses who is trained",
        CREDIT,
    ),
    Mutant(
        "c11",
        f"{OBJECTIVES}/aggregation.py",
        "1.0 / max(num_tokens, 1)",
        "1.0 / max(tokens.num_tokens, 1)",
        "tokens outside the mask count in the denominator",
        CREDIT,
    ),
    Mutant(
        "c12",
        f"{OBJECTIVES}/aggregation.py",
        "np.maximum(num_samples * length_S, 1)",
        "np.maximum(tokens.num_samples * length_S, 1)",
        "samples outside the mask count in the denominator",
        CREDIT,
    ),
    Mutant(
        "c13",
        f"{OBJECTIVES}/aggregation.py",
        "1.0 / (max(num_samples, 1) * max_new_tokens)",
        "1.0 / (max(num_samples, 1) * length_S.max())",
        "the constant is the longest response",
        CREDIT,
    ),
    Mutant(
        "c14",
        f"{OBJECTIVES}/aggregation.py",
        "int((length_S > 0).sum())",
        "tokens.num_samples",
        "an empty response is a sample",
        CREDIT,
    ),
    Mutant(
        "c15",
        f"{OBJECTIVES}/point.py",
        "kept_N & (advantage_N != 0.0)",
        "kept_N",
        "samples with nothing to teach go forward and carry weight",
        CREDIT,
    ),
    Mutant(
        "c16",
        f"{OBJECTIVES}/point.py",
        'return self.unparsable == "mask" and',
        'return self.unparsable == "wrong" and',
        "unparsable responses are masked where they should count, and count where they should be masked",
        CREDIT,
    ),
    Mutant(
        "c17",
        f"{OBJECTIVES}/point.py",
        "trainer_n = old_logp(logp, Conditional())\n        return",
        "trainer_n = old_logp(logp, self.view)\n        return",
        "the importance weight of a marginal loss is taken in its own view",
        (*TERMS, *REFERENCE),
    ),
    Mutant(
        "c18",
        f"{OBJECTIVES}/point.py",
        'logp[Need(view, "policy")].detach() if old is None',
        'logp[Need(view, "policy")] if old is None',
        "with one update a batch nothing has a gradient",
        REFERENCE,
    ),
    Mutant(
        "c19",
        f"{OBJECTIVES}/point.py",
        "(earned_N < 0) & (self.negative > 0)",
        "(earned_N <= 0) & (self.negative > 0)",
        "samples at the group's mean count as negative ones",
        CREDIT,
    ),
    Mutant(
        "c20",
        f"{OBJECTIVES}/point.py",
        "centred(advantage_N, weight_N, step)",
        "centred(earned_N, weight_N, step)",
        "centring forgets the selection",
        CREDIT,
    ),
    Mutant(
        "c21",
        f"{OBJECTIVES}/token_losses/divergences.py",
        "return torch.expm1(d_n) - d_n",
        "return torch.expm1(d_n) + d_n",
        "k3 is no distance",
        TERMS,
    ),
    Mutant(
        "c22",
        f"{OBJECTIVES}/token_losses/divergences.py",
        "torch.clamp(reference_logp_n - logp_n,",
        "torch.clamp(logp_n - reference_logp_n,",
        "the penalty is that of the reverse direction",
        TERMS,
    ),
    Mutant(
        "c23",
        f"{OBJECTIVES}/token_losses/entropy.py",
        "return -logp[_ENTROPY]",
        "return logp[_ENTROPY]",
        "the bonus is a penalty",
        TERMS,
    ),
    Mutant(
        "c24",
        f"{OBJECTIVES}/token_losses/next_token.py",
        "return -logp[_LOGP]",
        "return logp[_LOGP]",
        "documents are unlearnt",
        TERMS,
    ),
    Mutant(
        "c25",
        f"{OBJECTIVES}/token_losses/token_loss.py",
        "return ~np.isnan(step.reward_S)",
        "return np.ones(len(step.samples), dtype=bool)",
        "timeouts pay the penalty",
        CREDIT,
    ),
    # --- samplers ----------------------------------------------------------------------------------------------------------
    Mutant(
        "s07",
        f"{SAMPLERS}/embedded/kv_loop.py",
        "if t % BLOCK == 0:",
        "if t == 0:",
        "random numbers repeat after 64 tokens",
        EMBEDDED,
    ),
    Mutant(
        "s10",
        f"{SAMPLERS}/embedded/kv_loop.py",
        "self._responses.length_S[self._sample_R[row]] = t + 1",
        "self._responses.length_S[self._sample_R[row]] = t",
        "the token that ends a response is not kept",
        EMBEDDED,
    ),
    Mutant(
        "s11",
        f"{SAMPLERS}/embedded/kv_rows.py",
        "self._position_R = self._position_R + 1",
        "self._position_R = self._position_R + 0",
        "all new tokens stand at one position",
        EMBEDDED,
    ),
    Mutant(
        "s12",
        f"{SAMPLERS}/embedded/draw.py",
        "p_RV.cumsum(dim=-1) - p_RV >= decoding.top_p",
        "p_RV.cumsum(dim=-1) >= decoding.top_p",
        "the token that reaches top_p is left out",
        DRAW,
    ),
    Mutant(
        "s13",
        f"{SAMPLERS}/embedded/draw.py",
        "uniform_R[:, None] * cdf_RV[:, -1:], right=True)",
        "uniform_R[:, None] * cdf_RV[:, -1:])",
        "tokens of probability 0 are drawn",
        DRAW,
    ),
    Mutant(
        "s14",
        f"{SAMPLERS}/embedded/draw.py",
        "self._generators[s].random(BLOCK) for s in samples",
        "self._generators[s].random(BLOCK) for s in range(len(samples))",
        "a row gets another sample's numbers once one has ended",
        DRAW,
    ),
    Mutant(
        "s15",
        f"{SAMPLERS}/embedded/draw.py",
        "z_RV = z_RV / decoding.temperature",
        "z_RV = z_RV * decoding.temperature",
        "hot is cold",
        DRAW,
    ),
    # --- filters, schedules, learning rates ----------------------------------------------------------------------------------
    Mutant(
        "f10",
        f"{FILTERS}/mixed_groups.py",
        " and a.verdict.score is not None]",
        "]",
        "a timeout makes a group mixed",
        GROUPS,
    ),
    Mutant(
        "f11", f"{FILTERS}/mixed_groups.py", "return 0 < outcomes", "return 0 <= outcomes", "all wrong is mixed", GROUPS
    ),
    Mutant(
        "f12",
        f"{FILTERS}/max_length.py",
        "<= self.tokens for a",
        "< self.tokens for a",
        "a bound is off by one",
        WITHIN_BOUNDS,
    ),
    Mutant(
        "f13",
        f"{FILTERS}/drop_truncated.py",
        "return all(a.stop",
        "return any(a.stop",
        "only groups that are truncated throughout go",
        WITHIN_BOUNDS,
    ),
    Mutant(
        "f14",
        f"{FILTERS}/difficulty_band.py",
        "/ len(outcomes) <= self.high",
        "/ len(group.attempts) <= self.high",
        "timeouts make a prompt harder",
        WITHIN_BOUNDS,
    ),
    Mutant(
        "f15",
        f"{FILTERS}/difficulty_band.py",
        "self.low <= outcomes",
        "self.low < outcomes",
        "the lower end of a band is outside it",
        WITHIN_BOUNDS,
    ),
    Mutant(
        "f16",
        f"{FILTERS}/reward_spread.py",
        "/ (len(rewards) - 1)",
        "/ len(rewards)",
        "the spread is the biased one",
        WITHIN_BOUNDS,
    ),
    # --- rewards and their parts ---------------------------------------------------------------------------------------------
    Mutant(
        "a01",
        f"{REWARDS}/overlong_penalty.py",
        "- (group.max_new_tokens - self.buffer)",
        "- group.max_new_tokens",
        "the penalty begins where the budget ends",
        ADDED,
    ),
    Mutant(
        "a02",
        f"{REWARDS}/length_penalty.py",
        "(lam if right else min(0.0, lam))",
        "lam",
        "short wrong responses are rewarded",
        ADDED,
    ),
    Mutant(
        "a03",
        f"{REWARDS}/length_penalty.py",
        " for a in group.attempts if a.reward is not None]",
        " for a in group.attempts]",
        "a timeout's length moves the penalty of the others",
        ADDED,
    ),
    Mutant(
        "a04",
        f"{REWARDS}/format_bonus.py",
        'attempt.stop != "length" and boxed_answer',
        "boxed_answer",
        "a truncated response earns the bonus",
        ADDED,
    ),
    Mutant(
        "a05",
        ENTRIES,
        '        header["parts"] = {name: [a.parts.get(name)',
        '        header["other"] = {name: [a.parts.get(name)',
        "the journal forgets what a reward is the sum of",
        PARTS,
    ),
    Mutant(
        "a06",
        ENTRIES,
        "and (terms is not None or reward == verdict.score)",
        "",
        "a sum of an earlier version passes for the verdict alone",
        PARTS,
    ),
    Mutant(
        "a07",
        JUDGED,
        "        if recorded.reward != computed.reward:\n",
        "        if False:\n",
        "rewards that have changed are trained on with the sums that were recorded before",
        PARTS,
    ),
    Mutant(
        "a08",
        JUDGED,
        "None if attempt.reward is None else _finite(reward",
        "_finite(reward",
        "a reward is asked about a timeout",
        PARTS,
    ),
    Mutant(
        "a09",
        SOURCE,
        "replace(group, max_new_tokens=budget) for slot",
        "group for slot",
        "a resumed step has no response budget",
        PARTS,
    ),
    Mutant(
        "a10",
        JUDGED,
        "        if not isinstance(kept, bool | np.bool_):\n",
        "        if False:\n",
        "a filter that forgets to return drops every group",
        PARTS,
    ),
    Mutant(
        "a11",
        FAULTS,
        "islice(walk_tb(error.__traceback__), 2, None)",
        "islice(walk_tb(error.__traceback__), 2, 3)",
        "the first frame is blamed, not the author's deepest",
        BLAMED,
    ),
    Mutant(
        "a12",
        FAULTS,
        " or no_memory_left(error) is not None",
        "",
        "a machine without memory is the author's fault",
        BLAMED,
    ),
    Mutant(
        "a20",
        SLOTS,
        "        with blames(component, method):\n            value = original(*arguments, **named)\n",
        "        value = original(*arguments, **named)\n",
        "an exception in a slot is told in the name of the objective",
        BLAMED_PARTS,
    ),
    Mutant(
        "a21",
        SLOTS,
        "        _require_usable(component, method, value, sizes)\n",
        "        pass\n",
        "what a slot returns is of any shape",
        BLAMED_PARTS,
    ),
    Mutant(
        "a22",
        SLOTS,
        'value.dtype.kind not in "fiub" or ',
        "",
        "a credit of any type",
        BLAMED_PARTS,
    ),
    Mutant(
        "a23",
        SLOTS,
        "        returned.append(Returned(component, method, value))\n",
        "        pass\n",
        "a number that is not finite is told in the name of the objective",
        BLAMED_PARTS,
    ),
    Mutant(
        "a24",
        "prerl_spec/engine/training/pass_loss.py",
        "    if not bool(torch.isfinite(terms[weighted]).all()):\n",
        "    if False:\n",
        "a term that is no number is noticed in the sum alone, without its token",
        BLAMED_PARTS,
    ),
    Mutant(
        "a25",
        "prerl_spec/engine/training/pass_loss.py",
        "    values = value.detach().double().where(weighted, 0.0).cpu().numpy()\n",
        "    values = value.detach().double().cpu().numpy()\n",
        "a token without weight is named where another is to blame",
        BLAMED_PARTS,
    ),
    Mutant(
        "a26",
        "prerl_spec/engine/training/minibatch.py",
        '        require_finite(advantage, "advantage", np.where(weighted, earned_N, 0.0), place)\n',
        "        pass\n",
        "an advantage that is no number is told in the name of the objective",
        BLAMED_PARTS,
    ),
    Mutant(
        "a27",
        "prerl_spec/engine/training/minibatch.py",
        "np.where(weighted | np.isfinite(credit.advantage_N), credit.advantage_N, 0.0)",
        "credit.advantage_N",
        "an advantage that is no number where nothing is trained ends the run",
        BLAMED_PARTS,
    ),
    Mutant(
        "a28",
        PHASE,
        "        except RunFailed:\n            self.updater.forget_gradients()\n            raise\n",
        "        except RunFailed:\n            raise\n",
        "an update that fails leaves its gradients to the next",
        BLAMED_PARTS,
    ),
    Mutant(
        "a29",
        FAULTS,
        'BY_TERMS = ("terms", "measures", "loss", "bounded")',
        'BY_TERMS = ("terms", "measures")',
        "a surrogate is told to name in reads() what it reads in loss",
        BLAMED_PARTS,
    ),
    Mutant(
        "a13",
        "prerl_spec/compiler/rules/reward_names.py",
        "        elif name in seen:\n",
        "        elif False:\n",
        "two rewards of one name lose one of their parts",
        REWARDED,
    ),
    Mutant(
        "a14",
        PORTS,
        'return Supply(path, term.use, frozenset({*others, f"{PART}[{part_name(term.use, term.component)}]"}))',
        'return Supply(path, term.use, frozenset({*others, f"{PART}[{term.use}]"}))',
        "a part is asked for by its name and not found",
        REWARDED,
    ),
    Mutant(
        "h10", f"{SCHEDULES}/fixed_steps.py", "steps >= self.steps", "steps > self.steps", "one step too many", ENDS
    ),
    Mutant(
        "h11",
        f"{SCHEDULES}/reincarnate_after.py",
        "else tokens >= self.tokens",
        "else tokens > self.tokens",
        "a budget that is reached to the token goes on",
        ENDS,
    ),
    Mutant(
        "h12",
        f"{SCHEDULES}/until_plateau.py",
        "or value > best)",
        "or value >= best)",
        "a flat metric is a new best",
        ENDS,
    ),
    Mutant(
        "h13",
        f"{SCHEDULES}/until_plateau.py",
        "flat = value is not None and steps - best_step",
        "flat = steps - best_step",
        "steps that measure nothing are flat",
        ENDS,
    ),
    Mutant(
        "h14",
        f"{OPTIMIZERS}/learning_rate.py",
        "return (step + 1) / self.warmup_steps",
        "return step / self.warmup_steps",
        "the first step of a warm-up does nothing",
        STEPS,
    ),
    # --- scores -----------------------------------------------------------------------------------------------------------
    Mutant("v10", PASSK, "comb(num_samples - num_right, k)", "comb(num_right, k)", "pass@k of the wrong ones", AT_K),
    Mutant(
        "v11",
        INTERVALS,
        "squares / (len(value_Q) - 1) / len(value_Q)",
        "squares / len(value_Q) / len(value_Q)",
        "few questions have too short an interval",
        BOUNDS,
    ),
    Mutant(
        "v12",
        INTERVALS,
        "stdtrit(degrees_of_freedom, 1.0 - (1.0 - CONFIDENCE) / 2)",
        "stdtrit(degrees_of_freedom, CONFIDENCE)",
        "a 95 % interval covers 90 %",
        BOUNDS,
    ),
    Mutant(
        "v13",
        INTERVALS,
        "** (1 / num_questions)",
        "** num_questions",
        "thirty wrong questions say nothing",
        BOUNDS,
    ),
    Mutant(
        "v14",
        INTERVALS,
        "sqrt((num_blocks - 1) / num_blocks * squares)",
        "sqrt(squares / num_blocks)",
        "the jackknife forgets that its estimates move together",
        BOUNDS,
    ),
    # --- the compiler and the registry ------------------------------------------------------------------------------------
    Mutant(
        "h03",
        PORTS,
        "if all(any(fits(p, port)",
        "if any(any(fits(p, port)",
        "a port that one data set's verifier provides counts for all",
        WIRE,
    ),
    Mutant(
        "h15",
        PORTS,
        "offered in NARROWER.get(detail, ())",
        "detail in NARROWER.get(offered, ())",
        "a scalar fits where 0 and 1 are wanted",
        WIRE,
    ),
    Mutant(
        "h16", PORTS, "if len(providers) == 1 or", "if len(providers) >= 1 or", "two providers are not ambiguous", WIRE
    ),
    Mutant(
        "h17",
        PORTS,
        "    if terms:\n        common",
        "    if False:\n        common",
        "a reward with terms stays binary",
        WIRE,
    ),
    Mutant("d10", DIGEST, '"seed": plan.seed}', '"seed": 0}', "runs of two seeds share a folder", MEANING),
    Mutant(
        "d11",
        DIGEST,
        'set(component.handed_on) if component.kind == "sampler" else set()',
        "set()",
        "an engine's memory setting makes another run",
        MEANING,
    ),
    Mutant(
        "d12",
        DIGEST,
        '"tokens_per_pass": phase.tokens_per_pass if phase.tokens_per_pass_written else None,',
        '"tokens_per_pass": None,',
        "a written tokens_per_pass means nothing",
        MEANING,
    ),
    Mutant("t02", SETTINGS, '("more than", "gt")', '("at least", "gt")', "a message allows what is refused", MESSAGES),
    Mutant(
        "t03",
        SETTINGS,
        "if goes_deeper and all(_says_less_than_an_item(d) for d in found):",
        "if goes_deeper:",
        "a broken item hides that the list breaks a rule",
        MESSAGES,
    ),
    Mutant(
        "t10",
        SETTINGS,
        "found[key] = Setting(\n            key=key,",
        "found[attribute] = Setting(\n            key=key,",
        "a setting is known by its attribute, not by the key that a spec writes",
        MESSAGES,
    ),
    Mutant(
        "t11",
        SHELF,
        'return not self.is_own and "." not in self.name',
        "return False",
        "a stranger may take a built-in's name",
        METADATA,
    ),
    Mutant("t12", SHELF, "if found.api != API:", "if False:", "a plugin of another API is used", METADATA),
    Mutant(
        "t13",
        SHELF,
        "if name not in found or (is_running and",
        "if name not in found or not (is_running and",
        "of two distributions of a name the wrong one counts",
        METADATA,
    ),
    Mutant(
        "t14",
        "prerl_spec/compiler/planning/planner.py",
        "    resolved.require_members()\n",
        "",
        "a component that no run accepts is planned",
        COMPLETE,
    ),
    Mutant(
        "t15",
        "prerl_spec/compiler/build_graph.py",
        "    require_members(built, planned.use, planned.distribution)\n",
        "",
        "a plan file runs with a component that lacks a member",
        COMPLETE,
    ),
    Mutant(
        "t16",
        "prerl_spec/compiler/rules/served.py",
        "if self.built is None or not self.built.is_complete:",
        "if self.built is None:",
        "a rule reads a member that a component lacks",
        COMPLETE,
    ),
    Mutant(
        "t17",
        "prerl_spec/language/lexing.py",
        "if len(body) >= LONG_STRING and not self.has_faults:",
        "if len(body) >= LONG_STRING:",
        "what looks like a long string behind a fault is kept from tomllib",
        ("tests/language/test_toml.py",),
    ),
    Mutant(
        "t18",
        "prerl_spec/language/lexing.py",
        'single = body.replace("\\\\\\\\", _PAIR)',
        "single = body",
        "in a long string an escaped backslash begins another escape",
        ("tests/language/test_toml.py",),
    ),
    Mutant(
        "t19",
        "prerl_spec/language/interpolate.py",
        "_COPY = 64",
        "_COPY = 1",
        "lists that double each other are counted by their text alone",
        ("tests/language/test_interpolate.py",),
    ),
    Mutant(
        "s01",
        "prerl_spec/registry/kinds/model.py",
        "            embedding.padding_idx = None\n",
        "            pass\n",
        "the token that is padding gets no gradient as an input",
        ("tests/engine/test_embedding_rows.py",),
    ),
    Mutant(
        "s02",
        "components/prerl_components/models/initialising.py",
        "            draw_padding_rows(module)\n",
        "",
        "a random model's row of padding is zero",
        ("tests/engine/test_embedding_rows.py",),
    ),
    Mutant(
        "s03",
        "prerl_spec/compiler/past_runs/model_files.py",
        "        if was.get(name) != now.get(where, {}).get(name)\n",
        "        if name not in was\n",
        "a resume takes other weights and another tokenizer",
        ("tests/cli/test_model_files.py",),
    ),
    Mutant(
        "s04",
        "prerl_spec/json_lines.py",
        "parse_constant=_refuse, ",
        "",
        "NaN is a gold answer",
        ("tests/test_json_lines.py",),
    ),
    Mutant(
        "s05",
        "prerl_spec/language/compose.py",
        "    if (why := _no_spec(document)) is not None:\n",
        "    if (why := None) is not None:\n",
        "an error quotes any file that a spec names as its parent",
        ("tests/cli/test_nothing_leaks.py",),
    ),
    Mutant(
        "stop01",
        HEARTBEAT,
        "min(now - before, 2 * self._every), now",
        "now - before, now",
        "a job that was suspended and continued is taken for one with stopped processes",
        ("tests/engine/test_heartbeat.py",),
    ),
    Mutant(
        "stop02",
        HEARTBEAT,
        "self._signals.stop()",
        "pass",
        "a signal stops the process that receives it only",
        ("tests/engine/test_heartbeat.py",),
    ),
    Mutant(
        "stop03",
        ROUNDS,
        '        if len(frames) != 1 or frames[0].header["name"] != self._file.name:\n',
        "        if len(frames) != 1:\n",
        "the round of other requests is taken for this one's",
        ("tests/evaluation/test_kept_rounds.py",),
    ),
    Mutant(
        "stop04",
        STAGES,
        "and self._is_alone and",
        "and self._ranks.size == 1 and",
        "several processes stop between two evaluations only",
        ("tests/evaluation/test_ranks.py",),
    ),
    Mutant(
        "stop05",
        STOPPING,
        " if n == signal.SIGINT or found != signal.SIG_IGN}",
        "}",
        "a closed terminal ends a command that was started with nohup",
        ("tests/cli/test_stop_signals.py",),
    ),
    Mutant(
        "stop06",
        RUN_FOLDER,
        "if error.errno not in _NO_LOCKS:",
        "if True:",
        "a file system without locks is called a bug of ours",
        ("tests/compiler/test_runs.py",),
    ),
)
