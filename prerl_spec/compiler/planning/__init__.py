"""Computes the plan: phases, components, evaluation and digest. Built on estimates and past_runs."""
