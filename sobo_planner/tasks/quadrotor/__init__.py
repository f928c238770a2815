"""The task kind `quadrotor_reach`: a quadrotor flies to a position between columns."""
