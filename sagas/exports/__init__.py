"""Documents that follow from the declarations: AsyncAPI, JSON Schemas, canvases, topics and access rules.

Everything is data or text; nothing is read, connected or written here.
"""
