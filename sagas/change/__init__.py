"""What becomes of running sagas when their definition changes: what differs, who finishes, who may start."""
