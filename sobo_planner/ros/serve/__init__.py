"""The planning thread of the node, its two modes and its health."""
