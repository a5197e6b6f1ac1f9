"""Words of other frameworks, and ours for them: data, and how an error says it."""
