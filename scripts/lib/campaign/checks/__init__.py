"""What must be true at the end. Each module looks at one thing and says in words what is wrong with it.

Nothing here knows how the framework works: what is compared are the topics as they lie there, the
databases of the services, the answers that customers were given, and what operators are shown.
"""
