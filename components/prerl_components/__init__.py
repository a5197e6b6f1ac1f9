"""The built-in component library: one component per file, grouped by kind."""
