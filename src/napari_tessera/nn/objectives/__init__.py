"""What a network is trained for: losses, each a term with a weight, added up as the settings say."""
