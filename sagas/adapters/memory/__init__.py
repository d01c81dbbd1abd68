"""The ports in this process's memory: nothing to install, nothing kept."""
