"""One step of TRL's GRPOTrainer with samples/serve/trl_reward.py as its reward function: python3 tests/check_trl.py

REASONSCOPE_URL says where `reasonscope serve` listens. The policy is a tiny model with random weights, so nothing is fetched. Prints what TRL logged of the rewards,
as JSON; exits with 77 where TRL is not installed."""

import importlib.util
import json
import math
import os
import pathlib
import sys
import tempfile

os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "WANDB_DISABLED": "true", "CUDA_VISIBLE_DEVICES": ""})
try:
    import torch
    from datasets import Dataset
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from trl import GRPOConfig, GRPOTrainer
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

here = pathlib.Path(__file__).resolve().parent.parent / "samples/serve"


def sample(name):
    """A sample as a module."""
    spec = importlib.util.spec_from_file_location(name, here / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tokenizer():
    """Bytes are the whole vocabulary, beside the end and the padding."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<eos>"] + alphabet)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="<eos>", padding_side="left")


trl_reward, verl_reward = sample("trl_reward"), sample("verl_reward")
problems = ["Ben has 12 pears. He gives 5 to Mia. How many are left?", "Ben has 2 pears. How many?"]
seen = []


def reasonscope(prompts, completions, **kwargs):
    """The sample, watched."""
    values = trl_reward.reasonscope(prompts=prompts, completions=completions, **kwargs)
    seen.append((list(prompts), list(completions), values))
    return values


torch.manual_seed(1)
text = tokenizer()
config = LlamaConfig(vocab_size=len(text), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
                     eos_token_id=text.eos_token_id, pad_token_id=text.pad_token_id, bos_token_id=None)
with tempfile.TemporaryDirectory() as folder:
    arguments = GRPOConfig(output_dir=folder, max_steps=1, per_device_train_batch_size=4, num_generations=4, max_completion_length=24, use_cpu=True, bf16=False,
                           report_to=[], logging_steps=1, save_strategy="no", disable_tqdm=True)
    trainer = GRPOTrainer(model=LlamaForCausalLM(config), reward_funcs=reasonscope, args=arguments, train_dataset=Dataset.from_dict({"prompt": problems}), processing_class=text)
    trainer.train()
    logged = next(entry for entry in trainer.state.log_history if "reward" in entry)

assert len(seen) == 1, seen
prompts, completions, values = seen[0]
assert len(values) == 4 and len(set(prompts)) == 1, seen
assert all(isinstance(value, float) and math.isfinite(value) for value in values), values
assert math.isclose(logged["rewards/reasonscope/mean"], sum(values) / 4, rel_tol=1e-4), (logged, values)
# Each by itself, as verl asks, is as good; and a conversation is read by its last turns.
alone = [verl_reward.compute_score("story", c, None, {"question": p}) for p, c in zip(prompts, completions)]
assert all(math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-4) for a, b in zip(alone, values)), (alone, values)
turns = trl_reward.reasonscope([[{"role": "user", "content": p}] for p in prompts], [[{"role": "assistant", "content": c}] for c in completions])
assert turns == values, (turns, values)
print(json.dumps({"rewards": values, "mean": logged["rewards/reasonscope/mean"]}))
