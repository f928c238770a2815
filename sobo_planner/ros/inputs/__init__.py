"""What comes in: joint states, goals and frames, checked before use."""
