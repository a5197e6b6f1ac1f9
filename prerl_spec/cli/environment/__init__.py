"""`doctor` and its findings: the machine, the installed packages and, with --deep, imports and GPUs."""
