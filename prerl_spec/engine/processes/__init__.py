"""What a process of a run is: its rank, its share of the work, its seeds, signals, memory and disk. Lowest floor."""
