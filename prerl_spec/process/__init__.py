"""One process of a command: its rank, the signals that stop it, its last message, the frames in which two of
ours talk. Light: imported before anything heavy."""
