"""The test kit for component authors: small real models, synthetic steps, and the laws of each kind."""
