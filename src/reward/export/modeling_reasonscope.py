"""A reward model of reasonscope for transformers: one logit a token, f = w * ln pi(token | before) + v . h + b, with h the state after the token.

    from transformers import AutoModelForTokenClassification, AutoTokenizer
    model = AutoModelForTokenClassification.from_pretrained(DIR, trust_remote_code=True)
    from modeling_reasonscope import frame                      # with DIR on the path
    ids, start = frame(AutoTokenizer.from_pretrained(DIR), problem, text, end=model.config.eos_token_id)
    logits = model(torch.tensor([ids])).logits[0, start:, 0]    # of the tokens of the text

The first token of a sequence has no token before it, and so no log-probability: 0 stands for it. Batches are padded on the right.
"""

import torch
from transformers import @BASE@ForCausalLM
from transformers.modeling_outputs import TokenClassifierOutput


def frame(tokenizer, problem, text, end=None):
    """The ids of a problem and of a text as reasonscope reads them, every line tokenised by itself, and where the text begins in them."""
    encode = lambda t: [i for line in t.splitlines(keepends=True) for i in tokenizer(line, add_special_tokens=False)["input_ids"]]
    prompt = encode(problem + "\n")
    ends = [] if end is None else [end[0] if isinstance(end, (list, tuple)) else end]
    return prompt + encode(text) + ends, len(prompt)


class Head(torch.nn.Linear):
    def __init__(self, hidden):
        super().__init__(hidden, 1)
        self.likelihood = torch.nn.Parameter(torch.ones(1))


class ReasonscopeReward(@BASE@ForCausalLM):
    def __init__(self, config):
        super().__init__(config)
        self.reward = Head(config.hidden_size)
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, **more):
        more.pop("return_dict", None)
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask, **more).last_hidden_state
        chances = self.lm_head(hidden[:, :-1]).float().log_softmax(-1)
        of_token = chances.gather(-1, input_ids[:, 1:, None])
        log_prob = torch.nn.functional.pad(of_token, (0, 0, 1, 0)).to(hidden.dtype)
        return TokenClassifierOutput(logits=self.reward(hidden) + self.reward.likelihood * log_prob)
