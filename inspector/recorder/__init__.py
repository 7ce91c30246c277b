"""The flight recorder: the frames around one worth a second look, kept on disk, and judged once more by `replay`."""
