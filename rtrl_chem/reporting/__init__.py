"""What a run left behind, for people: lists, comparisons, reports."""
