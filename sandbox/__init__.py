"""A stateful stand-in for Google, Microsoft and a bot backend: for demos, customers' tests and ours.

Everything it holds is made up. It must never be reachable from a network that is not yours.
"""
