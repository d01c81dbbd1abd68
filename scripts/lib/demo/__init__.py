"""The demo: orders through the five services, watched, and the books checked at the end."""
