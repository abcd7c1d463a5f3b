"""What was found or left behind, for people: lists, comparisons, reports, pages that work offline."""
