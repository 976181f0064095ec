"""Fixtures: a Spinal Cord Toolbox in miniature, without this package (`bare`) and with it (`miniature`)."""

from miniature import bare, installed_miniature, miniature  # noqa: F401
