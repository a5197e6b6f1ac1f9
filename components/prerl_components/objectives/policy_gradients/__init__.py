"""Objectives with an advantage, and their common base class. Built on arithmetic."""
