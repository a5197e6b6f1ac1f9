"""Models: causal language models of transformers, pretrained or from random weights."""
