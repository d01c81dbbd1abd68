"""Orders: takes orders, starts their fulfilment, and cancels them where that fails."""
