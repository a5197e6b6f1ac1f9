"""What holds between the parts of a spec: ports, names, phases, and the rules that components bring. Built on resolve."""
