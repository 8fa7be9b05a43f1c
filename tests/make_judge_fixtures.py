#!/usr/bin/env python3
"""Makes tests/fixtures/protocol/judge.json: what the twins of make_protocol_fixtures.py say as judges by prompt and as implicit pairs, computed with Hugging
Face transformers by the published rules.

Needs torch, transformers and jinja2. Run it after make_protocol_fixtures.py, from anywhere; it reads the bodies, heads and tokenizers that lie there and
writes numbers only.

Judge (eq. 6 of arXiv 2605.10158): a marker after every step, all of them +; "first error at j" has the sum of ln p(+) before j and ln p(-) at j, both
renormalised over the two; "none" the sum of all ln p(+). Implicit (arXiv 2412.01981): beta times ln pi - ln pi_ref of every token of the answer.
"""

import json
import math
import pathlib

import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

HERE = pathlib.Path(__file__).parent / "fixtures" / "protocol"
KNOWN = json.loads((HERE / "expected.json").read_text())
CLASSES = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM), "mistral": (MistralConfig, MistralForCausalLM)}
ASKED = "Check a solution step by step. After each step stands + if the step is right, or - if there is an error in it.\n\nProblem: {problem}\n\nSolution:\n"


def twin(name, template=None):
    """Model and tokenizer of a twin with a language model's head, and the template that it is given."""
    known = KNOWN[name]
    config_class, model_class = CLASSES[known["body"]]
    model = model_class(config_class(**known["config"])).eval()
    weights = load_file(HERE / f"{known['body']}.safetensors") | load_file(HERE / f"head-{name}.safetensors")
    missing, unexpected = model.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
    assert not missing and all(not k.startswith(("model", "lm_head")) for k in unexpected), (missing, unexpected)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(HERE / known["tokenizer"] / "tokenizer.json"), bos_token=known["bos"])
    tokenizer.chat_template = template
    return model, tokenizer


def logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double().log_softmax(-1)


def bare(tokenizer, text):
    """Ids of a text that goes on: without a beginning, and without a space before it that it does not have."""
    newline = tokenizer.encode("\n", add_special_tokens=False)
    if len(newline) == 1:
        return tokenizer.encode(text, add_special_tokens=False)
    ids = tokenizer.encode("\n" + text, add_special_tokens=False)
    assert ids[: len(newline)] == newline, (text, ids)
    return ids[len(newline):]


def judge(name, template, markers=(" +", " -")):
    model, t = twin(name, template)
    cases = []
    for case in KNOWN[name]["cases"]:
        asked = ASKED.replace("{problem}", case["problem"])
        if template:
            marked = t.apply_chat_template([dict(role="user", content=asked), dict(role="assistant", content="@@")], tokenize=False)
            ids = t.encode(marked.split("@@")[0], add_special_tokens=False)
        else:
            ids = t.encode(asked)
        plus, minus = bare(t, markers[0]), bare(t, markers[1])
        # Where a marker is several ids, it is read where the two part.
        alike = next(i for i, (a, b) in enumerate(zip(plus, minus)) if a != b)
        at = []
        for i, step in enumerate(case["steps"]):
            ids += bare(t, ("\n\n" if i else "") + step)
            at.append(len(ids) - 1 + alike)
            ids += plus
        said = logits(model, ids)[at][:, [plus[alike], minus[alike]]]
        said = (said - said.logsumexp(-1, keepdim=True)).tolist()
        here = [sum(s[0] for s in said[:j]) + said[j][1] for j in range(len(said))]
        none = sum(s[0] for s in said)
        ranked = here + [none]
        best = max(range(len(ranked)), key=lambda j: ranked[j])
        # The same as one value a step: what is left after it against what is behind it, each by its likeliest.
        values = [1 / (1 + math.exp(max(here[: i + 1]) - max(here[i + 1:] + [none]))) for i in range(len(said))]
        cases.append(dict(problem=case["problem"], steps=case["steps"], ids=ids, at=at, values=values, first_error=best if best < len(said) else None))
    return dict(twin=name, template=template, markers=markers, cases=cases)


def implicit(name, reference, template, beta):
    (model, t), (base, _) = twin(name, template), twin(reference)
    cases = []
    for case in KNOWN[name]["cases"]:
        text = "\n\n".join(case["steps"])
        ids = t.encode(t.apply_chat_template([dict(role="user", content=case["problem"])], tokenize=False, add_generation_prompt=True), add_special_tokens=False)
        answer = t.encode(text, add_special_tokens=False) + [KNOWN[name]["config"]["eos_token_id"]]
        whole, n = ids + answer, len(ids)
        of = [logits(m, whole)[n - 1 : -1].gather(1, torch.tensor(answer)[:, None])[:, 0] for m in (model, base)]
        values = (beta * (of[0] - of[1])).tolist()
        cases.append(dict(problem=case["problem"], steps=case["steps"], text=text, ids=whole, values=values))
    return dict(twin=name, reference=reference, template=template, beta=beta, cases=cases)


def writes(name, template, tokens, turns):
    """A model that writes of each step and then is made to say Yes or No (as GenPRM), greedily. In one conversation only the first step is computed here."""
    model, t = twin(name, template)
    cases = []
    for case in KNOWN[name]["cases"]:
        chances = []
        for k, step in enumerate(case["steps"][: 1 if turns else None]):
            before = "\n".join(case["steps"][:k]) or "none, for this is the first step"
            if turns:
                talk = [dict(role="system", content="You are a math teacher. Your task is to review and critique the paragraphs in solution step by step.")]
                user = f"Question: {case['problem']}\n\n{step}"
            else:
                talk, user = [], f"Q: {case['problem']}\nBefore: {before}\nStep {k + 1}: {step}"
            text = t.apply_chat_template(talk + [dict(role="user", content=user)], tokenize=False, add_generation_prompt=True)
            ids = t.encode(text, add_special_tokens=False) + bare(t, f"<analyze>\nLet's analyze the Paragraph {k + 1} step by step: ")
            for _ in range(tokens):
                best = int(logits(model, ids)[-1].argmax())
                if best == KNOWN[name]["config"]["eos_token_id"]:
                    break
                ids.append(best)
            ids += bare(t, "</analyze>\n") + bare(t, "<output>\n**Judgement**: $\\boxed{")
            yes, no = (logits(model, ids)[-1, bare(t, word)[0]].item() for word in ("Yes", "No"))
            chances.append(1 / (1 + math.exp(no - yes)))
        cases.append(dict(problem=case["problem"], steps=case["steps"], values=chances))
    return dict(twin=name, template=template, tokens=tokens, turns=turns, cases=cases)


def main():
    template = KNOWN["qwen-prm"]["template"]
    out = dict(
        judges=[judge("openr", template), judge("versaprm", None), judge("math-shepherd", None), judge("openr", template, (" is +", " is -"))],
        implicit=implicit("openr", "versaprm", template, 0.05),
        writers=[writes("openr", template, 6, False), writes("openr", template, 6, True)],
    )
    first = [c["first_error"] for j in out["judges"] for c in j["cases"]]
    assert None in first and any(f is not None for f in first), first
    (HERE / "judge.json").write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(first, (HERE / "judge.json").stat().st_size)


main()
