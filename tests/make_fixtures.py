#!/usr/bin/env python3
"""Makes tests/fixtures: tiny models with random weights, and what Hugging Face transformers computes with them.

Needs torch, transformers and jinja2. Run it from anywhere, with the names of models to make these alone; it writes beside itself. The result is committed,
so tests need no Python.
"""

import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, GraniteConfig, GraniteForCausalLM
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM
from transformers import Olmo2Config, Olmo2ForCausalLM, Olmo3Config, Olmo3ForCausalLM, Phi3Config, Phi3ForCausalLM
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM
from transformers import SmolLM3Config, SmolLM3ForCausalLM
from transformers.utils.chat_template_utils import render_jinja_template

HERE = pathlib.Path(__file__).parent / "fixtures"
SHAPE = dict(vocab_size=96, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
SEQUENCES = [[5], [1, 17, 80, 3, 3, 42, 9], [2, 95, 60, 31, 7, 7, 7, 12, 54, 88, 23, 4, 0, 19, 33, 71]]
# For families whose layers differ, or that have more of them.
DEEP = dict(hidden_size=16, intermediate_size=24, num_attention_heads=4, num_key_value_heads=2)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)


def rope(theta, **more):
    return dict(rope_theta=theta, rope_type=more.pop("rope_type", "default"), **more)


MODELS = {
    "llama-tied": (LlamaConfig, LlamaForCausalLM, torch.float32, dict(tie_word_embeddings=True, rope_parameters=rope(10000.0))),
    "llama3-rope": (LlamaConfig, LlamaForCausalLM, torch.bfloat16, dict(head_dim=16, max_position_embeddings=128, rope_parameters=rope(1000.0, **LLAMA3))),
    "llama-linear": (LlamaConfig, LlamaForCausalLM, torch.float16, dict(attention_bias=True, rope_parameters=rope(10000.0, rope_type="linear", factor=4.0))),
    "mistral": (MistralConfig, MistralForCausalLM, torch.float32, dict(head_dim=24, sliding_window=None, rope_parameters=rope(10000.0))),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, torch.float32, dict(tie_word_embeddings=True, rope_parameters=rope(1000000.0))),
    "qwen2-yarn": (
        Qwen2Config, Qwen2ForCausalLM, torch.float32,
        dict(max_position_embeddings=64, rope_parameters=rope(100.0, rope_type="yarn", factor=4.0, original_max_position_embeddings=16)),
    ),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, torch.bfloat16, dict(head_dim=16, rope_parameters=rope(1000000.0))),
    "mistral-window": (MistralConfig, MistralForCausalLM, torch.bfloat16, dict(sliding_window=5, rope_parameters=rope(10000.0))),
    "qwen2-window": (
        Qwen2Config, Qwen2ForCausalLM, torch.bfloat16,
        dict(use_sliding_window=True, sliding_window=4, max_window_layers=1, rope_parameters=rope(10000.0)),
    ),
    "gemma3": (
        Gemma3TextConfig, Gemma3ForCausalLM, torch.bfloat16,
        dict(DEEP, num_hidden_layers=7, head_dim=8, sliding_window=5, query_pre_attn_scalar=24, pad_token_id=0,
             rope_parameters=dict(full_attention=rope(1000.0, rope_type="linear", factor=2.0), sliding_attention=rope(100.0))),
    ),
    "gemma3-plain": (
        Gemma3TextConfig, Gemma3ForCausalLM, torch.bfloat16,
        dict(DEEP, num_hidden_layers=7, head_dim=8, sliding_window=5, query_pre_attn_scalar=8, pad_token_id=0),
    ),
    "phi3": (Phi3Config, Phi3ForCausalLM, torch.bfloat16, dict(pad_token_id=0, sliding_window=7, rope_parameters=rope(10000.0))),
    "phi3-longrope": (
        Phi3Config, Phi3ForCausalLM, torch.bfloat16,
        dict(pad_token_id=0, max_position_embeddings=128, original_max_position_embeddings=32,
             rope_parameters=rope(10000.0, rope_type="longrope", partial_rotary_factor=0.75, original_max_position_embeddings=32,
                                  short_factor=[1.0, 1.3, 2.0], long_factor=[1.0, 4.0, 9.0])),
    ),
    "smollm3": (SmolLM3Config, SmolLM3ForCausalLM, torch.bfloat16, dict(DEEP, num_hidden_layers=5, pad_token_id=0)),
    "olmo2": (Olmo2Config, Olmo2ForCausalLM, torch.bfloat16, dict(rope_parameters=rope(500000.0))),
    "olmo3": (
        Olmo3Config, Olmo3ForCausalLM, torch.bfloat16,
        dict(DEEP, num_hidden_layers=4, sliding_window=5, max_position_embeddings=64,
             rope_parameters=dict(
                 full_attention=rope(1000.0, rope_type="yarn", factor=4.0, original_max_position_embeddings=16), sliding_attention=rope(1000.0))),
    ),
    "granite": (
        GraniteConfig, GraniteForCausalLM, torch.bfloat16,
        dict(embedding_multiplier=3.0, attention_multiplier=0.25, residual_multiplier=0.3, logits_scaling=2.5, mlp_bias=True,
             attention_bias=True, rope_parameters=rope(10000.0)),
    ),
    "qwen3-moe": (
        Qwen3MoeConfig, Qwen3MoeForCausalLM, torch.bfloat16,
        dict(DEEP, num_hidden_layers=3, head_dim=8, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=8, norm_topk_prob=True,
             mlp_only_layers=[1], rope_parameters=rope(1000000.0)),
    ),
    "qwen3-moe-plain": (
        Qwen3MoeConfig, Qwen3MoeForCausalLM, torch.bfloat16,
        dict(DEEP, num_hidden_layers=2, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8, norm_topk_prob=True,
             rope_parameters=rope(1000000.0)),
    ),
    "qwen2.5-vl": (
        Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, torch.bfloat16,
        dict(text_config=dict(SHAPE, max_position_embeddings=128, rope_parameters=rope(10000.0, mrope_section=[1, 1, 2])),
             vision_config=dict(depth=1, hidden_size=8, intermediate_size=8, num_heads=2, out_hidden_size=32, patch_size=2, window_size=4)),
    ),
}


