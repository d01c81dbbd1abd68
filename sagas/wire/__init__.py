"""How events travel: envelope, headers, topic names, event ids, and the stored form of an instance."""
