"""The product of a policy gradient's parts, and what must hold for every objective in the registry."""
