"""The same saga by hand: aiokafka, one Lua compare-and-set per step, no framework."""
