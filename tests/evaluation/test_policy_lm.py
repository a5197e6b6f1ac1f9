"""The LM subclass: log-probabilities against an explicit loop, prompts as in training, stop strings, the context's limit."""

from dataclasses import replace
from pathlib import Path
from string import ascii_uppercase

import pytest
import torch
from lm_eval.api.instance import Instance
from prerl_components.evaluators.lm_eval import LmEval
from tokenizers.processors import TemplateProcessing

from prerl_spec.errors import RunFailed
from prerl_spec.evaluation.harness.policy_lm import PolicyLM
from prerl_spec.prompts import context_ids
from prerl_spec.testing.tiny import SHAPES, Shape, byte_tokenizer
from prerl_spec.text import Codec
from prerl_spec.types import Decoding, Rendering
from tests.evaluation.sites import GREEDY, SAMPLED, Scene, tiny_scene, write_rows

PAIRS = [("The sum is", " 4"), ("Two plus two is four, and three", " makes seven."), ("a", "b"), ("", "alone")]


def lm_of(scene: Scene, *, decoding: Decoding = SAMPLED, rendering: Rendering | None = None) -> PolicyLM:
    return PolicyLM(scene.site, rendering if rendering is not None else Rendering(chat="off"), decoding, seed=3)


def instance(kind: str, *arguments: object, doc_id: int = 0, repeats: int = 1) -> Instance:
    return Instance(kind, {}, arguments, 0, ("made_up", doc_id, repeats))


@torch.no_grad()
def by_hand(scene: Scene, tokens: tuple[int, ...], start: int) -> tuple[float, bool]:
    """Token by token, one forward each, in float64 after the logits."""
    total, top = 0.0, True
    for place in range(start, len(tokens)):
        logits = scene.policy.module(torch.tensor([tokens[:place]])).logits[0, -1].double()
        total += float(logits.log_softmax(-1)[tokens[place]])
        top &= int(logits.argmax()) == tokens[place]
    return total, top


@pytest.mark.parametrize("shape", SHAPES)
def test_log_likelihoods_are_those_of_a_plain_loop(tmp_path: Path, shape: Shape) -> None:
    with tiny_scene(tmp_path, shape=shape) as scene:
        found = lm_of(scene).loglikelihood([instance("loglikelihood", *pair) for pair in PAIRS])
        codec = scene.site.codec
        for (context, continuation), (logp, greedy) in zip(PAIRS, found, strict=True):
            head = codec.encode(context) or (codec.eos_id,)
            expected = by_hand(scene, (*head, *codec.encode(continuation)), len(head))
            assert logp == pytest.approx(expected[0], abs=1e-4)  # float32 sums of a dozen tokens
            assert greedy == expected[1]


def test_what_greedy_decoding_writes_is_greedy(tmp_path: Path) -> None:
    with tiny_scene(tmp_path, decoding=GREEDY) as scene:
        lm = lm_of(scene, decoding=GREEDY)
        (response,) = lm.generate_until([instance("generate_until", "Q: 2+2 ?", {"until": []})])
        context = scene.site.codec.encode("Q: 2+2 ?")
        assert response.generation is not None
        own, other = response.generation.tokens, (*response.generation.tokens[:-1], 7)
        (_, is_own), (_, is_other) = scene.site.continuation_logps([(context, own), (context, other)])
        assert is_own
        assert not is_other


@torch.no_grad()
def test_a_long_text_is_scored_in_windows_each_token_once(tmp_path: Path) -> None:
    """700 tokens, 512 at a time: 512 behind EOS, then the other 188 behind as many as still fit."""
    with tiny_scene(tmp_path, chat=True) as scene:
        text = "".join(chr(97 + i * i % 26) for i in range(700))
        (found,) = lm_of(scene).loglikelihood_rolling([instance("loglikelihood_rolling", text)])
        ids = scene.site.codec.encode(text)
        expected = 0.0
        # The tiny tokenizer has no BOS. The chat template's first token, which stands in front of log P(y), is another one.
        assert scene.site.codec.prefix("auto") != (scene.site.codec.eos_id,)
        for window, num_scored in (((scene.site.codec.eos_id, *ids[:512]), 512), (ids[187:], 188)):
            assert len(window) == 513 == scene.site.max_length + 1
            logp = scene.policy.module(torch.tensor([window[:-1]])).logits[0].double().log_softmax(-1)
            chosen = logp.gather(-1, torch.tensor(window[1:])[:, None])[-num_scored:]
            expected += float(chosen.sum())
        assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("begins", [False, True], ids=["plain", "bos"])
