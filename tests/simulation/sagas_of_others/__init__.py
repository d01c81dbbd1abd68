"""Sagas of other people's, in our words: what their choreographies do, under everything that can fail."""
