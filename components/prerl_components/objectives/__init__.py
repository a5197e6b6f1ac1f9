"""Objectives: arithmetic < policy_gradients, token_losses; `weighted_sum` combines any of them."""