@pytest.mark.parametrize(
    ("chat", "rendering"),
    [
        (True, Rendering(chat={}, system="Be brief.")),
        (True, Rendering(chat={"enable_thinking": False})),
        (True, Rendering(chat="off", system="Be brief.")),
        (False, Rendering(chat={}, system="Be brief.")),
        (False, Rendering(chat="off")),
    ],
)
def test_a_benchmark_question_is_rendered_as_a_training_prompt(
    tmp_path: Path, chat: bool, rendering: Rendering, begins: bool
) -> None:
    """Also for tokenizers that put a token in front of a text by themselves: once, never twice."""
    tokenizer = byte_tokenizer(chat=chat)
    if begins:
        own = ("<|endoftext|>", tokenizer.convert_tokens_to_ids("<|endoftext|>"))
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{own[0]} $A", special_tokens=[own])
    codec = Codec.of_tokenizer(tokenizer)
    with tiny_scene(tmp_path, chat=chat, rendering=rendering) as scene:
        rows = write_rows(tmp_path / "rows.jsonl", num_rows=1)
        LmEval(tasks=("math500_boxed",), data={"math500_boxed": str(rows)}).score(replace(scene.site, codec=codec))
        assert scene.heard.requests[0].context == context_ids("What is 0 + 0?", rendering, codec)


def test_an_open_answer_is_continued_and_not_closed(tmp_path: Path) -> None:
    with tiny_scene(tmp_path, chat=True) as scene:
        lm = lm_of(scene, rendering=Rendering(chat={}))
        history = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "The answer is"}]
        assert lm.apply_chat_template(history, add_generation_prompt=False).endswith("assistant\nThe answer is")


def test_stop_strings_end_the_text_and_the_decoding_is_the_evaluators(tmp_path: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        lm = lm_of(scene, decoding=Decoding(temperature=0.7, max_new_tokens=40, stop=("own",)))
        asked = {"until": [*ascii_uppercase, ""], "temperature": 0.0, "do_sample": False, "max_gen_toks": 3}
        responses = lm.generate_until([instance("generate_until", f"{i}", asked, doc_id=i) for i in range(8)])
        (used,) = scene.heard.decodings
        assert used == Decoding(temperature=0.7, max_new_tokens=40, stop=("own", *ascii_uppercase))
        assert any(r.generation is not None and r.generation.stop == "stop" for r in responses)
        assert not any(set(r) & set(ascii_uppercase) for r in responses)


def test_each_repeat_has_a_stream_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    """The same question asked alone, twice as often, or after others gives the same first responses."""
    with tiny_scene(tmp_path) as scene:
        lm = lm_of(scene)
        first = instance("generate_until", "first", {"until": []}, doc_id=0)
        second = instance("generate_until", "second", {"until": []}, doc_id=1)
        together = lm.generate_until([first] * 4 + [second] * 4)
        alone = lm.generate_until([second] * 2)
        assert alone == together[4:6]
        assert len(set(together[:4])) == 4
        other_seed = PolicyLM(scene.site, lm.rendering, SAMPLED, seed=4)
        assert other_seed.generate_until([second] * 2) != alone


def test_a_question_that_does_not_fit_is_never_cut(tmp_path: Path) -> None:
    with tiny_scene(tmp_path) as scene:
        with pytest.raises(
            RunFailed,
            match="made_up, question 5: 505 tokens and max_new_tokens 12 exceed the model's context length 512",
        ):
            lm_of(scene).generate_until([instance("generate_until", "x" * 505, {"until": []}, doc_id=5)])
        with pytest.raises(RunFailed, match="a text of 601 tokens"):
            lm_of(scene).loglikelihood([instance("loglikelihood", "x" * 600, "y")])
