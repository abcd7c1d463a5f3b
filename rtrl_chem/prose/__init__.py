"""How like two texts are: words, BLEU, ROUGE. No torch; for rewards and metrics alike."""
