"""Payments: blocks money on customers' accounts, gives it free again, or takes it."""
