"""Tools to inspect a run: profiles, traces, one debugged step, trying out a component. The top layer of the engine."""
