"""Sampled completions by Hugging Face generate on random weights: tokens a second, for benches/rollouts.rs to stand beside.

Arguments: hidden layers vocabulary prompts samples prompt_tokens new_tokens threads seconds
"""

import sys
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

hidden, layers, vocab, prompts, samples, prompt, new, threads = map(int, sys.argv[1:9])
seconds = float(sys.argv[9])
torch.set_num_threads(threads)
torch.manual_seed(0)
config = LlamaConfig(
    hidden_size=hidden,
    num_hidden_layers=layers,
    num_attention_heads=hidden // 32,
    num_key_value_heads=hidden // 32,
    intermediate_size=hidden * 3,
    vocab_size=vocab,
    max_position_embeddings=256,
    tie_word_embeddings=True,
    bos_token_id=None,
    eos_token_id=None,
    pad_token_id=0,
)
model = LlamaForCausalLM(config).eval()
ids = torch.randint(0, vocab, (prompts, prompt))


def batch():
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        num_return_sequences=samples,
        max_new_tokens=new,
    )
    assert out.shape == (prompts * samples, prompt + new)


with torch.inference_mode():
    batch()
    began, tokens = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        batch()
        tokens += prompts * samples * new
print(tokens / (time.perf_counter() - began))
