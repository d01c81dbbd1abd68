"""The runtime: what a service's worker does between its topics, the saga table and its handlers."""
