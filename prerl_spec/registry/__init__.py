"""Component kinds, the registry of installed components, and the base class of component settings."""
