"""Real servers as plain processes, for machines without a container engine.

Owns starting, asking and stopping Kafka, Redis and PostgreSQL in a directory of their own.
Uses the standard library only, because it runs before the virtual environment exists, and never
touches a process that it did not start.
"""
