"""The pure core: declarations, the definition compiled from them, and the semantics of a saga."""
