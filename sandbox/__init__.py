"""A stateful stand-in for Google, Microsoft and a bot backend.

It is for demos, customers' tests and our own. Everything it holds is made up. It must never be reachable from a network that
is not yours.
"""
