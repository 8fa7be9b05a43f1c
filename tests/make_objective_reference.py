"""Writes tests/fixtures/objectives.json: every reward objective on random numbers, with its loss and gradients by PyTorch autograd.

    python tests/make_objective_reference.py        # needs torch

The formulas are those of the papers that src/train/objective.rs names, written for one whole batch without any of its bookkeeping.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(11)
torch.set_default_dtype(torch.float64)

# Two problems: an expert and two samples; an expert and one sample. Completion lengths, and segments that end at supervised tokens.
GROUPS = [
    [(True, 5, [(0, 2), (2, 5)]), (False, 4, [(0, 2), (2, 4)]), (False, 7, [(0, 2), (2, 4), (4, 6), (6, 7)])],
    [(True, 3, [(0, 2), (2, 3)]), (False, 6, [(0, 2), (2, 4), (4, 6)])],
]
SMOOTHING, LM, REG, GAMMA = 0.1, 0.7, 0.3, 0.9


def numbers(t):
    return [round(x, 9) for x in t.detach().flatten().tolist()]


def case(name):
    n = sum(m[1] for g in GROUPS for m in g)
    reward, log_prob = torch.randn(n, requires_grad=True), (-torch.rand(n) * 3).requires_grad_()
    before, after = torch.randn(n, requires_grad=True), torch.randn(n, requires_grad=True)
    log_policy = -torch.rand(n) * 2
    at, f, traces, nll = 0, {True: [], False: []}, [], []
    for group in GROUPS:
        members = []
        for expert, length, segments in group:
            values = []
            for a, b in segments:
                if name == "implicit":
                    v = reward[at + a : at + b].sum()
                elif name == "iq":
                    v = reward[at + a : at + b].mean()
                elif name == "airl":
                    v = reward[at + b - 1] + GAMMA * after[at + b - 1] - before[at + a] - log_policy[at + a : at + b].sum()
                else:
                    v = reward[at + b - 1]
                values.append(v)
            f[expert] += values
            if expert:
                nll.append(-log_prob[at : at + length])
            members.append((expert, torch.stack(values), log_policy[at : at + length].sum()))
            at += length
        traces.append(members)
    e, p = torch.stack(f[True]), torch.stack(f[False])
    level = REG * torch.cat([e, p]).square().mean()
    if name in ("gail", "airl", "implicit"):
        hi, lo = 1 - SMOOTHING / 2, SMOOTHING / 2
        loss = (
            F.binary_cross_entropy_with_logits(e, torch.full_like(e, hi)) + F.binary_cross_entropy_with_logits(p, torch.full_like(p, lo))
        ) / 2
    elif name == "wgan":
        loss = p.mean() - e.mean() + level
    elif name == "bt":
        d = [[(x, v.mean()) for x, v, _ in g] for g in traces]
        pairs = [-F.logsigmoid(b - s) for g in d for x, b in g if x for y, s in g if not y]
        loss = torch.stack(pairs).mean() + level
    elif name == "maxent":
        losses = []
        for g in traces:
            z = torch.stack([v.sum() - q for _, v, q in g])
            losses.append(torch.logsumexp(z, 0) - torch.log(torch.tensor(float(len(g)))) - sum(v.sum() for x, v, _ in g if x))
        loss = torch.stack(losses).mean() + level
    else:
        loss = REG / 4 * e.square().mean()
    weight = 1.0 if name == "iq" else LM
    loss = loss + weight * torch.cat(nll).mean()
    loss.backward()
    grads = {k: numbers(v.grad if v.grad is not None else torch.zeros(n)) for k, v in
             {"reward": reward, "log_prob": log_prob, "before": before, "after": after}.items()}
    return {
        "objective": name, "reward": numbers(reward), "log_prob": numbers(log_prob), "before": numbers(before), "after": numbers(after),
        "log_policy": numbers(log_policy), "loss": loss.item(), "grads": grads,
    }


fixture = {
    "groups": [[{"expert": e, "length": n, "segments": s} for e, n, s in g] for g in GROUPS],
    "smoothing": SMOOTHING, "lm_weight": LM, "regularisation": REG, "gamma": GAMMA,
    "cases": [case(n) for n in ("gail", "airl", "maxent", "bt", "wgan", "implicit", "iq")],
}
path = pathlib.Path(__file__).parent / "fixtures" / "objectives.json"
path.write_text(json.dumps(fixture) + "\n")
print(path, path.stat().st_size)
