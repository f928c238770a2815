"""Algorithm 1 of arXiv:2604.19011: collect and train in turns."""
