"""Log-probability and entropy of every candidate token by Hugging Face transformers, for benches/score.rs to stand beside.

Arguments: GGUF file, JSON file of {prompt, candidates} in token ids, threads, dtype (float32: 16 candidates a batch; bfloat16: one at a time). Prints tokens a second and the log-probabilities as JSON.
"""

import json
import os
import sys
import time

import torch
from transformers import AutoModelForCausalLM

gguf, data, threads, kind = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
BATCH = 16 if kind == "float32" else 1
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(os.path.dirname(gguf), gguf_file=os.path.basename(gguf), dtype=getattr(torch, kind)).eval()
rows = [(row["prompt"], ids) for row in json.load(open(data)) for ids in row["candidates"]]
order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]) + len(rows[i][1]))


def read(batch):
    longest = max(len(p) + len(c) for p, c in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, (p, c) in enumerate(batch):
        n = len(p) + len(c)
        ids[i, :n] = torch.tensor(p + c)
        mask[i, :n] = 1
    log_p = model(input_ids=ids, attention_mask=mask).logits.float().log_softmax(-1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    out = []
    for i, (p, c) in enumerate(batch):
        at = slice(len(p) - 1, len(p) + len(c) - 1)
        out.append((log_p[i, at].gather(1, torch.tensor(c)[:, None])[:, 0], entropy[i, at]))
    return out


with torch.inference_mode():
    read([rows[i] for i in order[:BATCH]])
    began = time.perf_counter()
    found = {}
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        for i, (log_p, _) in zip(part, read([rows[i] for i in part])):
            found[i] = log_p.tolist()
    seconds = time.perf_counter() - began
tokens = sum(len(c) for _, c in rows)
print(json.dumps({"tokens_per_second": tokens / seconds, "logprobs": [x for i in range(len(rows)) for x in found[i]]}))
