"""Commands that load a model: run (with its debugger and profiler), resume, eval, serve."""
