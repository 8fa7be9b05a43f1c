#!/usr/bin/env python3
"""Makes tests/fixtures/protocol: tiny twins, with random weights, of the layouts of published reward models, and the scores that each one's published
rule gives for a few steps, computed with Hugging Face transformers.

Needs torch, transformers, peft and jinja2. Run it from anywhere; it writes beside itself. The result is committed, so tests need no Python. A twin is a body
(`qwen2`, `llama`, `mistral`), a head, a tokenizer (`bytes` like Qwen's, `words` like Llama 2's) and a chat template; the tests put them together in a directory
of the layout of the hub.
"""

import json
import pathlib
import shutil
import tempfile

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, LlamaModel
from transformers import MistralConfig, MistralForCausalLM, MistralForTokenClassification, MistralModel
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, Qwen2ForTokenClassification, Qwen2Model

HERE = pathlib.Path(__file__).parent / "fixtures" / "protocol"
SHAPE = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=2048)
SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
CASES = [
    ("What is 1 + 2 + 3?", ["1 + 2 = 3.", "3 + 3 = 6.", "So the answer is \\boxed{6}."]),
    ("Mia has 2 bags with 3 apples each. How many apples does Mia have?", ["Step 1: Each bag has 3 apples.", "Step 2: 2 * 3 = 6 apples", "Step 3: The answer is: 6"]),
    ("Is 7 prime?", ["7 is odd.\nIt has no divisor but 1 and 7.", "Yes."]),
]
QWEN = (
    "{%- if messages[0]['role'] == 'system' %}\n    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}\n{%- else %}\n"
    "    {{- '<|im_start|>system\\nPlease help.<|im_end|>\\n' }}\n{%- endif %}\n{%- for message in messages %}\n"
    "    {%- if message.role != 'system' %}\n        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n    {%- endif %}\n"
    "{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n"
)
# With a date, as Llama 3.1's: the fixed one is printed where `strftime_now` is not defined.
LLAMA = (
    "{{- bos_token }}\n{%- if not date_string is defined %}\n    {%- if strftime_now is defined %}\n        {%- set date_string = '26 Jul 2024' %}\n    {%- else %}\n"
    "        {%- set date_string = '26 Jul 2024' %}\n    {%- endif %}\n{%- endif %}\n{{- '<|im_start|>system\\n\\nToday Date: ' + date_string + '<|im_end|>' }}\n"
    "{%- for message in messages %}\n    {{- '<|im_start|>' + message['role'] + '\\n\\n' + message['content'] | trim + '<|im_end|>' }}\n{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n\\n' }}\n{%- endif %}\n"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>", "<|begin_of_text|>"]


def corpus():
    texts = [p + "\n" + "\n\n".join(s) for p, s in CASES] + [SYSTEM, "system", "assistant", "user"]
    # So that these are single tokens, as they are of Qwen's and Llama's tokenizers.
    return texts * 3 + ["6.\n\n3", "x \n\n\n\ny", "x \n\ny", "x\n\n\n\n\ny", "x + - y"] * 40


def bytes_tokenizer():
    t = Tokenizer(models.BPE())
    split = Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(split, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False))
    return t


