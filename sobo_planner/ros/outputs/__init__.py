"""What goes out: trajectories, gains, reports and diagnostics."""
