"""What a run or a sweep leaves behind: its folder, experiment.json, metrics.jsonl, and what is read back from them."""
