"""`doctor` and what it finds of the machine, the packages and, with --deep, by trying."""
