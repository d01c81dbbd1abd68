"""The chore behind scripts/simulate: workloads by name, and the table of ablations."""
