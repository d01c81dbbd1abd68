"""The order saga to its notification, declared in the framework."""
