"""Makes the working environment: system packages, a virtual environment, the lock files.

Everything here runs before anything is installed, so it uses the standard library only and imports no other
room.
"""
