"""Names and settings: what each reference of a spec means and whether its values fit. Lowest floor."""
