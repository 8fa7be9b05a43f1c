"""A reward function for TRL's GRPOTrainer that asks `reasonscope serve`: GRPOTrainer(model, reward_funcs=reasonscope, …)."""

import json
import os
import urllib.request
from itertools import groupby

URL = os.environ.get("REASONSCOPE_URL", "http://127.0.0.1:8350")
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('REASONSCOPE_TOKEN', '')}"}


def reasonscope(prompts, completions, **kwargs):
    """The value of each completion; None, which TRL passes over, where it cannot be judged."""
    text = lambda turns: turns if isinstance(turns, str) else turns[-1]["content"]
    pairs = zip(map(text, prompts), map(text, completions))
    items = [{"problem": p, "candidates": [c for _, c in group]} for p, group in groupby(pairs, lambda pair: pair[0])]
    request = urllib.request.Request(URL + "/score", json.dumps({"items": items}).encode(), HEADERS)
    with urllib.request.urlopen(request, timeout=600) as answer:
        return [c["value"] for item in json.load(answer)["items"] for c in item["candidates"]]
