"""What each company lets cross the border: its policy, its own words, and the floor that the operator sets."""
