"""What several commands share: options, diagnostics as text, locks, a launcher and what its processes know. Lowest floor."""
