"""The demo: planner node and simulated arm as two processes, goals from a third, over real ROS 2 topics."""
