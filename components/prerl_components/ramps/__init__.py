"""Coefficients that change with the phase's steps."""
