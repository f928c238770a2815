"""The task kind `arm_reach`: a fixed-base arm brings its tool to a goal."""
