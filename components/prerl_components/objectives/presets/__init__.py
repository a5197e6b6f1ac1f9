"""Named points of the policy-gradient product, a family a file."""
