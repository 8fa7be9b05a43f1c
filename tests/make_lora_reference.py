#!/usr/bin/env python3
"""Makes tests/fixtures/lora: a LoRA adapter on the fixture llama-tied, saved by PEFT, and what PEFT computes with it.

Needs torch, transformers and peft. Run it from anywhere, after make_fixtures.py; it writes beside itself. The result is committed, so tests need no
Python. With the argument `open DIR` it opens an adapter that reasonscope wrote over that base and compares it with the fixture.
"""

import json
import pathlib
import shutil
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent / "fixtures"
BASE, OUT = HERE / "llama-tied", HERE / "lora"
IDS = [2, 95, 60, 31, 7, 7, 7, 12, 54, 88, 23]
TARGETS = ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"]


def base():
    return AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float64).eval()


def logits(model):
    return model(torch.tensor([IDS])).logits[0]


def make():
    shutil.rmtree(OUT, ignore_errors=True)
    torch.manual_seed(5)
    model = get_peft_model(base(), LoraConfig(r=3, lora_alpha=4, target_modules=TARGETS, task_type="CAUSAL_LM")).double()
    model.peft_config["default"].base_model_name_or_path = "../llama-tied"
    adapters = {k: p for k, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for key, p in adapters.items():
            # Numbers that f32 holds exactly; B away from zero, where it starts.
            p.copy_((p if "lora_A" in key else 0.2 * torch.randn(p.shape)).float().double())
    out = logits(model)
    log_probs = out.log_softmax(-1)[:-1].gather(1, torch.tensor(IDS[1:])[:, None])[:, 0]
    weights = torch.sin(0.37 * torch.arange(len(log_probs), dtype=torch.float64)) + 0.3
    (weights * log_probs).sum().backward()
    gradients = {k.replace(".default", ""): p.grad.float().contiguous() for k, p in adapters.items()}
    model.float().save_pretrained(OUT)
    (OUT / "README.md").unlink()
    save_file(gradients, OUT / "gradients.safetensors")
    expected = dict(ids=IDS, weights=weights.tolist(), logits=[[round(x, 8) for x in row] for row in out.detach().tolist()])
    (OUT / "expected.json").write_text(json.dumps(expected))


def open_ours(directory):
    model = PeftModel.from_pretrained(base(), directory).double()
    expected = torch.tensor(json.loads((OUT / "expected.json").read_text())["logits"], dtype=torch.float64)
    print("largest difference of a logit:", (logits(model) - expected).abs().max().item())


if __name__ == "__main__":
    if sys.argv[1:2] == ["open"]:
        open_ours(sys.argv[2])
    else:
        make()
