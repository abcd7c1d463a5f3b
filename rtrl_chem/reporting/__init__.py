"""What was found or done, for a reader: pages that work offline, plots, drawings of molecules."""
