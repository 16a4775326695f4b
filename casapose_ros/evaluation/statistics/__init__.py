"""What the matches of a run add up to, with how sure that is."""
