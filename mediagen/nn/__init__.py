"""Shared parts of networks, one family a file. A model's file imports what it needs and stays readable."""
