"""Commands that work on specs without running them: new, validate, plan, lock, fetch, show, diff, schema, explain."""
