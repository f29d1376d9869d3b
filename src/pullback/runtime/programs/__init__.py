"""The commands ``train``, ``eval`` and ``match``, a file each."""
