"""The one scripted model server that tests talk to instead of a provider."""
