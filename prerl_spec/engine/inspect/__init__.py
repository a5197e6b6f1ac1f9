"""A run looked at instead of run: profiles, traces, one debugged step, an objective tried out. Highest floor."""
