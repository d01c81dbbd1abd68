"""What an outside producer, or a damaged table, may send: generated, judged, and never trusted."""
