"""A plan or a spec for people and programs: tables, graphs, resolved TOML, JSON Schema. Built on planning."""
