"""faust-streaming: a worker that tails topics for whoever keeps views of them. It publishes nothing."""
