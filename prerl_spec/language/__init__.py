"""The spec language: parsing with source spans, composition, interpolation and the core grammar."""
