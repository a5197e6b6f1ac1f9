"""Commands about what a spec means, before anything runs: new, validate, plan, lock, fetch, show, diff, schema, explain."""
