"""Checks between the parts of a spec: ports, names, phases, and the components' own rules. Built on resolve."""
