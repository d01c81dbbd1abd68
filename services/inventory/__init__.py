"""Inventory: sets stock aside for orders, and gives it back."""
