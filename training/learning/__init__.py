"""Training: chunks, losses, optimisers and the training loop."""
