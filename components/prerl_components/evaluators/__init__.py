"""Evaluators: how a checkpoint is scored."""
