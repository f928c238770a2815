"""The engines that can run the network of a policy."""
