#!/usr/bin/env python3
"""Makes tests/fixtures/train_reference.json: advantages and losses by PyTorch on seeded random numbers, with gradients by autograd. Needs torch."""

import json
import math
import pathlib
import random

import torch
import torch.nn.functional as F

rng = random.Random(7)
f32 = lambda x: torch.tensor(x, dtype=torch.float32).double().tolist()
uniform = lambda n, lo, hi: f32([rng.uniform(lo, hi) for _ in range(n)])
tensor = lambda x: torch.tensor(x, dtype=torch.float64)


def group_advantages():
    out = []
    for n in (2, 4, 8):
        rewards = [float(rng.random() < 0.4) for _ in range(n)] if n == 8 else uniform(n, -5, 5)
        r = tensor(rewards)
        out += [
            dict(estimator="group", rewards=rewards, expected=((r - r.mean()) / (r.std() + 1e-4)).tolist()),
            dict(estimator="centred", rewards=rewards, expected=(r - r.mean()).tolist()),
            dict(estimator="rloo", rewards=rewards, expected=[(r[i] - torch.cat([r[:i], r[i + 1 :]]).mean()).item() for i in range(n)]),
        ]
    return out


def discounted(rewards, gamma):
    """Every G_t as a sum of its own."""
    return [sum(gamma ** (k - t) * rewards[k] for k in range(t, len(rewards))) for t in range(len(rewards))]


def dense_advantages():
    out = []
    for gamma in (0.0, 0.9, 1.0):
        group = [uniform(n, -3, 3) for n in (5, 1, 9, 4)]
        flat = tensor([x for row in group for x in row])
        normal = [((tensor(row) - flat.mean()) / (flat.std() + 1e-4)).tolist() for row in group]
        g = f32([gamma])[0]
        out.append(dict(gamma=gamma, group=group, returns=[discounted(r, g) for r in group], expected=[discounted(r, g) for r in normal]))
    return out


def tree(group, rewards, gamma, tau):
    """Tree advantages by looking, for every prefix, through the whole group again."""

    def with_prefix(p):
        return [i for i, t in enumerate(group) if tuple(t[: len(p)]) == p]

    def choices(p):
        """Pairs of the share of the traces and Q, one for each way on from prefix p."""
        here = with_prefix(p)
        ways = sorted({group[i][len(p)] for i in here if len(group[i]) > len(p)})
        found = {a: (len(with_prefix(p + (a,))) / len(here), q(p + (a,))) for a in ways}
        ended = sum(len(group[i]) == len(p) for i in here)
        if ended:
            found[None] = (ended / len(here), 0.0)
        return found

    def value(p):
        w, x = zip(*choices(p).values())
        w, x = tensor(w), tensor(x)
        if tau is None:
            return (w * x).sum().item()
        return x.max().item() if tau == 0 else (tau * torch.logsumexp(w.log() + x / tau, 0)).item()

    def q(p):
        here = with_prefix(p)
        return sum(rewards[i][len(p) - 1] for i in here) / len(here) + gamma * value(p)

    std = tensor([discounted(r, gamma)[0] for r in rewards]).std().item()
    out = []
    for t in group:
        credit, row = 0.0, []
        for n in range(1, len(t) + 1):
            p = tuple(t[:n])
            if len(choices(p[:-1])) > 1:
                credit = q(p) - value(p[:-1])
            row.append(credit / (std + 1e-4))
        out.append(row)
    return out


def tree_advantages():
    out = []
    for gamma, tau in ((1.0, None), (0.9, None), (1.0, 0.0), (0.95, 0.5), (1.0, 3.0)):
        group = [[rng.randrange(3) for _ in range(rng.randrange(1, 9))] for _ in range(8)]
        group += [group[0], group[1] + [1, 2], group[1] + [1]]
        dense = tau == 3.0
        rewards = [uniform(len(t), -1, 1) if dense else [0.0] * (len(t) - 1) + uniform(1, -2, 2) for t in group]
        g = f32([gamma])[0]
        out.append(dict(gamma=gamma, tau=tau, group=group, rewards=rewards, expected=tree(group, rewards, g, tau)))
    return out


