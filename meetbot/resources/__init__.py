"""The public resources, one module each.

A module holds the shape and the function that makes it from a row. API answers carry the resource itself. Webhooks carry its
document: the same as a JSON object, with a ``sequence`` that tells an older message from a newer one.
"""
