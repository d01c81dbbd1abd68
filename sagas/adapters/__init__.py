"""Adapters of the ports. Siblings are strangers to each other."""
