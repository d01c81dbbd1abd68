"""The declaration of a saga as JSON, both ways: read, judged at its place, written, made into Python."""
