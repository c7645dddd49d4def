"""Signed-in browsers, one-time links, and mail programs that are connected now.

Others may import `connections`, `links`, `sessions`, `user_agents`.
"""
