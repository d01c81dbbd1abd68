"""Pictures of a declaration: what is drawn, as data, and one module for each form that it is drawn in.

Pure, like the core: knows no clock, no file, no server and no program that draws.
"""
