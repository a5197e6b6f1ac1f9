"""Files that outlive a crash and tell when they were damaged: storage operations, frames, chained lines, sealed JSON."""
