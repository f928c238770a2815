"""What a viewer shows: robot, world, and a plan with what it came from; as a picture, or in a browser (extra `viz`)."""
