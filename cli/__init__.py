"""The command line: one file a command, no logic. Installed as the package `mediagen_cli`."""
