"""What other packages test their parts with; it needs pytest. The daemon never imports it."""