def policy_losses():
    lens = [4, 1, 7, 5]
    n = sum(lens)
    new = uniform(n, -3, -0.01)
    old = f32([x + rng.uniform(-0.6, 0.6) for x in new])
    old[3], old[9] = new[3], new[9]
    reference = f32([x + rng.uniform(-1, 1) for x in new])
    advantages = uniform(n, -2, 2)
    out = []
    for reduction in ("grpo", {"dr_grpo": {"max_tokens": 10}}, "dapo"):
        for low, high, kl in ((0.2, 0.2, 0.0), (0.2, 0.28, 0.04), (0.1, 0.4, 1.0)):
            x = tensor(new).requires_grad_()
            ratio = torch.exp(x - tensor(old))
            a = tensor(advantages)
            surrogate = -torch.min(ratio * a, torch.clamp(ratio, 1 - low, 1 + high) * a)
            delta = tensor(reference) - x
            k3 = torch.exp(delta) - delta - 1
            reduce = {
                "grpo": lambda v: torch.stack([s.mean() for s in v.split(lens)]).mean(),
                "dapo": lambda v: v.mean(),
            }.get(reduction if isinstance(reduction, str) else "", lambda v: v.sum() / (len(lens) * 10))
            loss = reduce(surrogate + kl * k3)
            (grad,) = torch.autograd.grad(loss, x)
            clipped = ((a > 0) & (ratio > 1 + high)) | ((a < 0) & (ratio < 1 - low))
            out.append(
                dict(
                    config=dict(reduction=reduction, clip_low=low, clip_high=high, kl=kl), loss=loss.item(), grad=grad.tolist(),
                    policy_loss=reduce(surrogate).item(), kl=k3.sum().item(), clipped=int(clipped.sum()), ratio=ratio.sum().item(),
                )
            )
    return dict(lens=lens, new=new, old=old, reference=reference, advantages=advantages, cases=out)


def preference_losses():
    n = 6
    names = ("chosen", "rejected", "reference_chosen", "reference_rejected")
    data = {k: uniform(n, -40, -5) for k in names}
    data["chosen"][2], data["rejected"][2] = data["reference_chosen"][2], data["reference_rejected"][2]
    mismatched = dict(policy=uniform(n, -60, -30), reference=uniform(n, -62, -33))
    out = []
    for kind in ("dpo", "spin", "kto"):
        for beta, desirable, undesirable in ((0.1, 1.0, 1.0), (0.5, 1.33, 0.7)):
            c, r = tensor(data["chosen"]).requires_grad_(), tensor(data["rejected"]).requires_grad_()
            hc, hr = c - tensor(data["reference_chosen"]), r - tensor(data["reference_rejected"])
            z = (tensor(mismatched["policy"]) - tensor(mismatched["reference"])).mean().clamp(min=0)
            if kind == "kto":
                up = desirable * (1 - torch.sigmoid(beta * (hc - z)))
                down = undesirable * (1 - torch.sigmoid(beta * (z - hr)))
                loss = torch.cat([up, down]).mean()
            else:
                loss = -F.logsigmoid(beta * (hc - hr)).mean()
            gc, gr = torch.autograd.grad(loss, (c, r))
            out.append(
                dict(
                    config=dict(kind=kind, beta=beta, desirable_weight=desirable, undesirable_weight=undesirable), loss=loss.item(),
                    grad_chosen=gc.tolist(), grad_rejected=gr.tolist(), baseline=z.item(), chosen_reward=(beta * hc).sum().item(),
                    rejected_reward=(beta * hr).sum().item(), right=int((hc > hr).sum()),
                )
            )
    return dict(**data, mismatched=mismatched, cases=out)


def walk(x):
    if isinstance(x, dict):
        return {k: walk(v) for k, v in x.items()}
    if isinstance(x, list):
        return [walk(v) for v in x]
    if isinstance(x, float):
        assert math.isfinite(x)
        return float(f"{x:.9g}")
    return x


if __name__ == "__main__":
    out = dict(
        advantages=group_advantages(), dense=dense_advantages(), tree=tree_advantages(), policy=policy_losses(), preference=preference_losses()
    )
    path = pathlib.Path(__file__).parent / "fixtures" / "train_reference.json"
    path.write_text(json.dumps(walk(out), separators=(",", ":")).replace('},{', '},\n{') + "\n")
