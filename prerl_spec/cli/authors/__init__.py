"""Commands for component authors: components, plugin, try."""
