"""Anomaly detection: the truth in a batch, losses, metrics, the density of good images, the memory of patches."""
