"""What attributes mean in a trade: names in all languages, hierarchies, which apply when."""
