"""Values as short text: ticks, durations, strings without control characters. Lowest layer."""
