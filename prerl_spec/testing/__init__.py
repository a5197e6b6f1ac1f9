"""The test kit for component authors: small real models, made-up steps, and the laws of each kind."""
