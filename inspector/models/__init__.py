"""Which models judge: listed, proven, exchanged while the line runs, and gone back from."""
