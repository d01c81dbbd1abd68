"""What the framework costs, measured against the same work written by hand. Never shipped."""
