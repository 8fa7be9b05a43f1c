//! Training: supervised fine-tuning and adversarial reward learning.
