"""What tasks there are, by which names, what their YAML says, and where their rows come from. Nothing here scores."""
