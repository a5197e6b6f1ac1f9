"""Tasks of lm-eval: found, fetched, asked through the policy's own sampler, scored. Built on scores."""
