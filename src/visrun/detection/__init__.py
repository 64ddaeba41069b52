"""What the three detection tasks share: their metrics, and the way back to a file's own pixels."""
