"""What an observer of the topics keeps in mind of all sagas, and shows: pure, and rebuilt at any time."""
