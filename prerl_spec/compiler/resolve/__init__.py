"""Resolves component references and validates settings. Imports no other room of the compiler."""
