"""The subcommands of ``casapose``, one module each."""
