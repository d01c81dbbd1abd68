"""The sagas: who acts on which event, and what is undone if it fails."""
