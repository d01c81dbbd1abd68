"""The saga table on a Redis server."""

from sagas.adapters.redis.settings import RedisTableSettings
from sagas.adapters.redis.table import RedisSagaTable

__all__ = ["RedisSagaTable", "RedisTableSettings"]
