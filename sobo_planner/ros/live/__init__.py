"""What a running planner node does, in the viewer."""
