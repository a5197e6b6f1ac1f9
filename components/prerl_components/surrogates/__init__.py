"""Per-token losses of a policy gradient, in terms of ρ = π/π_old and the advantage."""
