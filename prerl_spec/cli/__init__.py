"""The command line, one module per command: shared < environment, authors, specs, results, runs < main."""
