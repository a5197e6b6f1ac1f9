"""What a sample has earned, from the rewards of its step."""