def words_tokenizer():
    """As Llama 2's: a space before every text, spaces as ▁, bytes of what has no piece; <s> before a text."""
    vocab = {t: i for i, t in enumerate(["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)])}
    chars = sorted(set("".join(corpus()).replace(" ", "▁").replace("\n", "")) | set("▁#ки+-"))
    merges = [("▁", "+"), ("▁", "-"), ("к", "и"), ("▁", "ки"), ("▁", "и"), ("S", "t"), ("St", "e"), ("Ste", "p"), ("▁", "Step"), ("i", "s"), ("▁", "is"), ("▁", "▁")]
    for token in chars + [a + b for a, b in merges]:
        vocab.setdefault(token, len(vocab))
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in ["<unk>", "<s>", "</s>"]])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return t


TOKENIZERS = {"bytes": bytes_tokenizer, "words": words_tokenizer}
BODIES = {"qwen2": (Qwen2Config, Qwen2Model, "bytes"), "llama": (LlamaConfig, LlamaModel, "bytes"), "mistral": (MistralConfig, MistralModel, "words")}


def noise(module, scale=1.5):
    with torch.no_grad():
        for key, p in module.named_parameters():
            n = torch.randn(p.shape)
            p.copy_((1 + 0.2 * n if "norm" in key else n * (0.3 if "bias" in key else scale * p.shape[-1] ** -0.5)).half().float())


def save(name, tensors):
    save_file({k: v.detach().half().contiguous() for k, v in tensors.items()}, HERE / f"{name}.safetensors")


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir(parents=True)
    tokenizers, bodies = {}, {}
    for name, make in TOKENIZERS.items():
        made = make()
        (HERE / name).mkdir()
        made.save(str(HERE / name / "tokenizer.json"))
        bos = {"bytes": None, "words": "<s>"}[name]
        tokenizers[name] = PreTrainedTokenizerFast(tokenizer_file=str(HERE / name / "tokenizer.json"), bos_token=bos)
    for i, (name, (config_class, model_class, tokenizer)) in enumerate(BODIES.items()):
        torch.manual_seed(i)
        vocab = (len(tokenizers[tokenizer]) + 15) // 16 * 16
        config = config_class(**SHAPE, vocab_size=vocab, tie_word_embeddings=False, bos_token_id=None, eos_token_id=2, pad_token_id=0)
        if name == "mistral":
            config.sliding_window = None
        bodies[name] = model_class(config).eval()
        noise(bodies[name])
        save(name, {f"model.{k}": v for k, v in bodies[name].state_dict().items()})
    out = {}

    def hidden(body, ids):
        with torch.no_grad():
            return bodies[body](torch.tensor([ids])).last_hidden_state[0]

    def twin(name, body, heads, rule, architecture, template=None, bos=None, whole=False, **more):
        """Saves a twin's head and what `rule` says of every case: (ids, positions, scores)."""
        save(f"head-{name}", heads)
        tokenizer = tokenizers[BODIES[body][2]]
        tokenizer.chat_template, tokenizer.bos_token = template, bos or {"words": "<s>"}.get(BODIES[body][2])
        cases = []
        for problem, steps in CASES:
            ids, at, scores = rule(tokenizer, problem, steps)
            assert whole or name == "skywork" or len(scores) == len(steps), (name, len(scores), ids)
            cases.append(dict(problem=problem, steps=steps, ids=ids, at=at, scores=scores))
        config = bodies[body].config.to_dict() | dict(architectures=[architecture])
        keep = ["architectures", "model_type", "vocab_size", *SHAPE, "head_dim", "rms_norm_eps", "rope_theta", "rope_parameters", "sliding_window", "tie_word_embeddings", "pad_token_id", "eos_token_id", "bos_token_id", "hidden_act", "attention_bias", "mlp_bias", "use_sliding_window"]
        config = {k: config[k] for k in keep if k in config}
        out[name] = dict(body=body, tokenizer=BODIES[body][2], config=config, template=template, bos=tokenizer.bos_token, cases=cases, **more)

    def linear(rows, width=16, bias=True):
        layer = torch.nn.Linear(width, rows, bias=bias)
        noise(layer, 3.0)
        return layer

    def named(prefix, layer):
        return {f"{prefix}.{k}": v for k, v in layer.state_dict().items()}

    def masked(ids, tag):
        return [i for i, t in enumerate(ids) if t == tag]

    def conversation(t, system, problem, answer):
        messages = ([dict(role="system", content=system)] if system else []) + [dict(role="user", content=problem), dict(role="assistant", content=answer)]
        return t.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)

    # Qwen2.5-Math-PRM and ReasonFlux-PRM: <extra_0> after every step, score = Linear, ReLU, Linear to 2, softmax.
    torch.manual_seed(10)
    score = torch.nn.Sequential(linear(16), torch.nn.ReLU(), linear(2))

    def qwen_prm(system):
        def rule(t, problem, steps):
            ids = t.encode(conversation(t, system, problem, "<extra_0>".join(steps) + "<extra_0>"))
            at = masked(ids, t.encode("<extra_0>")[0])
            with torch.no_grad():
                return ids, at, score(hidden("qwen2", ids))[at].softmax(-1)[:, 1].tolist()

        return rule

    twin("qwen-prm", "qwen2", named("score", score), qwen_prm(SYSTEM), "Qwen2ForProcessRewardModel", QWEN)
    twin("reasonflux", "qwen2", named("score", score), qwen_prm(None), "Qwen2ForProcessRewardModel", QWEN, called="ReasonFlux-PRM-7B")

    # Qwen2.5-Math-RM: one logit at the last token that is not padding.
    torch.manual_seed(11)
    score_rm = torch.nn.Sequential(linear(16), torch.nn.ReLU(), linear(1))

    def qwen_rm(t, problem, steps):
        ids = t.encode(conversation(t, SYSTEM, problem, "\n".join(steps)))
        with torch.no_grad():
            return ids, [len(ids) - 1], score_rm(hidden("qwen2", ids))[-1].tolist()

    twin("qwen-rm", "qwen2", named("score", score_rm), qwen_rm, "Qwen2ForRewardModel", QWEN, whole=True)

    # Skywork-o1-Open-PRM: lines tokenised by themselves, the newline's id after each, sigmoid of the value head.
    torch.manual_seed(12)
    value = linear(1)

    def skywork(t, problem, steps):
        ids, at = t.encode(t.bos_token + problem + "\n"), []
        for line in "\n".join(steps).split("\n"):
            ids += t.encode(line) + [t.encode("\n")[-1]]
            at.append(len(ids) - 1)
        with torch.no_grad():
            scores = value(hidden("qwen2", ids))[at, 0].sigmoid().tolist()
        lines = iter(scores)
        return ids, at, [min(next(lines) for _ in step.split("\n")) for step in steps]

    torch.manual_seed(13)
    lm = {"qwen2": linear(bodies["qwen2"].config.vocab_size, bias=False), "llama": linear(bodies["llama"].config.vocab_size, bias=False)}
    lm["mistral"] = linear(bodies["mistral"].config.vocab_size, bias=False)
    twin("skywork", "qwen2", named("v_head.summary", value) | named("lm_head", lm["qwen2"]), skywork, "Qwen2ForCausalLM", bos="<|endoftext|>")

    # Token classification with transformers' own class: TRL's PRMTrainer, PURE.
    torch.manual_seed(14)
    label = linear(2)
    classifier = Qwen2ForTokenClassification(bodies["qwen2"].config)
    classifier.model, classifier.score = bodies["qwen2"], label
    classifier.eval()

    def token_classes(separator, squash):
        def rule(t, problem, steps):
            ids, at = t(problem, add_special_tokens=False)["input_ids"], []
            if t.bos_token_id is not None:
                ids = [t.bos_token_id] + ids
            for step in steps:
                ids = ids + t(step, add_special_tokens=False)["input_ids"] + t(separator, add_special_tokens=False)["input_ids"]
                at.append(len(ids) - 1)
            with torch.no_grad():
                return ids, at, squash(classifier(input_ids=torch.tensor([ids])).logits[0][at].softmax(-1)).tolist()

        return rule

    twin("trl", "qwen2", named("score", label), token_classes("\n", lambda p: p[:, 1]), "Qwen2ForTokenClassification")
    twin("pure", "qwen2", named("score", label), token_classes("\n\n", lambda p: p[:, 1] - p[:, 0]), "Qwen2ForTokenClassification", called="PURE-PRM-7B")

    # MATH-Minos: one row, the logit at the tag.
    torch.manual_seed(15)
    minos = linear(1)
    one = MistralForTokenClassification(bodies["mistral"].config)
    one.model, one.score = bodies["mistral"], minos
    one.eval()

    def minos_rule(t, problem, steps):
        ids = t.encode(problem + " " + " и\n".join(steps) + " и")
        at = masked(ids, t.encode("и")[-1])
        with torch.no_grad():
            return ids, at, one(input_ids=torch.tensor([ids])).logits[0][at, 0].tolist()

    twin("minos", "mistral", named("score", minos), minos_rule, "MistralForTokenClassification", called="MATH-Minos")

    # Language models that say + or - after a tag: Math-Shepherd, VersaPRM, OpenR.
    def causal(body, model_class):
        model = model_class(bodies[body].config)
        model.model, model.lm_head = bodies[body], lm[body]
        return model.eval()

    causal_of = {"qwen2": causal("qwen2", Qwen2ForCausalLM), "llama": causal("llama", LlamaForCausalLM), "mistral": causal("mistral", MistralForCausalLM)}

    def tagged(body, text, tag, labels):
        def rule(t, problem, steps):
            ids, good_bad = t.encode(text(problem, steps)), labels(t)
            at = masked(ids, tag(t))
            with torch.no_grad():
                logits = causal_of[body](torch.tensor([ids])).logits[0][:, good_bad]
                return ids, at, logits.softmax(-1)[at, 0].tolist()

        return rule

    shepherd = tagged("mistral", lambda q, s: f"{q} " + " ки\n".join(s) + " ки", lambda t: t.encode("ки")[-1], lambda t: t.encode("+ -")[1:])
    twin("math-shepherd", "mistral", named("lm_head", lm["mistral"]), shepherd, "MistralForCausalLM", called="math-shepherd-mistral-7b-prm")
    versa = tagged("llama", lambda q, s: f"{q} \n\n" + "".join(f"{x} \n\n\n\n" for x in s), lambda t: t.encode("x \n\n\n\n")[-1], lambda t: [t.encode("+")[-1], t.encode("-")[-1]])
    twin("versaprm", "llama", named("lm_head", lm["llama"]), versa, "LlamaForCausalLM", called="VersaPRM")
    tag = tokenizers["bytes"].encode("x\n\n\n\n\n")[-1]
    plus, minus = (tokenizers["bytes"].encode(f" {c}")[-1] for c in "+-")

    def openr(t, problem, steps):
        ids, at = t.encode(problem), []
        for i, step in enumerate(steps):
            ids += t.encode(" " + step if i == 0 else step) + [tag]
            at.append(len(ids) - 1)
        with torch.no_grad():
            return ids, at, causal_of["qwen2"](torch.tensor([ids])).logits[0][:, [plus, minus]].softmax(-1)[at, 0].tolist()

    ids = dict(tag=[tag], positive=[plus], negative=[minus])
    twin("openr", "qwen2", named("lm_head", lm["qwen2"]), openr, "Qwen2ForCausalLM", called="Math-psa", swap=ids)

    # llemma: the mean of all logits at the first of the two newlines after a step.
    def llemma(t, problem, steps):
        head, at = f"# Question\n\n{problem}\n\n# Solution\n\n", []
        text = head
        for step in steps:
            text += step + "\n\n"
            at.append(len(t.encode(text)) - 2)
        ids = t.encode(text)
        with torch.no_grad():
            return ids, at, causal_of["mistral"](torch.tensor([ids])).logits[0].mean(-1)[at].sigmoid().tolist()

    twin("llemma", "mistral", named("lm_head", lm["mistral"]), llemma, "LlamaForCausalLM", called="llemma-7b-prm")

    # RLHFlow: a turn for every step, the conversation read anew for each, at the third id from the end.
    def rlhflow(t, problem, steps):
        talk, scores, at = [], [], []
        good_bad = [t.encode("+")[-1], t.encode("-")[-1]]
        for k, step in enumerate(steps):
            talk += [dict(role="user", content=problem + " " + step if k == 0 else step), dict(role="assistant", content="+")]
            ids = t.encode(t.apply_chat_template(talk, tokenize=False), add_special_tokens=False)
            with torch.no_grad():
                scores.append(causal_of["llama"](torch.tensor([ids])).logits[0, -3, good_bad].softmax(-1)[0].item())
            at.append(len(ids) - 3)
        return ids, at, scores

    twin("rlhflow", "llama", named("lm_head", lm["llama"]), rlhflow, "LlamaForCausalLM", LLAMA, bos="<|begin_of_text|>", called="Llama3.1-8B-PRM-Deepseek-Data")

    # ReasonEval: three classes at the last id of each step; the separator finds the places and is not fed.
    torch.manual_seed(16)
    three = linear(3)

    def reasoneval(t, problem, steps):
        t.pad_token = "<unk>"
        text = f"Question:\n{problem}\nAnswer:\nLet's think step by step.\n" + t.pad_token + "".join(s + t.pad_token for s in steps)
        found, at, ids = t(text)["input_ids"], [], []
        for i in found:
            if i == t.pad_token_id:
                at.append(len(ids) - 1)
            else:
                ids.append(i)
        with torch.no_grad():
            return ids, at[1:], three(hidden("mistral", ids))[at[1:]].softmax(-1)[:, 1:].sum(-1).tolist()

    twin("reasoneval", "mistral", named("score_head", three), reasoneval, "ReasonEval_7B")

    # Bradley-Terry: transformers' own class, and PEFT adapters that make one of a language model, plain and rank-stabilised.
    torch.manual_seed(17)
    logit = linear(1, bias=False)
    ranker = LlamaForSequenceClassification(LlamaConfig(**bodies["llama"].config.to_dict() | dict(num_labels=1)))
    ranker.model, ranker.score = bodies["llama"], logit
    ranker.eval()

    def outcome(model):
        def rule(t, problem, steps):
            ids = t.encode(conversation(t, None, problem, "\n".join(steps)), add_special_tokens=False)
            last = max(i for i, x in enumerate(ids) if x != 0)
            with torch.no_grad():
                return ids, [last], model(input_ids=torch.tensor([ids])).logits[0].tolist()

        return rule

    twin("outcome", "llama", named("score", logit), outcome(ranker), "LlamaForSequenceClassification", LLAMA, bos="<|begin_of_text|>", whole=True)
    # Its text ends with the token that pads.
    padded = LLAMA.replace("| trim + '<|im_end|>'", "| trim + '<|im_end|><|endoftext|>'")
    twin("outcome-padded", "llama", named("score", logit), outcome(ranker), "LlamaForSequenceClassification", padded, bos="<|begin_of_text|>", whole=True)
    for name, stable in [("lora", False), ("rslora", True)]:
        torch.manual_seed(18)
        adapted = get_peft_model(ranker, LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], use_rslora=stable))
        with torch.no_grad():
            for key, p in adapted.named_parameters():
                if "lora_" in key:
                    p.copy_(torch.randn(p.shape) * 0.5)
        adapted.eval()
        with tempfile.TemporaryDirectory() as folder:
            adapted.save_pretrained(folder)
            shutil.copy(f"{folder}/adapter_model.safetensors", HERE / f"adapter-{name}.safetensors")
            adapter = json.loads(pathlib.Path(folder, "adapter_config.json").read_text())
        twin(name, "llama", {}, outcome(adapted), "LlamaForCausalLM", LLAMA, bos="<|begin_of_text|>", whole=True, adapter=adapter)
        (HERE / f"head-{name}.safetensors").unlink()
        adapted.unload()

    # A configuration that ties the head to the embedding beside weights with a head of their own.
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        causal_of["llama"].save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text()) | dict(tie_word_embeddings=True)
        (folder / "config.json").write_text(json.dumps(config))
        tied = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        with torch.no_grad():
            logits = tied(torch.tensor([[1, 5, 9, 17]])).logits[0, -1].tolist()
    out["tied"] = dict(logits=[round(x, 5) for x in logits], ids=[1, 5, 9, 17])
    (HERE / "expected.json").write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")
    for path in sorted(HERE.rglob("*.*")):
        print(path.relative_to(HERE), path.stat().st_size)


main()
