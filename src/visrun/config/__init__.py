"""From what a user typed to one validated configuration, and who reads each of its settings."""
