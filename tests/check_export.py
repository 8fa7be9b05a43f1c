#!/usr/bin/env python3
"""Scores texts with transformers by an exported reward model, for tests/all/export.rs: check_export.py DIR < cases, a line of JSON with `problem` and `text`
each; prints a line with the logits of the text's tokens for each. Exits with 77 where torch or transformers is absent."""

import importlib.util
import json
import sys

if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
    print("torch or transformers is absent", file=sys.stderr)
    sys.exit(77)

import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

folder = sys.argv[1]
model = AutoModelForTokenClassification.from_pretrained(folder, trust_remote_code=True, dtype=torch.float32).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)


def frame(problem, text):
    def encode(t):
        return [i for line in t.splitlines(keepends=True) for i in tokenizer(line, add_special_tokens=False)["input_ids"]]

    prompt, end = encode(problem + "\n"), model.config.eos_token_id
    return prompt + encode(text) + [end[0] if isinstance(end, list) else end], len(prompt)


for line in sys.stdin:
    case = json.loads(line)
    ids, start = frame(case["problem"], case["text"])
    with torch.no_grad():
        print(json.dumps(model(input_ids=torch.tensor([ids])).logits[0, start:, 0].tolist()))
