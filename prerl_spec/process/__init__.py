"""One process of a command: its rank, the signals that stop it, its last message. Light: imported before anything heavy."""
