"""Shipping: sends parcels. What it has sent can not be called back."""
