#!/usr/bin/env python3
"""Makes tests/fixtures/more: tiny models with random weights of the families that run on candle-transformers, and what transformers computes with them.

Needs torch and transformers. Run it from anywhere, with the names of models to make these alone; it writes beside itself. The result is committed, so tests
need no Python.
"""

import json
import pathlib
import shutil
import sys

import torch
import transformers as t

HERE = pathlib.Path(__file__).parent / "fixtures" / "more"
SHAPE = dict(vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
SEQUENCES = [[5], [1, 17, 80, 3, 3, 42, 9], [2, 95, 60, 31, 7, 7, 7, 12, 54, 88, 23, 4, 0, 19, 33, 71]]
IDS = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)


def rope(theta, **more):
    return dict(rope_theta=theta, rope_type="default", **more)


MODELS = {
    "gemma": (t.GemmaConfig, t.GemmaForCausalLM, dict(SHAPE, head_dim=16, rope_parameters=rope(10000.0))),
    "gemma2": (
        t.Gemma2Config, t.Gemma2ForCausalLM,
        dict(SHAPE, head_dim=16, query_pre_attn_scalar=24, sliding_window=24, final_logit_softcapping=3.0, attn_logit_softcapping=2.0,
             rope_parameters=rope(10000.0)),
    ),
    "glm4": (t.Glm4Config, t.Glm4ForCausalLM, dict(SHAPE, head_dim=16, rope_parameters=rope(10000.0, partial_rotary_factor=0.5))),
    "mixtral": (t.MixtralConfig, t.MixtralForCausalLM, dict(SHAPE, intermediate_size=24, num_local_experts=4, rope_parameters=rope(10000.0))),
    "olmo": (t.OlmoConfig, t.OlmoForCausalLM, dict(SHAPE, clip_qkv=1.5, rope_parameters=rope(10000.0))),
    "phi": (t.PhiConfig, t.PhiForCausalLM, dict(SHAPE, rope_parameters=rope(10000.0, partial_rotary_factor=0.5))),
    "stablelm": (t.StableLmConfig, t.StableLmForCausalLM, dict(SHAPE, use_qkv_bias=True, rope_parameters=rope(10000.0, partial_rotary_factor=0.25))),
    "starcoder2": (t.Starcoder2Config, t.Starcoder2ForCausalLM, dict(SHAPE, rope_parameters=rope(10000.0))),
}


def models(names):
    for i, (name, (config_class, model_class, more)) in enumerate(MODELS.items()):
        if names and name not in names:
            continue
        torch.manual_seed(100 + i)
        model = model_class(config_class(**more, **IDS)).eval()
        with torch.no_grad():
            for key, p in model.named_parameters():
                noise = torch.randn(p.shape)
                norm = "norm" in key or "ln_f" in key
                if norm and "bias" not in key:
                    p.copy_((0 if name.startswith("gemma") else 1) + 0.2 * noise)
                else:
                    p.copy_(noise * (0.3 if "bias" in key else 1.5 * p.shape[-1] ** -0.5))
        out = HERE / name
        shutil.rmtree(out, ignore_errors=True)
        model.to(torch.bfloat16).save_pretrained(out)
        (out / "generation_config.json").unlink(missing_ok=True)
        model = model_class.from_pretrained(out, dtype=torch.float32).eval()
        with torch.no_grad():
            logits = [model(torch.tensor([ids])).logits[0] for ids in SEQUENCES]
        rows = [sorted({0, len(ids) // 2, len(ids) - 1}) for ids in SEQUENCES]
        expected = [
            dict(ids=ids, rows=r, logits=[[round(x, 6) for x in l[j].tolist()] for j in r]) for ids, r, l in zip(SEQUENCES, rows, logits)
        ]
        (out / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    HERE.mkdir(parents=True, exist_ok=True)
    models(sys.argv[1:])
