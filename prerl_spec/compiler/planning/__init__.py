"""The plan: every phase, component and evaluation written out, and its digest. Built on estimates and past_runs."""
