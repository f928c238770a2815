"""Recording of what the planner node hears and says, as rosbag2 bags."""
