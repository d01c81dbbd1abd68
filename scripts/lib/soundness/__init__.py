"""What scripts/soundness runs."""
