"""The simulated arm that takes the place of a robot and its controller."""
