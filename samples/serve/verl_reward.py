"""A reward function for verl that asks `reasonscope serve`: custom_reward_function.path=…/verl_reward.py custom_reward_function.name=compute_score

The problem must be in the data's `extra_info`, under `question`, as verl's own GSM8K script writes it."""

import json
import os
import urllib.request

URL = os.environ.get("REASONSCOPE_URL", "http://127.0.0.1:8350")
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('REASONSCOPE_TOKEN', '')}"}


def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    """The value of one solution; 0, the neutral logit, where it cannot be judged."""
    body = {"problem": extra_info["question"], "completion": solution_str}
    request = urllib.request.Request(URL + "/score", json.dumps(body).encode(), HEADERS)
    with urllib.request.urlopen(request, timeout=600) as answer:
        value = json.load(answer)["items"][0]["candidates"][0]["value"]
        return 0.0 if value is None else value
