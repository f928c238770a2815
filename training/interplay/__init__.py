"""Algorithm 1 of arXiv:2604.19011: alternate between collecting solutions and training on them."""