def models(names):
    for i, (name, (config_class, model_class, dtype, more)) in enumerate(MODELS.items()):
        if names and name not in names:
            continue
        torch.manual_seed(i)
        config = config_class(**(more if "text_config" in more else SHAPE | more))
        model = model_class(config).eval()
        with torch.no_grad():
            for key, p in model.named_parameters():
                # Norms and biases away from their neutral values, so that leaving one out shows.
                noise = torch.randn(p.shape)
                p.copy_((0 if name.startswith("gemma") else 1) + 0.2 * noise if "norm" in key else noise * (0.3 if "bias" in key else 1.5 * p.shape[-1] ** -0.5))
        model = model.to(dtype)
        out = HERE / name
        shutil.rmtree(out, ignore_errors=True)
        model.save_pretrained(out, max_shard_size="12KB" if name == "qwen3" else "5GB")
        (out / "generation_config.json").unlink(missing_ok=True)
        # Read back, because casting the model also rounds its rotary frequencies.
        model = model_class.from_pretrained(out, dtype=torch.float32).eval()
        with torch.no_grad():
            logits = [model(torch.tensor([ids])).logits[0] for ids in SEQUENCES]
        # A few rows say as much as all of them: the first, one in the middle and the last of every sequence.
        rows = [sorted({0, len(ids) // 2, len(ids) - 1}) for ids in SEQUENCES]
        expected = [
            dict(ids=ids, rows=r, logits=[[round(x, 6) for x in l[j].tolist()] for j in r]) for ids, r, l in zip(SEQUENCES, rows, logits)
        ]
        (out / "expected.json").write_text(json.dumps(expected))


TEMPLATES = {
    "chatml": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "alternating": """{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Conversation roles must alternate user and assistant') }}
    {%- endif %}
    {%- if message['role'] == 'user' %}
        {%- if loop.first and system_message is defined %}
            {{- ' [INST] ' + system_message.strip() + '\\n\\n' + message['content'].strip() + ' [/INST]' }}
        {%- else %}
            {{- ' [INST] ' + message['content'] | trim + ' [/INST]' }}
        {%- endif %}
    {%- else %}
        {{- ' ' + message['content'] + eos_token }}
    {%- endif %}
{%- endfor %}
""",
    "headers": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined and false %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set first = messages[0] %}
{%- if first.role == "system" %}
    {%- set system_message = first['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "thinking": """{%- set ns = namespace(multi_step=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step and message.role == "user" and message.content is string and not(message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}
        {%- set ns.multi_step = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if message.role == "user" or message.role == "system" %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set thought = '' %}
        {%- if message.thought is string %}
            {%- set thought = message.thought %}
        {%- elif '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last and (loop.last or thought) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
""",
    "blocks": """{% for message in messages %}
    {% if message['role'] == 'user' %}
Q ({{ loop.index }}/{{ loop.length }}): {{ message | tojson }}
    {% elif message.get('role', '') == 'assistant' %}
A: {{ message['content'].replace('42', '*42*').upper() }}{{ eos_token }}
    {% endif %}
{% endfor %}
{{ messages | map(attribute='role') | join(',') }} {{ messages[-1]['content'][:3] }} {% for k, v in messages[0].items() %}{{ k }}={{ v | length }};{% endfor %}

""",
}
CONVERSATIONS = [
    [dict(role="user", content="  What is 6 * 7 < 50? \"Say\" é\n")],
    [dict(role="system", content=" Be brief. "), dict(role="user", content="Hi")],
    [
        dict(role="user", content="6 * 7?"),
        dict(role="assistant", content="<think>\nsix sevens\n</think>\n\n42"),
        dict(role="user", content="Sure?"),
    ],
]


def templates():
    cases = []
    for name, template in TEMPLATES.items():
        for messages in CONVERSATIONS:
            for prompt in [True, False]:
                rendered, _ = render_jinja_template([messages], chat_template=template, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>")
                cases.append(dict(name=name, template=template, messages=messages, add_generation_prompt=prompt, rendered=rendered[0]))
    (HERE / "chat_templates.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    models(sys.argv[1:])
    if not sys.argv[1:]:
        templates()
