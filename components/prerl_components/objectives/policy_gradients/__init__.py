"""Objectives with an advantage, and what they share. Built on arithmetic."""
