"""A training step of the same decoder in PyTorch eager f32: tokens a second and peak MiB, for benches/train_step.rs to stand beside.

Arguments: sft|gail hidden layers vocabulary batch length threads seconds
"""

import resource
import sys
import time

import torch
import torch.nn.functional as F

kind = sys.argv[1]
hidden, layers, vocab, batch, length, threads = map(int, sys.argv[2:8])
seconds = float(sys.argv[8])
heads = kv = hidden // 32
inner = hidden * 11 // 4
torch.set_num_threads(threads)
torch.manual_seed(0)
dim = hidden // heads


class Norm(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        linear = lambda i, o: torch.nn.Linear(i, o, bias=False)
        self.q, self.k, self.v = linear(hidden, hidden), linear(hidden, kv * dim), linear(hidden, kv * dim)
        self.o, self.gate, self.up, self.down = linear(hidden, hidden), linear(hidden, inner), linear(hidden, inner), linear(inner, hidden)
        self.norm, self.post = Norm(hidden), Norm(hidden)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        h = self.norm(x)
        split = lambda y, n: y.view(b, t, n, dim).transpose(1, 2)
        q, k, v = split(self.q(h), heads), split(self.k(h), kv), split(self.v(h), kv)
        turn = lambda y: y * cos + torch.cat((-y[..., dim // 2 :], y[..., : dim // 2]), -1) * sin
        k, v = (y.repeat_interleave(heads // kv, 1) for y in (turn(k), v))
        a = F.scaled_dot_product_attention(turn(q), k, v, is_causal=True)
        x = x + self.o(a.transpose(1, 2).reshape(b, t, hidden))
        h = self.post(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(vocab, hidden)
        self.blocks = torch.nn.ModuleList(Block() for _ in range(layers))
        self.norm = Norm(hidden)
        self.head = torch.nn.Linear(hidden, 1)
        self.likelihood = torch.nn.Parameter(torch.ones(1))
        angle = torch.outer(torch.arange(length + 1).float(), 1e4 ** (-torch.arange(0, dim, 2).float() / dim))
        angle = torch.cat((angle, angle), -1)
        self.cos, self.sin = angle.cos(), angle.sin()

    def states(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.cos[: ids.shape[1]], self.sin[: ids.shape[1]])
        return self.norm(x)

    def forward(self, ids):
        return F.linear(self.states(ids), self.embed.weight)

    def reward(self, ids):
        """The reward of every token after the first, and its log-probability."""
        states = self.states(ids)
        logits = F.linear(states[:, :-1], self.embed.weight)
        log_prob = -F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view(len(ids), -1)
        return self.head(states[:, 1:]).squeeze(-1) + self.likelihood * log_prob, log_prob


model = Model()
optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)
ids = torch.randint(0, vocab, (batch, length + 1))
expert = torch.zeros(batch, length)
expert[::2] = 1.0


def step():
    optimiser.zero_grad(set_to_none=True)
    if kind == "sft":
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    else:
        f, log_prob = model.reward(ids)
        loss = F.binary_cross_entropy_with_logits(f, expert) - log_prob[::2].mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()


for _ in range(3):
    step()
began, steps = time.perf_counter(), 0
while time.perf_counter() - began < seconds:
    step()
    steps += 1
print(steps * batch * length / (time.perf_counter() - began), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
