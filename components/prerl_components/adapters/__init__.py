"""Adapters: small sets of trainable parameters on a frozen model."""
