"""Pictures of declarations, judged as data, as text, and in a real browser."""
