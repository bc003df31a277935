"""Models of other people, tried from their folder to llama.cpp."""
