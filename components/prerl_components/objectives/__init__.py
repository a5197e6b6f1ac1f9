"""What is differentiated: arithmetic < policy_gradients, token_losses; `weighted_sum` adds up any of them."""
