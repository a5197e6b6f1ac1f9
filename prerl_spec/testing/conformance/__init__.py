"""The conformance kit: the checks that `plugin check DIST` runs on a distribution. Import from its modules."""
