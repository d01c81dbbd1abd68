"""Kafka, through aiokafka: broker, admin and their settings."""
