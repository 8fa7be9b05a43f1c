#!/usr/bin/env python3
"""Makes tests/fixtures/gemma3-270m.json: greedy ids and next tokens of Gemma 3 270M (base) by Hugging Face transformers, from its GGUF, and ids of texts.

The weights are dequantised by the gguf package and loaded into transformers' Gemma3ForCausalLM in f32. The ids are SentencePiece's own: of all pairs of
neighbouring pieces that are a piece together, the one of best score is joined, until none is left; what is no piece is its bytes. Pieces that the makers
defined by hand stand for themselves.

Usage: make_gemma3_reference.py FILE.gguf. Needs torch, transformers and gguf.
"""

import json
import pathlib
import sys

import numpy as np
import torch
from gguf import GGUFReader, dequantize
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

TEXTS = [
    "Hello, world!",
    "Natalia sold 48+24 = 72 clips.\n\n#### 72\n",
    " leading and  double   spaces\tand\ttabs \n\n\n  then lines",
    "日本語 русский हिन्दी 🦀",
    "for i in range(10):\n        print(i)\n",
]
PROMPTS = ["The capital of France is", "Two plus three equals", "Water boils at a temperature of"]
NAMES = {
    "attn_norm": "input_layernorm", "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}


def encode(text, ids, scores, whole):
    """`whole`: pieces that the model's makers defined (runs of spaces and newlines); they are cut out first, the longest at each place."""
    text, out, rest = text.replace(" ", "▁"), [], ""
    while text:
        found = max((w for w in whole if text.startswith(w)), key=len, default=None)
        if found is None:
            rest, text = rest + text[0], text[1:]
        else:
            out += joined_up(rest, ids, scores) + [ids[found]]
            rest, text = "", text[len(found) :]
    return out + joined_up(rest, ids, scores)


def joined_up(text, ids, scores):
    parts = list(text)
    while True:
        best = None
        for i in range(len(parts) - 1):
            joined = parts[i] + parts[i + 1]
            if joined in ids and (best is None or scores[ids[joined]] > scores[ids[parts[best] + parts[best + 1]]]):
                best = i
        if best is None:
            break
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return [i for part in parts for i in ([ids[part]] if part in ids else [ids[f"<0x{b:02X}>"] for b in part.encode()])]


def main(path):
    reader = GGUFReader(path)
    field = lambda name: reader.fields[name].contents()
    arch = lambda name: field(f"gemma3.{name}")
    tokens, scores = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.scores")
    # What the makers defined is written with plain spaces.
    tokens = [t.replace(" ", "▁") if kind == 4 else t for t, kind in zip(tokens, field("tokenizer.ggml.token_type"))]
    ids = {}
    for i, token in enumerate(tokens):
        ids.setdefault(token, i)
    whole = [token for token, kind in zip(tokens, field("tokenizer.ggml.token_type")) if kind == 4]
    layers = arch("block_count")
    config = Gemma3TextConfig(
        vocab_size=len(tokens), hidden_size=arch("embedding_length"), intermediate_size=arch("feed_forward_length"), num_hidden_layers=layers,
        num_attention_heads=arch("attention.head_count"), num_key_value_heads=arch("attention.head_count_kv"), head_dim=arch("attention.key_length"),
        query_pre_attn_scalar=arch("attention.key_length"), sliding_window=arch("attention.sliding_window"),
        max_position_embeddings=arch("context_length"), rms_norm_eps=1e-6,
    )
    model = Gemma3ForCausalLM(config).eval()
    state = {}
    for t in reader.tensors:
        w = torch.from_numpy(np.array(dequantize(t.data, t.tensor_type)))
        if t.name.endswith("norm.weight"):
            w = w - 1
        if t.name == "token_embd.weight":
            state["model.embed_tokens.weight"] = state["lm_head.weight"] = w
        elif t.name == "output_norm.weight":
            state["model.norm.weight"] = w
        else:
            _, layer, part, kind = t.name.split(".")
            state[f"model.layers.{layer}.{NAMES[part]}.{kind}"] = w
    print(model.load_state_dict(state, strict=True))
    greedy = []
    for prompt in PROMPTS:
        prompt_ids = [field("tokenizer.ggml.bos_token_id")] + encode(prompt, ids, scores, whole)
        with torch.no_grad():
            out = model.generate(torch.tensor([prompt_ids]), max_new_tokens=16, do_sample=False, eos_token_id=1, pad_token_id=0)[0, len(prompt_ids) :].tolist()
            top = model(torch.tensor([prompt_ids])).logits[0, -1].topk(5)
        text = "".join(tokens[i] for i in out)
        print(prompt, repr(text))
        greedy.append(
            dict(prompt=prompt, prompt_ids=prompt_ids, ids=out, top_ids=top.indices.tolist(), top_logits=[round(x, 5) for x in top.values.tolist()])
        )
    texts = [dict(text=t, ids=encode(t, ids, scores, whole)) for t in TEXTS]
    out = pathlib.Path(__file__).parent / "fixtures" / "gemma3-270m.json"
    out.write_text(json.dumps(dict(texts=texts, greedy=greedy), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
