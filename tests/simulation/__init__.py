"""Exploring the semantics: the very ``Handling`` of production on a model of the world."""
