"""Whether models still chat as the one that they were trained from, in plain transformers.

    python examples/smollm2/still_chats.py BASE MODEL…          # folders; a line each; exit code 1 if one does not

A model still chats where each of five greedy answers holds its word, and the perplexity of a fixed conversation is at most
5 % above BASE's. KL(BASE ‖ MODEL), in nats a token of that conversation, is printed beside it.
"""

import sys
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

QUESTIONS = (
    ("What is the capital of Japan?", "Tokyo"),
    ("What is the largest ocean on Earth?", "Pacific"),
    ("What is the opposite of hot?", "cold"),
    ("Who wrote Romeo and Juliet?", "Shakespeare"),
    ("How many days are there in a week?", "7|seven"),
)
"""Questions with the words, of which a greedy answer must hold one, upper and lower case alike.

The base answers all five, each token up to the word at least 1.3 times as probable as the next best. Answers with less of a
margin turn over by themselves: "What is the capital of France?" begins with "The" at .152 and with a French "L" at .140.
"""

CONVERSATION = (
    (
        "How do I make a cup of tea?",
        "Boil fresh water and pour it over a tea bag in a cup. Let it steep for three to five minutes, then take the bag "
        "out. Add milk, sugar or a slice of lemon if you like.",
    ),
    (
        "Why is the sky blue?",
        "Sunlight is made of many colours. The air scatters short wavelengths, such as blue, much more than long ones, "
        "such as red, so that blue light reaches our eyes from every part of the sky.",
    ),
    (
        "Write one sentence about a dog.",
        "The old brown dog slept in the sun beside the door and dreamed of the river.",
    ),
)
"""Questions and answers that no model wrote; the text whose perplexity is compared."""
LONGEST_ANSWER = 40
MOST_PERPLEXITY = 1.05
"""Of a model that still chats, as a multiple of the base's."""


def conversation(tokenizer: Any) -> torch.Tensor:
    """[1, T] token ids of the conversation as the chat template writes it."""
    turns = [
        {"role": role, "content": text}
        for asked, answered in CONVERSATION
        for role, text in (("user", asked), ("assistant", answered))
    ]
    return tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True)["input_ids"]


def answer(model: Any, tokenizer: Any, question: str) -> str:
    """The greedy answer to one question."""
    turns = [{"role": "user", "content": question}]
    asked = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    tokens = model.generate(**asked, do_sample=False, max_new_tokens=LONGEST_ANSWER)
    return tokenizer.decode(tokens[0, asked["input_ids"].shape[1] :], skip_special_tokens=True).strip()


def holds(said: str, words: str) -> bool:
    """Whether an answer holds one of the words, which `|` separates."""
    return any(word.casefold() in said.casefold() for word in words.split("|"))


@torch.inference_mode()
def main(base: str, models: list[str]) -> int:
    """Prints a line per model, the base first, and the answers. Returns 1 if one of them does not chat any more, else 0."""
    first: torch.Tensor | None = None
    failed = 0
    for folder in (base, *models):
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        tokens_1T = conversation(tokenizer)
        logp_TV = model(tokens_1T).logits[0, :-1].double().log_softmax(-1)
        first = logp_TV if first is None else first
        nll, nll_base = (-p.gather(1, tokens_1T[0, 1:, None]).mean() for p in (logp_TV, first))
        divergence = (first.exp() * (first - logp_TV)).sum(-1).mean()
        said = [answer(model, tokenizer, question) for question, _ in QUESTIONS]
        right = [holds(text, words) for text, (_, words) in zip(said, QUESTIONS, strict=True)]
        ratio = (nll - nll_base).exp()
        chats = all(right) and bool(ratio <= MOST_PERPLEXITY)
        failed += not chats
        print(
            f"{folder}: {'chats' if chats else 'DOES NOT CHAT'}: {sum(right)} of {len(right)} answers hold their word, "
            f"perplexity {nll.exp():.3f} ({ratio:.3f} × the base's), KL {divergence:.4f} nats a token"
        )
        for text, (question, _), ok in zip(said, QUESTIONS, right, strict=True):
            print(f"  {'+' if ok else '-'} {question} {text!r}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
