"""The commands: one thin file each. Parse, call the API, print; no algorithm."""
