#!/usr/bin/env python3
"""Makes tests/fixtures/smollm2.json: ids, greedy text and next tokens of SmolLM2-135M-Instruct by Hugging Face transformers, from its GGUF.

Usage: make_smollm2_reference.py FILE.gguf. Needs torch, transformers, accelerate and gguf.
"""

import json
import pathlib
import sys

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXTS = [
    "Hello, world!",
    "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nNatalia sold 48+24 = <<48+24=72>>72 clips altogether.\n#### 72\n",
    " leading and  double   spaces\tand\ttabs \n\n\n  then lines\r\nand returns ",
    "1234567890 3.14159 1,000,000 ½ ² ٣ 10km 5th",
    "I'm you're we've they'll it's DON'T can't",
    "日本語のテキスト、한국어, русский текст, العربية, हिन्दी",
    "🦀🚀👩‍👩‍👧‍👦🏳️‍🌈 café naïve Å ﬁ",
    "def f(x):\n    return x**2  # squared\n\nfor i in range(10):\n\tprint(f'{i}: {f(i)}')\n",
    "<|im_start|>user\nWhat is 6*7?<|im_end|>\n<|im_start|>assistant\n",
    "$$\\int_0^1 x^2\\,dx = \\frac{1}{3}$$ and <think>hm…</think> “quotes” — dashes",
    "",
    "\n",
    " ",
    "a\u0000b\u0007\u200b\ufeffz",
]
PROBLEMS = ["What is the capital of France?", "Tom has 3 apples and buys 4 more. How many apples does he have? Think step by step."]


def main(path):
    path = pathlib.Path(path)
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    # The model's own tokenizer.json splits off every digit (the pre-tokenizer that GGUF calls "smollm"); transformers' GGUF converter leaves that out,
    # which shows on numerals that are not ASCII.
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    greedy = []
    for problem in PROBLEMS:
        prompt = tokenizer.apply_chat_template([dict(role="user", content=problem)], tokenize=False, add_generation_prompt=True)
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids
        with torch.no_grad():
            out = model.generate(ids, max_new_tokens=64, do_sample=False)[0, ids.shape[1] :].tolist()
            logits = model(ids).logits[0, -1]
        top = logits.topk(5)
        greedy.append(
            dict(
                problem=problem, prompt=prompt, prompt_ids=ids[0].tolist(), ids=out, text=tokenizer.decode(out, skip_special_tokens=True),
                top_ids=top.indices.tolist(), top_logits=[round(x, 5) for x in top.values.tolist()],
            )
        )
    texts = [dict(text=t, ids=tokenizer(t, add_special_tokens=False).input_ids) for t in TEXTS]
    out = pathlib.Path(__file__).parent / "fixtures" / "smollm2.json"
    out.write_text(json.dumps(dict(texts=texts, greedy=greedy), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
