"""One file a command: shared < environment, authors, specs, results, runs < main."""
