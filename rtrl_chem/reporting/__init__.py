"""What a run folder says, put into words: reports as JSON and Markdown."""
