"""Commands for authors of components: components, plugin, try."""
