"""The monitor: an observer of all sagas, on faust-streaming. It reads the topics and touches nothing else."""
